"""A reader refuses on their page: mail that is out already is served as ever, and nothing more of them is recorded."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from tests.product import Product, running, wait_for
from tests.webhooks.postmark import record
from tests.webhooks.signatures import basic


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("revocation")) as made:
        yield made


def ask(product: Product, method: str, path: str, body: Any = None) -> Any:
    url = product.ready["gateway"] + path
    answer = requests.request(method, url, json=body, headers=product.headers, timeout=30)
    assert answer.status_code < 300, answer.text
    return answer.json()


def registered(product: Product, to: str, **more: Any) -> Any:
    mail = {"from_address": "news@shop.example", "to": to, "html": '<a href="https://shop.example/">Shop</a>'}
    return ask(product, "POST", "/v1/messages", mail | more)["data"]


def refused(product: Product, message: Any) -> None:
    """On the message's page; returns once it holds."""
    saved = requests.post(message["preferences_url"], data={"opens": "denied", "clicks": "denied"}, timeout=30)
    assert saved.status_code == 200

    def holds() -> bool:
        to_hash = ask(product, "GET", f"/v1/messages/{message['id']}/events")["data"]["to_hash"]
        found = ask(product, "GET", f"/v1/recipients/consent?to_hash={to_hash}")["data"]
        return bool((found["opens"], found["clicks"]) == ("denied", "denied"))

    wait_for("the refusal", holds)


def happened(product: Product, message: Any) -> list[str]:
    found = requests.get(
        f"{product.ready['gateway']}/v1/messages/{message['id']}/events", headers=product.headers, timeout=30
    )
    return [one["type"] for one in found.json()["data"]["events"]] if found.status_code == 200 else []


def opened(message: Any) -> None:
    answer = requests.get(message["open_url"], timeout=30)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/gif")


def clicked(message: Any) -> None:
    answer = requests.get(message["links"][0]["tracking_url"], allow_redirects=False, timeout=30)
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://shop.example/")


def told(product: Product, message: Any, kind: str) -> None:
    ask(product, "POST", "/v1/events", {"events": [{"type": kind, "message_id": message["id"]}]})


def test_after_a_refusal_nothing_is_recorded_whichever_way_it_comes(product: Product) -> None:
    old, other = registered(product, "ada@mail.example"), registered(product, "ada@mail.example")
    witness = registered(product, "bob@mail.example")
    opened(old)
    wait_for("the first open", lambda: happened(product, old) == ["opened"])
    refused(product, other)
    for message in (old, other):
        opened(message)
        clicked(message)
        for kind in ("opened", "clicked", "delivered"):
            told(product, message, kind)
    opened(witness)
    clicked(witness)

    def all_counted() -> bool:
        delivered = all("delivered" in happened(product, message) for message in (old, other))
        return delivered and sorted(happened(product, witness)) == ["clicked", "opened"]

    wait_for("what came after", all_counted)
    assert happened(product, old) == ["opened", "delivered"], "what was recorded before stays, deliveries count"
    assert happened(product, other) == ["delivered"]

    def untracked() -> Any:
        """As soon as tracking-service knows that the workspace has said anything: a second later at most."""
        made = registered(product, "ada@mail.example")
        return made if made["open_url"] is None else None

    after = wait_for("a message without a pixel", untracked)
    assert after["links"] == []
    assert after["tracking"]["decided_by"] == {"opens": "recipient", "clicks": "recipient"}


def test_a_providers_webhook_tells_nothing_of_who_refused(product: Product) -> None:
    """Mail without our pixel, whose opens and clicks the provider tells; and mail that nobody registered."""
    made = ask(product, "POST", "/v1/sources", {"provider": "postmark", "name": "of the test"})["data"]
    begin = {"provider": "POSTMARK", "track_opens": False, "track_clicks": False, "campaign_id": "told"}
    old, witness = (
        registered(product, f"{who}@mail.example", provider_message_id=f"pm-{who}", **begin) for who in ("eve", "joe")
    )
    seen = {"ReceivedAt": datetime.now(UTC).isoformat(), "UserAgent": "Thunderbird"}

    def tell(name: str, who: str, *kinds: str) -> None:
        about = {"MessageID": name, "Recipient": f"{who}@mail.example", "Metadata": {}, "From": "news@shop.example"}
        for kind in kinds:
            more = {"DeliveredAt": seen["ReceivedAt"]} if kind == "Delivery" else seen
            link = {"OriginalLink": "https://shop.example/"} if kind == "Click" else {}
            answer = requests.post(
                made["url"], json=record(kind, **about, **more, **link), headers=basic(made["secret"]), timeout=30
            )
            assert answer.status_code == 200, answer.text

    def totals() -> dict[str, int]:
        asked: dict[str, Any] = {
            "metrics": ["delivered", "unique_opens", "opens", "machine_opens", "clicks", "anonymous_opens"]
        }
        asked |= {"filters": {"domain": ["shop.example"]}}
        return dict(ask(product, "POST", "/v1/query", asked)["data"][0])

    tell("pm-eve", "eve", "Open")
    wait_for("the first open", lambda: happened(product, old) == ["opened"])
    refused(product, old)
    before = totals()
    for name in ("pm-eve", "pm-of-nobody"):
        # Its bytes are an event's key where a provider names none: these are others than before.
        seen["ReceivedAt"] = datetime.now(UTC).isoformat()
        tell(name, "eve", "Open", "Click", "Delivery")
    tell("pm-joe", "joe", "Open", "Click")
    wait_for("what came after", lambda: sorted(happened(product, witness)) == ["clicked", "opened"])

    def counted() -> bool:
        return totals()["delivered"] == before["delivered"] + 2

    wait_for("deliveries", counted)
    assert sorted(happened(product, old)) == ["delivered", "opened"]
    now = totals()
    told = {name: now[name] - before[name] for name in now if name != "machine_opens"}
    assert told == {"delivered": 2, "unique_opens": 1, "opens": 1, "clicks": 1, "anonymous_opens": 0}
    found = ask(product, "POST", "/v1/messages/search", {"engagement": "opened"})["data"]
    assert {one["id"] for one in found} >= {old["id"], witness["id"]}
    to_hash = ask(product, "GET", f"/v1/messages/{old['id']}/events")["data"]["to_hash"]
    kept = ask(product, "POST", "/v1/recipients/export", {"to_hash": to_hash})["data"]["messages"]
    assert sorted(event["type"] for one in kept for event in one["events"]) == ["delivered", "delivered", "opened"]
