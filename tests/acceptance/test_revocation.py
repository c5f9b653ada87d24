"""A reader refuses on his page: mail that is out already is served as ever, and nothing of him is recorded any more."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.product import Product, running, wait_for


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("revocation")) as made:
        yield made


def ask(product: Product, method: str, path: str, body: Any = None) -> Any:
    url = product.ready["gateway"] + path
    answer = requests.request(method, url, json=body, headers=product.headers, timeout=30)
    assert answer.status_code < 300, answer.text
    return answer.json()


def registered(product: Product, to: str) -> Any:
    mail = {"from_address": "news@shop.example", "to": to, "html": '<a href="https://shop.example/">Shop</a>'}
    return ask(product, "POST", "/v1/messages", mail)["data"]


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
    saved = requests.post(other["preferences_url"], data={"opens": "denied", "clicks": "denied"}, timeout=30)
    assert saved.status_code == 200
    to_hash = ask(product, "GET", f"/v1/messages/{old['id']}/events")["data"]["to_hash"]

    def refused() -> bool:
        found = ask(product, "GET", f"/v1/recipients/consent?to_hash={to_hash}")["data"]
        return bool((found["opens"], found["clicks"]) == ("denied", "denied"))

    wait_for("the refusal", refused)
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
