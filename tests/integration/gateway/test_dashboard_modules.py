"""The dashboard's modules in a real browser, one by one: what they reckon against what Python reckons."""

import csv
import io
import json
import math
import random
import re
import shlex
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from postmeter.aggregator.bounces.reasons import Reason
from postmeter.gateway.pages import dashboard
from postmeter.query.documents.workspaces.significance import Sample, wilson
from postmeter.query.engine.vocabulary import DIMENSIONS
from postmeter.query.exports.files.columns import neutral
from postmeter.shared.apis.pages import SCREENS
from postmeter.shared.storage.rollups import METRICS
from tests.integration.dashboard_modules import SITE, Evaluate

FOLDER = Path(dashboard.__file__).parents[1] / "site" / "dashboard"
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Santiago")


def test_every_screen_has_a_path_and_a_module(evaluate: Evaluate) -> None:
    found = evaluate("screens.js", "return m.SCREENS.map(({ name, path, inMenu }) => [name, path, !!inMenu])", None)
    assert sorted(path for _, path, _ in found) == sorted(screen.path for screen in SCREENS)
    texts = json.loads((FOLDER / "texts" / "en.json").read_text())
    for name, path, _ in found:
        assert (FOLDER / "screens" / f"{name}.js").exists()
        assert f"screen.{name}" in texts
        at = evaluate("screens.js", "return m.screenAt(given)", path.replace("{id}", "%2F%3Cx"))
        assert (at["screen"]["name"], at["id"]) == (name, "/<x" if "{id}" in path else None)
    assert evaluate("screens.js", "return m.screenAt('/campaigns/a/b') === undefined", None)


def test_a_day_begins_where_its_zone_says(evaluate: Evaluate) -> None:
    chance = random.Random(3)
    days = [date(2025, 1, 1) + timedelta(days=chance.randrange(800)) for _ in range(60)]
    days += [
        date(2026, 3, 29),
        date(2026, 10, 25),
        date(2026, 3, 8),
        date(2026, 11, 1),
        date(2026, 9, 6),
        date(2026, 4, 5),
    ]
    asked = [(day.isoformat(), zone) for day in days for zone in ZONES]
    told = evaluate("model/times.js", "return given.map(([day, zone]) => m.startOf(day, zone))", asked)
    for (day, zone), start in zip(asked, told, strict=True):
        local = datetime.fromisoformat(start).astimezone(ZoneInfo(zone))
        before = (datetime.fromisoformat(start) - timedelta(seconds=1)).astimezone(ZoneInfo(zone))
        assert (local.date().isoformat(), before.date() < local.date()) == (day, True), (day, zone, start)


def test_periods_are_held_against_as_many_days_of_the_same_weekdays(evaluate: Evaluate) -> None:
    now = datetime(2026, 11, 29, 23, 30, 15, tzinfo=UTC)
    asked = [
        {"period": period, "zone": zone} for period in ("today", "7d", "30d", "90d", "12m", "nothing") for zone in ZONES
    ]
    asked += [{"from": "2026-11-20", "to": "2026-12-24", "zone": "UTC"}]  # days to come are left out
    asked += [{"from": "2026-02-01", "to": "2026-03-31", "zone": "Europe/Berlin"}]
    asked += [
        {"from": "2026-03-31", "to": "2026-02-01", "zone": "UTC"},
        {"from": "2026-01-01", "to": "2026-02-30", "zone": "UTC"},
    ]
    expression = "return given.asked.map(({ zone, ...rest }) => m.periodOf(new URLSearchParams(rest), zone, given.now))"
    told = evaluate("model/periods.js", expression, {"asked": asked, "now": now.timestamp() * 1000})
    for given, period in zip(asked, told, strict=True):
        first, last = date.fromisoformat(period["first"]), date.fromisoformat(period["last"])
        assert (last - first).days + 1 == period["days"]
        past = {end: date.fromisoformat(period["before"][end]) for end in ("first", "last")}
        back = first - past["first"]
        assert back % timedelta(days=7) == timedelta(), period
        assert past["last"] < first <= past["last"] + timedelta(days=7)
        assert (period["before"]["from"], last - past["last"]) == (past["first"].isoformat(), back)
        if period["endsNow"]:
            assert last == now.astimezone(ZoneInfo(given["zone"])).date()
            # At the same time of the day, which is not whole days ago where clocks were changed since.
            here, ended = (
                moment.astimezone(ZoneInfo(given["zone"])).replace(tzinfo=None)
                for moment in (now, datetime.fromisoformat(period["before"]["to"]))
            )
            assert timedelta() <= here - back - ended < timedelta(minutes=1)
        else:
            assert period["before"]["to"] == past["last"].isoformat()
    assert [period["name"] for period in told[-3:]] == ["custom", "30d", "30d"]


def test_buckets_have_the_names_that_tell_them_apart(evaluate: Evaluate) -> None:
    expression = "return given.map((resolution) => m.bucket('2026-11-30T00:00:00Z', resolution, 'UTC'))"
    told = evaluate("model/times.js", expression, ["hour", "day", "week", "month"])
    assert [re.sub("[, ]+", " ", name) for name in told] == ["30 Nov 00:00", "Mon 30 Nov", "30 Nov 2026", "Nov 2026"]
    marks = evaluate("model/times.js", expression.replace("bucket", "mark"), ["hour", "day", "week", "month"])
    assert marks == ["30 Nov", "30 Nov", "30 Nov", "Nov 2026"]


def test_hours_are_held_against_those_of_the_clock(evaluate: Evaluate) -> None:
    """On 25 October 2026 clocks in Berlin showed 02:00 twice; a week before they did not."""
    zone = ZoneInfo("Europe/Berlin")

    def hours(day: int, count: int) -> list[dict[str, str]]:
        midnight = (datetime(2026, 10, 1, tzinfo=zone) + timedelta(days=day - 1)).astimezone(UTC)
        return [{"timestamp": (midnight + timedelta(hours=n)).isoformat()} for n in range(count)]

    def clock(row: dict[str, str]) -> str:
        return f"{datetime.fromisoformat(row['timestamp']).astimezone(zone):%H:%M}"

    period = {"resolution": "hour", "first": "2026-10-25", "before": {"first": "2026-10-18"}}
    rows = hours(25, 25)
    given = {"rows": rows, "before": hours(18, 24), "view": {"period": period, "zone": zone.key}}
    told = evaluate("model/curves.js", "return m.alongside(given.rows, given.before, given.view)", given)
    assert [clock(row) for row in told] == [clock(row) for row in rows]
    assert [clock(row) for row in told[1:5]] == ["01:00", "02:00", "02:00", "03:00"]
    # A week later they had been: what was in both hours stands beside the one.
    period = {"resolution": "hour", "first": "2026-11-01", "before": {"first": "2026-10-25"}}
    before = [{**row, "sent": n} for n, row in enumerate(hours(25, 25))]
    given = {"rows": hours(32, 24), "before": before, "view": {"period": period, "zone": zone.key}}
    told = evaluate("model/curves.js", "return m.alongside(given.rows, given.before, given.view)", given)
    assert [row["sent"] for row in told] == [0, 1, 2 + 3, *range(4, 25)]


def test_rates_are_rounded_half_up_on_whole_numbers(evaluate: Evaluate) -> None:
    chance = random.Random(5)
    asked = [(part, whole) for whole in (1, 3, 8, 2000, 4900) for part in range(0, whole + 1, max(1, whole // 40))]
    asked += [(chance.randrange(10**6), chance.randrange(10**6, 10**7)) for _ in range(500)]
    told = evaluate("model/numbers.js", "return given.map(([part, whole]) => m.rate(part, whole))", asked)
    for (part, whole), text in zip(asked, told, strict=True):
        exact = Fraction(part * 1000, whole)
        expected = Decimal(int(exact + Fraction(1, 2))) / 10
        assert Decimal(re.sub(r"[^0-9.]", "", text)) == expected.quantize(Decimal("0.1"), ROUND_HALF_UP), (part, whole)
    for part, whole in ((0, 0), (3, 0), (293, 100)):  # nothing to divide by, and more than the whole
        assert evaluate("model/numbers.js", f"return m.rate({part}, {whole})", None) == "\u2013"
    # 34.245 % is 34.25 % with two decimals, and 34.2 % with one: what is rounded is not rounded again.
    hour = {
        "emails_opened": 6849,
        "emails_clicked": 0,
        "emails_replied": 0,
        "emails_sent": 6000,
        "engagement_score": 34.25,
    }
    assert evaluate("model/week.js", "return m.points(given)", hour) == "34.2"
    rows = [{"delivered": 2000, "unique_opens": 1001}, {"delivered": 0, "unique_opens": 1}]
    assert evaluate("parts/since.js", "return m.grown(given, 'unique_opens')", rows) == [50.1, 50.1]
    assert evaluate("model/complaints.js", "return m.share(given)", {"complained": 7, "delivered": 200_000}) == 0.004


def test_a_single_complaint_needs_no_attention(evaluate: Evaluate) -> None:
    counts = dict.fromkeys(METRICS, 0) | {"sent": 211, "delivered": 211}
    asked = [counts | {"complained": complained} for complained in (0, 1, 2)]
    expression = "return given.map((counts) => m.findings(counts, counts, [], []).map(({ text }) => text))"
    assert evaluate("model/attention.js", expression, asked) == [[], [], ["complained"]]
    little = [
        {"complained": 1, "delivered": 999},
        {"complained": 2, "delivered": 999},
        {"complained": 1, "delivered": 1000},
    ]
    assert evaluate("model/attention.js", "return given.map(m.saysLittle)", little) == [True, False, False]


def test_marks_of_a_scale_begin_at_zero_and_hold_everything(evaluate: Evaluate) -> None:
    chance = random.Random(9)
    asked = [1, 2, 3, 4, 7, 10, 11, 99, 1000, 0.2] + [chance.uniform(0.01, 10**9) for _ in range(200)]
    told = evaluate("parts/plot.js", "return given.map((most) => m.ticks(most, most >= 1))", asked)
    for most, marks in zip(asked, told, strict=True):
        assert marks[0] == 0
        assert marks == sorted(set(marks))
        assert 2 <= len(marks) <= 6
        assert marks[-2] < most <= marks[-1] * (1 + 1e-9), (most, marks)


def test_the_best_hour_is_sure_only_where_chance_would_not_make_it_so(evaluate: Evaluate) -> None:
    asked = [0, 0.3, 1, 1.959963984540054, -2.5, 4, 9]
    told = evaluate("model/sureness.js", "return given.map(m.chanceOf)", asked)
    assert told == pytest.approx([math.erfc(abs(z) / math.sqrt(2)) for z in asked], abs=2e-7)

    def hour(sent: int, opened: int, clicked: int, compared: bool = True) -> dict[str, Any]:
        counts = {"emails_sent": sent, "emails_opened": opened, "emails_clicked": clicked, "emails_replied": 0}
        return counts | {"compared": compared, "engagement_score": (30 * opened + 40 * clicked) / sent}

    best, near, far, little = hour(2000, 1200, 300), hour(2000, 1150, 290), hour(2000, 700, 60), hour(4, 4, 2, False)

    def rivals(hours: list[dict[str, Any]]) -> list[int]:
        expression = "return m.rivals(given[0], given).map((hour) => given.indexOf(hour))"
        found: list[int] = evaluate("model/sureness.js", expression, hours)
        return found

    assert rivals([best, near, far, little]) == [1]
    assert rivals([best, far, little]) == []
    # All of three messages do not make it certain, and the nearer ones come first.
    assert rivals([hour(3, 3, 1), hour(50, 20, 2), hour(50, 25, 2)]) == [2, 1]
    # Of many hours that are really alike, one is ahead by luck: this one would be sure against a single other one.
    ahead, other = hour(1000, 560, 100), hour(1000, 500, 95)
    assert (rivals([ahead, other]), len(rivals([ahead, *[other] * 30]))) == ([], 30)
    # What is surely worse takes no part in the correction of the others.
    assert rivals([hour(1000, 400, 100), hour(1000, 200, 100), hour(1000, 330, 100)]) == []
    # The most that scores can vary: all clicks are of opened messages.
    part, click = Fraction(1201, 2002), Fraction(301, 2002)
    mean = Fraction(3, 10) * part + Fraction(4, 10) * click + Fraction(3, 10) * Fraction(1, 2002)
    square = Fraction(9, 100) * (part - click) + Fraction(49, 100) * (click - Fraction(1, 2002)) + Fraction(1, 2002)
    reach = 196 * math.sqrt((square - mean**2) / 2002)
    expected = [float(100 * mean) - reach, float(100 * mean) + reach]
    assert evaluate("model/sureness.js", "return m.range(given)", best) == pytest.approx(expected, rel=1e-4)
    assert evaluate("model/sureness.js", "return m.range(given)", hour(1, 1, 1))[1] <= 100
    assert evaluate("model/sureness.js", "return m.range(given)", hour(1, 0, 0))[0] == 0


def test_files_hold_what_a_spreadsheet_takes_for_text(evaluate: Evaluate) -> None:
    formulas = ["=1+1", "+1", "-1", "@a", "\ta", "\ra", " =1", "\ufeff+1", "＝1", '"=']
    plain = ['a "b", c', "line\nline", "", "1-1", "ä\u202f€", "a=1;b=2", "a - b"]
    inner = [
        f"x{between}{sign}1" for between in (*";|\t\r\n\x85", '; "', ";\ufeff", ",", " ") for sign in "=+-@＝＋－＠"
    ]
    rows = [{"name": text, "n": place - 3} for place, text in enumerate(formulas + plain + inner)]
    text = evaluate("parts/panel.js", "return m.csv(given)", rows)
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["name"] for row in found] == ["'" + text for text in formulas] + plain + [neutral(t) for t in inner]
    assert [int(row["n"]) for row in found] == [row["n"] for row in rows]


def test_a_command_is_words_of_a_shell_whatever_is_asked(evaluate: Evaluate) -> None:
    body = {"filters": {"tag": ["it's", "$(reboot)", "`x`", '"', "\\", "a\nb", "ä"]}, "metrics": ["sent"]}
    request = {"method": "POST", "path": "/v1/query?a=b&c='", "body": body}
    command = evaluate("api.js", "return m.curl(given)", request)
    words = shlex.split(command)
    assert json.loads(words[words.index("-d") + 1]) == body
    assert SITE + "/v1/query?a=b&c='" in words
    assert "$KEY" in command


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/campaigns/a?who=all", "/campaigns/a?who=all"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/x", "/"),
        ("javascript:alert(1)", "/"),
        ("data:text/html,x", "/"),
        ("http://[", "/"),
        ("/.//evil.example/", "/evil.example/"),
        ("/x/..//\\evil.example/?y", "/evil.example/?y"),
        ("campaigns", "/campaigns"),
    ],
)
def test_a_sign_in_leads_nowhere_else(evaluate: Evaluate, given: str, expected: str) -> None:
    expression = (
        "history.replaceState(null, '', '/login?next=' + encodeURIComponent(given)); return m.addressAfterSignIn()"
    )
    assert evaluate("signing_in.js", expression, given) == expected


def test_explore_asks_only_for_what_goes_together(evaluate: Evaluate) -> None:
    assert evaluate("model/declared.js", "return m.METRICS", None) == list(METRICS)
    assert set(evaluate("model/questions.js", "return m.DIMENSIONS", None)) - {""} == set(DIMENSIONS)
    expression = "return given.map((name) => [m.metricName(name), m.dimensionName(name)])"
    names = evaluate("model/declared.js", expression, ["sent", "tag", "not_known"])
    assert names == [["Sent", "sent"], ["tag", "Tag"], ["not known", "not known"]]
    meanings = evaluate("model/declared.js", "return given.map(m.metricWhat)", list(METRICS))
    assert all(text.endswith(".") and " " in text for text in meanings), meanings
    questions = [{"metric": [metric], "by": by} for metric in METRICS for by in DIMENSIONS]
    expression = (
        "return given.map(({ metric, by }) => m.questionOf(new URLSearchParams([['metric', metric], ['by', by]])))"
    )
    for question in evaluate("model/questions.js", expression, [{**q, "metric": q["metric"][0]} for q in questions]):
        metric, by = question["metrics"][0], question["by"]
        assert by != "link" or metric in ("clicks", "machine_clicks")
        assert by != "currency" or metric in ("conversions", "revenue")
        assert metric != "revenue" or by == "currency"
        assert metric not in ("received", "spam", "size_bytes") or by in ("", "domain")
    asked = "return given.map((text) => m.questionOf(new URLSearchParams(text)).metrics)"
    several = [
        "metric=sent&metric=received&metric=opens&metric=clicks&metric=sent&metric=bounced",
        "metric=received&metric=sent",
    ]
    assert evaluate("model/questions.js", asked, several) == [["sent", "opens", "clicks"], ["received"]]


def test_every_reason_of_a_bounce_has_words() -> None:
    for language in (FOLDER / "texts").iterdir():
        assert {f"bounce.{reason.value}" for reason in Reason} <= json.loads(language.read_text()).keys()


def test_who_turns_mail_away_needs_attention(evaluate: Evaluate) -> None:
    counts = {"sent": 1000, "delivered": 940, "hard_bounced": 5, "complained": 0, "unique_unsubscribed": 0}
    found = evaluate(
        "model/attention.js",
        "return m.findings(given.whole, given.whole, [], given.providers).map(({ text, value }) => [text, value])",
        {
            "whole": counts | {"soft_bounced": 40},
            "providers": [
                counts | {"mailbox_provider": "gmail", "soft_bounced": 49},
                counts | {"mailbox_provider": "outlook", "soft_bounced": 50},
            ],
        },
    )
    assert found == [["soft_bounced.in", "outlook"]]


def test_the_campaign_sent_last_is_the_latest_that_is_large_enough(evaluate: Evaluate) -> None:
    rows = [{"campaign": name, "delivered": n} for name, n in (("a", 200), ("b", 900), ("c", 199), ("d", 900))]
    sent_at = {"a": "2026-11-03T00:00:00Z", "b": "2026-11-02T00:00:00Z", "c": "2026-11-04T00:00:00Z", "d": None}
    listed = [{"id": name, "sent_at": at} for name, at in sent_at.items()]
    expression = (
        "return (m.sentLast(given.rows, given.list, Date.parse('2026-11-02T00:00:00Z')) ?? null)?.campaign ?? null"
    )
    assert evaluate("model/attention.js", expression, {"rows": rows, "list": listed}) == "a"
    assert evaluate("model/attention.js", expression, {"rows": rows, "list": None}) is None


def test_a_campaign_sent_before_the_period_does_not_stand_out_by_the_opens_of_older_mail(evaluate: Evaluate) -> None:
    rows = [
        {"campaign": "before", "delivered": 234, "unique_opens": 1482},
        {"campaign": "well", "delivered": 1000, "unique_opens": 600},
        {"campaign": "badly", "delivered": 1000, "unique_opens": 100},
        {"campaign": "alike", "delivered": 1000, "unique_opens": 350},
        {"campaign": "hidden", "delivered": 1000, "unique_opens": 100, "trackable": 300},
    ]
    listed = [{"id": row["campaign"], "sent_at": f"2026-11-0{day}T00:00:00Z"} for day, row in enumerate(rows, 1)]
    expression = (
        "return m.outstanding(given.rows, given.list, Date.parse('2026-11-02T00:00:00Z'),"
        " { of: 3000, opened: 1050 }).map(({ row }) => row.campaign)"
    )
    assert evaluate("model/attention.js", expression, {"rows": rows, "list": listed}) == ["well", "badly"]


def test_an_interval_is_the_report_s_before_it_is_rounded(evaluate: Evaluate) -> None:
    counts = [(n, of) for of in (1, 7, 240, 1000, 1_000_003) for n in (0, 1, of // 3, of - 1, of, of + 2)]
    given = [{"successes": n, "trials": of} for n, of in counts]
    found = evaluate("model/comparison.js", "return given.map(m.between)", given)
    for (n, of), ends in zip(counts, found, strict=True):
        assert ends == pytest.approx([float(100 * end) for end in wilson(Sample(n, of))], abs=1e-9)
    assert evaluate("model/comparison.js", "return m.between(given)", {"successes": 0, "trials": 0}) is None
