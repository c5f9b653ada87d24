"""One day's mail on the running product, told by all five documents and the native query: they must agree."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from misarmail import MisarMailClient
from misarmail.errors import MisarMailError

from tests.product import Product, running, wait_for

HUMAN = {"User-Agent": "Thunderbird"}


class Caller:
    """A client of the product: base URL and key are all it knows."""

    def __init__(self, product: Product) -> None:
        self.base = product.ready["gateway"]
        self.workspace = product.ready["workspace"]
        self.headers = product.headers
        self.key = product.ready["api_key"]

    def get(self, path: str, **parameters: str) -> Any:
        answer = requests.get(self.base + path, params=parameters, headers=self.headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def told(self, path: str, body: Any) -> Any:
        """The answer; None for a 503, which says to send the same again."""
        answer = requests.post(self.base + path, json=body, headers=self.headers, timeout=60)
        assert answer.status_code in (200, 503), answer.text
        return answer.json() if answer.status_code == 200 else None

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        answer = requests.post(self.base + path, json=body, headers=self.headers, timeout=60)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with running(tmp_path_factory.mktemp("documents")) as product:
        caller = Caller(product)
        mail(caller)

        def counted() -> bool:
            metrics = caller.get("/api/v1/analytics/overview")["metrics"]
            return bool(metrics["sends"] == 10 and metrics["opens"] == 8 and metrics["clicks"] == 2)

        wait_for("the mail to be counted", counted)
        yield caller


def test_the_published_client_needs_another_base_url_and_key_only(caller: Caller) -> None:
    client = MisarMailClient(caller.key, f"{caller.base}/mail/v1", max_retries=1)
    # The mail may be of the day before: the tests may run at midnight.
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    whole = client.analytics.overview(start_date=yesterday, group_by="campaign")
    assert whole["success"]
    assert {"spring", "autumn"} <= {part["group"] for part in whole["groups"]}
    assert sum(part["metrics"]["sends"] for part in whole["groups"]) == whole["metrics"]["sends"] == 10
    assert client.analytics.overview(campaign_id="spring")["metrics"]["sends"] == 6
    event = client.track.event({"event_name": "trial_started", "contact_email": "x@y.example"})
    assert event["event_id"].startswith("evt_")
    bought = {"contact_email": "z@y.example", "amount": 0.1 + 0.2, "currency": "CHF", "order_id": "client-1"}
    assert client.track.purchase(bought) == client.track.purchase({**bought, "amount": 0.3})
    with pytest.raises(MisarMailError, match="amount: "):
        client.track.purchase({**bought, "amount": -1})


def mail(caller: Caller) -> None:
    """Ten messages of two campaigns: eight delivered, one bounced, one failed; four opened, two clicked."""
    link = '<a href="https://shop.example/offer">offer</a>'
    made = caller.post(
        "/v1/messages",
        {
            "messages": [
                {
                    "campaign_id": "spring" if n < 6 else "autumn",
                    "campaign_name": "Spring" if n < 6 else "Autumn",
                    "from_address": "news@shop.example" if n % 2 else "news@other.example",
                    "to": f"reader{n}@{'gmail.com' if n < 4 else 'example.org'}",
                    "subject": f"Offer {n}",
                    "provider": "sendgrid",
                    "html": link,
                }
                for n in range(10)
            ]
        },
        201,
    )["data"]
    outcomes = [{"type": "bounced", "bounce_type": "hard", "reason": "550 5.1.1 no such user"}, {"type": "failed"}]
    outcomes += [{"type": "delivered"}] * 8
    events = [{"type": "sent", "message_id": message["id"]} for message in made]
    events += [{**what, "message_id": message["id"]} for what, message in zip(outcomes, made, strict=True)]
    events += [{"type": "received", "domain": "shop.example", "size_bytes": 700, "spam": True}]
    told = caller.post("/v1/events", {"events": events}, 202)
    assert told == {"accepted": 21, "duplicates": 0, "rejected": []}
    for message in made[2:6]:
        for _ in range(2):
            assert requests.get(message["open_url"], headers=HUMAN, timeout=60).status_code == 200
    for message in made[4:6]:
        url = message["links"][0]["tracking_url"]
        assert requests.get(url, headers=HUMAN, timeout=60, allow_redirects=False).status_code == 302


def test_the_five_documents_agree(caller: Caller) -> None:
    base = f"/api/v1/workspaces/{caller.workspace}"
    d1 = caller.get("/api/v1/analytics", period="1h")["data"]["totals"]
    assert {name: d1[name] for name in ("sent", "received", "bounced", "spam", "failed", "size_bytes")} == {
        "sent": 10, "received": 1, "bounced": 1, "spam": 1, "failed": 1, "size_bytes": 700,
    }  # fmt: skip
    assert (d1["bounce_rate"], d1["spam_rate"]) == (10, 100)
    d2 = caller.get("/v1/metrics/summary")["data"]
    assert (d2["totalSent"], d2["totalDelivered"], d2["totalOpened"], d2["totalClicked"]) == (10, 8, 4, 2)
    assert (d2["deliveryRate"], d2["openRate"], d2["clickRate"]) == (0.8, 0.5, 0.5)
    assert caller.get("/v1/messages", status="DELIVERED")["pagination"]["total"] == 8
    campaign = caller.get(f"{base}/campaigns/spring/analytics", timeRange="7d")["data"]
    assert campaign["summary"]["emails_sent"] == 6
    assert campaign["rates"]["open_rate"] == 100
    deliverability = caller.get(f"{base}/analytics/deliverability")["data"]
    assert deliverability["bounce_analysis"]["top_bounce_reasons"] == [
        {"reason": "Invalid recipient", "count": 1, "percentage": 100.0}
    ]
    d4 = caller.get("/api/v1/analytics/campaigns/spring")
    assert (d4["metrics"]["total_recipients"], d4["metrics"]["total_opened"]) == (6, 8)
    assert d4["campaign"]["status"] == "sent"
    assert caller.get("/api/v1/mail/stats", period="1d")["data"]["by_status"] == {
        "delivered": 8, "bounced": 1, "failed": 1,
    }  # fmt: skip
    native = caller.post("/v1/query", {"metrics": ["sent", "unique_opens", "unique_clicks"], "dimensions": ["domain"]})[
        "data"
    ]
    assert native == [
        {"domain": "other.example", "sent": 5, "unique_opens": 2, "unique_clicks": 1},
        {"domain": "shop.example", "sent": 5, "unique_opens": 2, "unique_clicks": 1},
    ]
    native = caller.post("/v1/query", {"metrics": ["sent", "bounced"], "dimensions": ["mailbox_provider"]})["data"]
    assert native == [
        {"mailbox_provider": "", "sent": 6, "bounced": 0},
        {"mailbox_provider": "gmail", "sent": 4, "bounced": 1},
    ]


def test_a_purchase_is_attributed_and_earns_its_campaign_something(caller: Caller) -> None:
    bought = {"contact_email": "Reader4@example.org", "amount": 99.99, "currency": "USD", "order_id": "order_12345"}
    # Where counting takes longer than an answer may wait, it says so, and is to be sent again.
    first = wait_for("an attributed purchase", lambda: caller.told("/api/v1/track/purchase", bought))
    assert (first["success"], first["attributed_campaign_id"]) == (True, "spring")
    assert caller.post("/api/v1/track/purchase", bought) == first
    other = caller.post("/api/v1/track/purchase", {**bought, "amount": 1}, 409)
    assert (other["success"], other["error_type"]) == (False, "ORDER_CONFLICT")
    unknown = {"contact_email": "x@y.example", "amount": 0.1, "currency": "EUR", "order_id": "order_2"}
    stranger = wait_for("another", lambda: caller.told("/api/v1/track/purchase", unknown))
    assert stranger["attributed_campaign_id"] is None
    wrong = caller.post("/api/v1/track/purchase", {**bought, "amount": -1}, 422)
    assert wrong["error"].startswith("amount: ")
    event = caller.post("/api/v1/track/event", {"event_name": "trial_started", "contact_email": "x@y.example"})
    assert event == {"success": True, "event_id": event["event_id"]}
    earned = {
        "metrics": ["conversions", "revenue"],
        "dimensions": ["campaign", "domain", "currency"],
        "filters": {"currency": ["EUR", "USD"]},
    }
    assert caller.post("/v1/query", earned)["data"] == [
        {"campaign": "", "domain": "", "currency": "EUR", "conversions": 1, "revenue": 0.1},
        {"campaign": "spring", "domain": "other.example", "currency": "USD", "conversions": 1, "revenue": 99.99},
    ]


def test_an_export_of_the_same_mail_can_be_fetched_without_a_key(caller: Caller) -> None:
    base = f"/api/v1/workspaces/{caller.workspace}/analytics"
    ordered = caller.post(f"{base}/export", {"export_type": "messages", "format": "csv", "time_range": "7d"})["data"]

    def finished() -> dict[str, Any] | None:
        status: dict[str, Any] = caller.get(f"{base}/exports/{ordered['export_id']}")["data"]
        return status if status["status"] == "completed" else None

    status = wait_for("the export", finished)
    file = requests.get(status["download_url"], timeout=60)
    assert file.status_code == 200
    assert len(file.content) == status["file_size_bytes"]
    assert len(file.text.splitlines()) == 11
    forged = requests.get(status["download_url"].replace("signature=", "signature=A"), timeout=60)
    assert forged.status_code == 403
