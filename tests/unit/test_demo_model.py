"""The demo's model: the same for a seed, within its limits, and as a company's mail is."""

import random
from collections import Counter
from datetime import date, timedelta
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from postmeter.aggregator.bounces import Reason, normalise
from postmeter.aggregator.verdicts.agent_names import AgentNames
from postmeter.aggregator.verdicts.judge import Judge
from postmeter.aggregator.verdicts.networks import Networks
from postmeter.cli.demo.model import campaigns, mailboxes, moments
from postmeter.cli.demo.model.audience import BOUNCE, Audience
from postmeter.cli.demo.model.behaviour import LONGEST
from postmeter.cli.demo.model.calendar import CAMPAIGNS, DAYS, Calendar
from postmeter.cli.demo.model.history import BLOCKING, Day, History, Mail
from postmeter.cli.demo.model.live import LIVELY, Live
from postmeter.shared.stream.events import BounceType, EventType, Verdict
from postmeter.tracking.recipients.mailbox_providers import MailboxProviders

FIRST = date(2026, 3, 4)
DOCUMENTATION = [ip_network(name) for name in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")]
PEOPLE = 600


def history(seed: int = 1, first: date = FIRST, people: int = PEOPLE) -> History:
    calendar = Calendar(first)
    return History(seed, calendar, Audience(seed, people, calendar))


@cache
def days() -> list[Day]:
    made = history()
    return [made.day(number) for number in range(DAYS)]


def mails() -> list[Mail]:
    return [mail for day in days() for mail in day.mails]


def count(kind: str, among: list[Mail]) -> int:
    """Mails to which that happened."""
    return sum(any(event.type == kind for _, event in mail.events) for mail in among)


def test_a_day_depends_on_the_seed_and_its_number_alone() -> None:
    asked_late, asked_early = history(), history()
    asked_late.day(95)
    for number in (3, 70, 89):
        assert asked_late.day(number) == asked_early.day(number) == days()[number]
    assert history(seed=2).day(3) != days()[3]


@pytest.mark.parametrize("weekday", range(7))
def test_there_are_forty_campaigns_whatever_day_it_is(weekday: int) -> None:
    calendar = Calendar(FIRST + timedelta(days=weekday))
    sent = [sending.campaign.id for day in range(DAYS) for sending in calendar.sendings(day)]
    assert len(set(sent)) == len(sent) == CAMPAIGNS - len(campaigns.FLOWS)
    assert DAYS - 23 < calendar.bad < calendar.star < DAYS - 3
    assert DAYS - 16 < calendar.flop < DAYS - 8
    later = [sending.campaign.id for day in range(DAYS, 2 * DAYS) for sending in calendar.sendings(day)]
    assert len(later) >= 28, "after the history it goes on"
    assert not set(later) & set(sent)


def test_every_moment_is_within_its_limits_and_every_key_is_its_own() -> None:
    start = moments.midnight(FIRST)
    keys = Counter[str]()
    for number, day in enumerate(days()):
        begins = start + number * moments.DAY
        for mail in day.mails:
            created = mail.letter.created
            assert begins - moments.DAY < created < begins + moments.DAY
            assert mail.id.version == 7
            assert mail.id.int >> 80 == created
            assert all(created < event.at < created + LONGEST + moments.DAY for _, event in mail.events)
            sent = next(event.at for _, event in mail.events if event.type == "sent")
            assert all(event.at >= sent for _, event in mail.events)
            assert all(purchase.at > created for _, purchase in mail.purchases)
            keys.update(key for key, _ in mail.events)
            keys.update(order for order, _ in mail.purchases)
        keys.update(item.key for item in day.received)
        keys.update(order for order, _ in day.purchases)
        assert all(begins <= item.at < begins + moments.DAY for item in day.received)
    assert set(keys.values()) == {1}


def test_all_addresses_are_of_domains_that_nobody_has() -> None:
    found = {mail.letter.person.address for mail in mails()}
    assert len(found) > PEOPLE
    assert all(address.endswith(".example") for address in found)
    senders = {mail.letter.campaign.kind.sender.domain for mail in mails()}
    assert len(senders) == 4
    assert all(domain.endswith(".example") for domain in senders)
    assert all(link.url.split("/")[2].endswith(".example") for mail in mails() for link in mail.letter.campaign.links)


def test_mailbox_providers_have_the_shares_of_real_ones() -> None:
    shares = Counter(mail.letter.person.provider for mail in mails() if mail.letter.person.provider)
    total = len(mails())
    assert 0.25 < shares["gmail"] / total < 0.45
    assert shares["gmail"] > shares["outlook"] > shares["gmx"] > shares["proton"] > 0
    assert shares["icloud"] > shares["gmx"]


def test_the_list_of_mailbox_providers_holds_the_shipped_one_and_the_demos_domains(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text(mailboxes.provider_list(""))
    named, shipped = MailboxProviders.load(str(file)), MailboxProviders.load()
    assert named.of("gmail.com") == shipped.of("gmail.com") == "gmail"
    assert {named.of(mail.letter.person.address.split("@")[1]) == mail.letter.person.provider for mail in mails()} == {
        True
    }


def test_people_proxies_and_machines_are_told_apart_by_the_pipelines_own_rules() -> None:
    """The model names no verdict; the judge has all of them to give."""
    networks, names = Networks.shipped(), AgentNames.shipped()
    judge = Judge(lambda: networks, lambda: names)
    verdicts, reasons = Counter[Verdict](), set()
    for mail in mails():
        for _, event in mail.events:
            if event.type in ("opened", "clicked"):
                kind = EventType.OPENED if event.type == "opened" else EventType.CLICKED
                verdict, reason = judge(kind, event.more["user_agent"].encode(), False, event.more["ip"])
                verdicts[verdict] += 1
                reasons.add(reason)
                if not (reason or "").startswith(("network:", "gmail_prefetch")):
                    assert any(ip_address(event.more["ip"]) in network for network in DOCUMENTATION)
    assert min(verdicts[Verdict.HUMAN], verdicts[Verdict.PROXY], verdicts[Verdict.MACHINE]) > verdicts.total() / 10
    assert {"apple_mpp", "google_image_proxy", "yahoo_mail_proxy", "gmail_prefetch"} < reasons
    assert {"network:proofpoint", "network:microsoft", "network:mimecast", "agent:scanner", "agent:preview"} < reasons


def test_rates_are_those_of_a_list_that_is_well_kept() -> None:
    calm = [mail for number, day in enumerate(days()) if number != history().calendar.bad for mail in day.mails]
    delivered = count("delivered", calm)
    assert 0.97 < delivered / len(calm) < 0.995
    assert 0.35 < count("opened", calm) / delivered < 0.75
    assert count("complained", calm) / delivered < 0.001
    assert 0 < count("unsubscribed", calm) / delivered < 0.01
    assert 0 < count("replied", calm) / delivered < 0.01
    purchases = [purchase for mail in mails() for _, purchase in mail.purchases]
    assert len(purchases) > 20
    assert {purchase.currency for purchase in purchases} == {"EUR", "USD"}
    assert all(0 < purchase.cents < 100_000 for purchase in purchases)


def test_one_day_is_bad() -> None:
    bad = history().calendar.bad
    of_the_day = days()[bad].mails
    large = {number: day.mails for number, day in enumerate(days()) if len(day.mails) > PEOPLE / 4}
    bounced = {number: count("bounced", sent) / len(sent) for number, sent in large.items()}
    assert bounced.pop(bad) > 0.15 > 3 * max(bounced.values())
    assert count("complained", of_the_day) / count("delivered", of_the_day) > 0.005
    told = {
        mail.letter.person.provider
        for day in days()
        for mail in day.mails
        if any(event.type == "complained" for _, event in mail.events)
    }
    assert told <= mailboxes.REPORTING
    blocked = [mail for mail in of_the_day if mail.letter.person.provider == BLOCKING]
    assert blocked
    assert count("delivered", blocked) == 0


def test_one_campaign_stands_out_and_one_flops() -> None:
    calendar = history().calendar

    def rate(kind: str, number: int) -> float:
        sent = [mail for mail in days()[number].mails if mail.letter.campaign.id[0].isdigit()]
        readers = [mail for mail in sent if not mail.letter.person.scanner]
        return count(kind, readers) / len(readers)

    sent = [day for day in range(DAYS) if len(days()[day].mails) > PEOPLE / 4]
    clicks = {day: rate("clicked", day) for day in sent}
    assert max(clicks, key=lambda day: clicks[day]) == calendar.star
    opens = {day: rate("opened", day) for day in sent if day != calendar.bad}
    assert min(opens, key=lambda day: opens[day]) == calendar.flop


def test_the_lists_grow_and_who_has_left_gets_nothing_more() -> None:
    issues = [
        [mail for mail in day.mails if mail.letter.campaign.kind is campaigns.ISSUE] for day in days() if day.mails
    ]
    sizes = [len(sent) for sent in issues if sent]
    assert sizes[-1] > 1.2 * sizes[0]
    gone: set[str] = set()
    for sent in issues:
        assert not gone & {mail.letter.person.ref for mail in sent}
        gone |= {mail.letter.person.ref for mail in sent if mail.letter.last}
    assert len(gone) > 10


def test_people_read_by_day_and_machines_do_not_sleep() -> None:
    hours = Counter[int]()
    for mail in mails():
        person = mail.letter.person
        for _, event in mail.events:
            if event.type == "clicked" and not person.scanner:
                hours[(event.at + moments.offset(person.zone, event.at)) % moments.DAY // moments.HOUR] += 1
    night, day = sum(hours[hour] for hour in range(1, 6)), sum(hours[hour] for hour in range(8, 23))
    assert day > 10 * night


def test_bounces_are_told_as_servers_tell_them_and_understood() -> None:
    reasons: dict[str, set[Reason]] = {"hard": set(), "soft": set()}
    for mail in mails():
        for _, event in mail.events:
            if event.type == "bounced":
                kind = event.more["bounce_type"]
                reasons[kind].add(normalise(event.more["reason"], BounceType[kind.upper()]))
    assert reasons["hard"] == {Reason.INVALID_RECIPIENT, Reason.MAILBOX_DISABLED}
    assert {Reason.MAILBOX_FULL, Reason.IP_REPUTATION, Reason.SERVER_UNAVAILABLE} < reasons["soft"]
    assert Reason.OTHER not in reasons["soft"]


def test_a_new_address_that_is_wrong_bounces_at_its_first_mail() -> None:
    calendar = Calendar(FIRST)
    people = Audience(1, 5000, calendar).everybody(DAYS - 1)
    wrong = [person for person in people if person.leaving == BOUNCE and person.leaves == person.joined]
    assert len(wrong) > 10


@pytest.mark.parametrize("people", [20, 50])
def test_few_people_are_enough(people: int) -> None:
    few = history(people=people)
    made = [few.day(number) for number in range(DAYS + 10)]
    assert all(day.mails is not None for day in made)
    assert len({mail.letter.campaign.id for day in made for mail in day.mails}) > 30


def test_live_traffic_is_lively_for_a_while_and_bounded_afterwards() -> None:
    started, people = moments.midnight(FIRST), Audience(1, PEOPLE, Calendar(FIRST)).everybody(DAYS)
    live = Live(started, people, random.Random(1))
    lively = list(live.begun(started + LIVELY))
    assert 300 < len(lively) < 1200, "some events a second"
    hour = list(live.begun(started + LIVELY + moments.HOUR))
    assert len(hour) < len(lively)
    assert list(live.begun(started + LIVELY + moments.HOUR)) == []
    for mail in lively + hour:
        created = mail.letter.created
        assert all(created < event.at <= created + LONGEST // 50 for _, event in mail.events)
    assert len({mail.id for mail in lively + hour}) == len(lively + hour)
