"""`postmeter demo` as a stranger meets it, with few people: stopped while it fills, started again, asked.

It was begun three days ago, so that there are also days that were missed.
"""

import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from postmeter.cli.demo import progress as progresses
from postmeter.cli.demo.model.audience import Audience
from postmeter.cli.demo.model.calendar import CAMPAIGNS, DAYS, Calendar
from postmeter.cli.demo.model.company import SENDERS
from postmeter.cli.demo.model.history import History
from postmeter.cli.demo.model.moments import DAY, MINUTE, SECOND, stamp
from postmeter.cli.demo.play import now
from postmeter.cli.demo.progress import Progress
from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Service
from postmeter.shared.apis.table import ENDPOINTS
from tests.product import Product, descendants, prepare, running, wait_for

PEOPLE = 150
OPENS = ("human_opens", "proxy_opens", "machine_opens")
CLICKS = ("clicks", "machine_clicks")
MISSED = 3
"""Days for which it was off."""
COMMAND = ("demo", "--people", str(PEOPLE))


class Demo:
    """A demo whose history is filled. until: when it was started the last time."""

    def __init__(self, product: Product, first: date, until: int) -> None:
        self.product = product
        self.until = until
        self.calendar = Calendar(first)

    def ask(self, path: str, body: Any = None, **parameters: str) -> Any:
        method = "GET" if body is None else "POST"
        url = self.product.ready["gateway"] + path
        answer = requests.request(method, url, json=body, params=parameters, headers=self.product.headers, timeout=60)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()

    def sums(self, *metrics: str, dimension: str = "", resolution: str = "total", **more: Any) -> list[dict[str, Any]]:
        body = {"metrics": metrics, "from": stamp(self.calendar.start(0)), "resolution": resolution, **more}
        if dimension:
            body["dimensions"] = [dimension]
        found: list[dict[str, Any]] = self.ask("/v1/query", body)["data"]
        return found


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    folder = Path(tempfile.mkdtemp(prefix="pm-"))
    prepare(folder / "data")
    begun = Progress.begun(now() - MISSED * DAY, PEOPLE)
    progresses.save(folder / "data", begun)
    with running(folder, *COMMAND) as product:

        def left() -> list[int]:
            found = progresses.load(product.data)
            return found.days if found else []

        wait_for("the first days", lambda: len(left()) < DAYS - 10)
        children = descendants(product.process.pid)
        product.process.send_signal(signal.SIGINT)
        assert product.process.wait(120) == 0
        wait_for("the end of every child", lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
        assert left(), "it was stopped while it filled"
    until = now()
    with running(folder, *COMMAND) as product:
        wait_for("all days", lambda: "live traffic is on" in product.output.read_text())
        assert f"all {DAYS} days are there" in product.output.read_text()
        yield Demo(product, begun.first, until)
    shutil.rmtree(folder)


def test_it_says_what_is_in_it_and_how_to_be_rid_of_it(demo: Demo) -> None:
    printed = demo.product.output.read_text()
    assert demo.product.ready["workspace"] == "demo"
    assert demo.product.ready["gateway"] in printed
    assert demo.product.ready["api_key"] not in printed
    assert "Ctrl-C stops everything" in printed
    assert f"rm -r {demo.product.data}" in printed


def test_nothing_is_missing_and_nothing_is_twice_after_it_was_broken_off(demo: Demo) -> None:
    """Of all that had happened by the last start, in the history and in the days after it."""
    history = History(1, demo.calendar, Audience(1, PEOPLE, demo.calendar))
    end = demo.until - demo.until % (15 * MINUTE)
    wanted = Counter[str]()
    for number in range(DAYS + MISSED):
        day = history.day(number)
        wanted.update(event.type for mail in day.mails for _, event in mail.events if event.at < end)
        wanted["received"] += sum(item.at < end for item in day.received)
    names = {"opened": OPENS, "clicked": CLICKS, "replied": ("replies",)}

    def found() -> dict[str, int]:
        columns = {kind: names.get(kind, (kind,)) for kind in wanted}
        (row,) = demo.sums(*(metric for metrics in columns.values() for metric in metrics), to=stamp(end))
        return {kind: sum(row[metric] for metric in metrics) for kind, metrics in columns.items()}

    wait_for("the last of it to be counted", lambda: found() == wanted)


def test_every_read_of_the_documents_has_something_to_show(demo: Demo) -> None:
    message = demo.ask("/v1/messages", limit="1")["data"][0]["id"]
    star = demo.calendar.sendings(demo.calendar.star)[0].campaign.id
    bad = demo.calendar.sendings(demo.calendar.bad)[0].campaign.id
    base = "/api/v1/workspaces/{workspaceId}"

    def of_workspace(path: str, body: Any = None) -> Any:
        parameters = {"timeRange": "30d"} if body is None else {}
        return demo.ask(f"/api/v1/workspaces/demo{path}", body, **parameters)["data"]

    found = {
        "/api/v1/analytics": demo.ask("/api/v1/analytics", period="30d")["data"]["totals"]["sent"],
        "/api/v1/tracking/stats": demo.ask("/api/v1/tracking/stats")["data"]["unique_clicks"],
        "/v1/metrics": sum(row["clicked"] for row in demo.ask("/v1/metrics")["data"]),
        "/v1/metrics/breakdown": demo.ask("/v1/metrics/breakdown", type="provider")["data"][3:],
        "/v1/metrics/summary": demo.ask("/v1/metrics/summary")["data"]["totalClicked"],
        "/v1/messages": demo.ask("/v1/messages", status="BOUNCED")["data"],
        "/v1/messages/{id}": demo.ask(f"/v1/messages/{message}")["data"]["subject"],
        "/v1/messages/{id}/events": demo.ask(f"/v1/messages/{message}/events")["data"]["events"],
        "/v1/workspace": demo.ask("/v1/workspace")["data"]["timezone"],
        f"{base}/campaigns/{{campaignId}}/analytics": of_workspace(f"/campaigns/{star}/analytics")["rates"][
            "click_rate"
        ],
        f"{base}/analytics/overview": of_workspace("/analytics/overview")["top_campaigns"][4:],
        f"{base}/analytics/deliverability": of_workspace("/analytics/deliverability")["bounce_analysis"][
            "soft_bounces"
        ],
        f"{base}/analytics/engagement-heatmap": of_workspace("/analytics/engagement-heatmap")["optimal_send_time"],
        f"{base}/analytics/compare": of_workspace("/analytics/compare", {"campaign_ids": [star, bad]}),
        "/api/v1/analytics/overview": demo.ask("/api/v1/analytics/overview")["metrics"]["sends"],
        "/api/v1/analytics/campaigns/{id}": demo.ask(f"/api/v1/analytics/campaigns/{star}")["timeline"],
        "/mail/v1/analytics": demo.ask("/mail/v1/analytics")["metrics"]["clicks"],
        "/api/v1/mail/stats": demo.ask("/api/v1/mail/stats", period="30d")["data"]["by_status"]["bounced"],
        "/api/v1/mail/stats/daily": demo.ask("/api/v1/mail/stats/daily")["data"][29:],
        "/v1/campaigns": demo.ask("/v1/campaigns")["data"][39:],
        "/v1/messages/search": demo.ask("/v1/messages/search", {"engagement": "clicked"})["data"],
    }
    assert {path for path, shown in found.items() if not shown} == set()
    reads = {
        endpoint.path
        for endpoint in ENDPOINTS
        if endpoint.document is not NATIVE
        and endpoint.service is Service.QUERY
        and endpoint.scope
        and "export" not in endpoint.path
    }
    assert reads <= set(found), "all of them are asked"


def test_people_proxies_and_machines_and_money_are_all_there(demo: Demo) -> None:
    (row,) = demo.sums("human_opens", "proxy_opens", "machine_opens", "clicks", "machine_clicks")
    assert min(row.values()) > 10
    revenue = {row["currency"]: float(row["revenue"]) for row in demo.sums("revenue", dimension="currency")}
    assert set(revenue) == {"EUR", "USD"}
    attributed = [row for row in demo.sums("conversions", dimension="campaign") if row["campaign"]]
    assert attributed
    domains = {row["domain"] for row in demo.sums("sent", dimension="domain")}
    assert domains == {sender.domain for sender in SENDERS}
    campaigns = {row["campaign"] for row in demo.sums("sent", dimension="campaign")}
    assert CAMPAIGNS - 1 <= len([name for name in campaigns if "flash" not in name]) <= CAMPAIGNS + 10
    mailboxes = {row["mailbox_provider"] for row in demo.sums("sent", dimension="mailbox_provider")}
    assert {"gmail", "outlook", "icloud", "yahoo", "gmx", "microsoft_365", "google_workspace"} < mailboxes
    found = demo.ask("/v1/messages/search", {"engagement": "opened"})["data"]
    assert all(message["recipient_ref"].startswith(("C-", "A-")) for message in found)


def test_the_bad_day_shows(demo: Demo) -> None:
    days = demo.sums("bounced", "sent", "complained", resolution="day")
    worst = max(days, key=lambda row: row["bounced"])
    assert worst["timestamp"][:10] == demo.calendar.date(demo.calendar.bad).isoformat()
    start, end = (stamp(demo.calendar.start(day)) for day in (demo.calendar.bad, demo.calendar.bad + 1))
    outlook: dict[str, Any] = {"filters": {"mailbox_provider": ["outlook"]}, "from": start, "to": end}
    (blocked,) = demo.sums("bounced", "delivered", **outlook)
    assert blocked["bounced"] > 5
    report = demo.ask("/api/v1/workspaces/demo/analytics/deliverability", timeRange="30d")["data"]
    scores = {row["date"][:10]: row["score"] for row in report["reputation_trend"]}
    before, after = (demo.calendar.date(demo.calendar.bad + day).isoformat() for day in (-1, 1))
    assert scores[after] < scores[before] - 10


def test_live_traffic_comes_and_nothing_lies_ahead(demo: Demo) -> None:
    def sent() -> int:
        return int(demo.sums("sent", to=stamp(int(datetime.now(UTC).timestamp()) * SECOND + 30 * MINUTE))[0]["sent"])

    before = sent()
    wait_for("more mail", lambda: sent() > before)
    ahead = datetime.now(UTC) + timedelta(minutes=20)
    later = demo.sums(
        "sent",
        "delivered",
        "human_opens",
        "proxy_opens",
        to=(ahead + timedelta(days=9)).isoformat(),
        **{"from": ahead.isoformat()},
    )
    assert not any(value for row in later for value in row.values())
