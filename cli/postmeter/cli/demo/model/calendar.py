"""When campaigns go out: the weekly rhythm of the senders, and the days of the history that are not like others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from postmeter.cli.demo.model import campaigns
from postmeter.cli.demo.model.campaigns import Campaign, Flow
from postmeter.cli.demo.model.company import ZONE
from postmeter.cli.demo.model.moments import HOUR, midnight, offset

DAYS = 90
"""Of history; the last one is the day on which the demo was begun."""
CAMPAIGNS = 40
"""In them, flows among them."""
TUESDAY, WEDNESDAY, THURSDAY, SATURDAY = 1, 2, 3, 5
_PROMOTION_HOURS = (10, 7, 16, 11, 18)
"""Promotions try different hours, so that there is something to learn about when mail is opened."""


class Sending(NamedTuple):
    """A campaign goes out: to whom of which list it has gone is the audience's to say."""

    campaign: Campaign
    day: int
    at: int


class Calendar:
    """The sendings of each day, by its number; they go on after the history."""

    def __init__(self, first: date) -> None:
        self._first = first
        days = range(DAYS)
        tuesdays = [day for day in days if self._weekday(day) == TUESDAY]
        saturdays = [day for day in days if self._weekday(day) == SATURDAY]
        updates = [day for day in days if self._is_update(day)]
        self.star = max(day for day in tuesdays if day < DAYS - 3)
        """The day of the promotion that stands out: within the last ten."""
        self.bad = max(day for day in tuesdays if day < DAYS - 15)
        """The bad day, two to three weeks ago."""
        self.flop = max(day for day in saturdays if day < DAYS - 8)
        """The day of the issue that flops, one to two weeks ago."""
        more = CAMPAIGNS - len(campaigns.FLOWS) - len(tuesdays) - len(saturdays) - len(updates)
        thursdays = [day for day in days if self._weekday(day) == THURSDAY]
        self._extra = frozenset(thursdays[len(thursdays) - more :])

    def date(self, day: int) -> date:
        """The date of a day."""
        return self._first + timedelta(days=day)

    def start(self, day: int) -> int:
        """The first moment of a day, UTC."""
        return midnight(self.date(day))

    def sendings(self, day: int) -> list[Sending]:
        """What goes out on a day."""
        found = []
        weekday, week = self._weekday(day), self._week(day)
        if weekday == TUESDAY:
            hour = 11 if day == self.bad else _PROMOTION_HOURS[week % len(_PROMOTION_HOURS)]
            found.append(self._sending(day, hour, self._promotion(day)))
        if day in self._extra:
            found.append(self._sending(day, 17, self._made(campaigns.promotion, day, 7 + week)))
        if self._is_update(day):
            found.append(self._sending(day, 15, self._made(campaigns.update, day, week // 2)))
        if weekday == SATURDAY:
            campaign = self._made(campaigns.issue, day, week)
            found.append(self._sending(day, 8, campaigns.flop(self._text(day)) if day == self.flop else campaign))
        return found

    def before(self, audience: str, day: int) -> int:
        """The last day before `day` on which something went out to a list; -1 before the history."""
        for earlier in range(day - 1, -1, -1):
            if any(sending.campaign.kind.audience == audience for sending in self.sendings(earlier)):
                return earlier
        return -1

    def flows(self, day: int) -> list[tuple[Flow, float]]:
        """The flows, each with its daily share on such a day: less at weekends, more after something went out."""
        factor = 0.7 if self._weekday(day) >= SATURDAY else 1.0
        if any(sending.campaign.kind.sells for sending in self.sendings(day)):
            factor *= 1.6
        return [(flow, flow.daily * factor) for flow in campaigns.FLOWS]

    def working(self, day: int) -> bool:
        """Whether people are at work."""
        return self._weekday(day) < SATURDAY

    def _promotion(self, day: int) -> Campaign:
        if day == self.bad:
            return campaigns.win_back(self._text(day))
        if day == self.star:
            return campaigns.star(self._text(day))
        return self._made(campaigns.promotion, day, self._week(day))

    def _sending(self, day: int, hour: int, campaign: Campaign) -> Sending:
        at = self.start(day) + hour * HOUR
        return Sending(campaign, day, at - offset(ZONE, at))

    def _made(self, make: Callable[[int, str], Campaign], day: int, number: int) -> Campaign:
        return make(number, self._text(day))

    def _text(self, day: int) -> str:
        return self.date(day).isoformat()

    def _week(self, day: int) -> int:
        """The number of a day's week, which begins on Monday; the history's first one is 0."""
        return (day + self._first.weekday()) // 7

    def _weekday(self, day: int) -> int:
        return (day + self._first.weekday()) % 7

    def _is_update(self, day: int) -> bool:
        return self._weekday(day) == WEDNESDAY and self._week(day) % 2 == 1
