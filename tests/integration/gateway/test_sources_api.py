"""`/v1/sources` and `postmeter source show`, through a real gateway, tracking-service and deliveries."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postmeter.shared.auth.secret import Secret
from tests.integration.running_gateway import bearer
from tests.roles import of_service
from tests.waiting import until
from tests.webhooks.accounts import Postmark, Source
from tests.webhooks.posting import WebhookGateway, posting

SES = "arn:aws:sns:eu-west-1:123456789012:mail-events"


@pytest.fixture
async def post(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[WebhookGateway]:
    async with posting(
        postgres_dsn, redis_url, tmp_path, postgres_dsn=Secret(of_service(postgres_dsn, "tracking"))
    ) as made:
        yield made


async def ask(post: WebhookGateway, method: str, path: str = "", body: Any = None, key: str = "") -> tuple[int, Any]:
    headers = bearer(key or post.key)
    async with post.session.request(method, f"{post.gateway}/v1/sources{path}", headers=headers, json=body) as answer:
        return answer.status, json.loads(await answer.read())


async def good(post: WebhookGateway, method: str, path: str = "", body: Any = None) -> Any:
    status, answer = await ask(post, method, path, body)
    assert status < 300, answer
    return answer["data"]


def door(post: WebhookGateway, made: Any, secret: str = "") -> Source:
    return Source(made["url"], secret or made["secret"])


async def test_a_source_from_its_making_to_its_end(post: WebhookGateway) -> None:
    made = await good(post, "POST", "", {"provider": "postmark", "name": "transactional"})
    assert (made["provider"], made["name"], made["engagement"]) == ("postmark", "transactional", "own")
    assert made["paste"] == made["url"].replace("://", f"://postmeter:{made['secret']}@")
    assert (made["secret_missing"], made["last_delivery"], made["last_error"]) == (False, None, None)
    account = Postmark()
    await post.take(door(post, made), account.delivered(door(post, made), "m-1"))
    (listed,) = await good(post, "GET")
    assert "secret" not in listed
    assert made["secret"] not in json.dumps(listed)
    assert (listed["last_delivery"]["events"], listed["last_delivery"]["not_understood"]) == (1, 0)

    rotated = await good(
        post, "PATCH", f"/{made['id']}", {"rotate_secret": True, "name": "all", "engagement": "provider"}
    )
    assert rotated["secret"] not in ("", None, made["secret"])
    assert (rotated["name"], rotated["engagement"]) == ("all", "provider")

    async def followed() -> bool:
        status, _, _ = await post.post(door(post, rotated), account.delivered(door(post, rotated), "m-2"))
        return status == 200

    await until(followed)
    assert (await post.post(door(post, made), account.delivered(door(post, made), "m-3")))[0] == 401
    revoked = await good(post, "DELETE", f"/{made['id']}")
    assert revoked["id"] == made["id"]
    assert await good(post, "GET") == []
    for method, body in (("GET", None), ("PATCH", {"name": "x"})):
        assert (await ask(post, method, f"/{made['id']}", body))[0] == 404


async def test_it_shows_what_was_not_taken_and_not_understood_without_addresses(post: WebhookGateway) -> None:
    made = await good(post, "POST", "", {"provider": "postmark"})
    at = door(post, made)
    body, headers = Postmark().delivered(at, "m-1")
    assert (await post.post(at, (body, {**headers, "Authorization": "Basic eDp5"})))[0] == 401
    # What says neither what happened nor to which message.
    await post.take(at, (b'{"Email": "somebody.private@person.example", "Geo": {"IP": "203.0.113.77"}}', headers))
    shown = await good(post, "GET", f"/{made['id']}")
    (refused,), (unread,) = shown["refused"], shown["not_understood"]
    assert refused["reason"].startswith("401: ")
    assert refused["item"] is None
    assert "person.example" in unread["item"]
    assert "somebody.private" not in json.dumps(shown)
    assert "203.0.113" not in json.dumps(shown)
    assert shown["deliveries"][0]["not_understood"] == 1
    assert shown["last_error"] == unread
    (listed,) = await good(post, "GET")
    assert listed == {name: value for name, value in shown.items() if name in listed}
    output = await post.command("source", "show", made["id"])
    assert "not understood 1" in output
    assert unread["reason"] in output
    assert refused["reason"] in output
    assert "somebody.private" not in output


async def test_a_bounce_of_an_address_counts_for_its_message_or_is_shown(post: WebhookGateway) -> None:
    """Nobody can tell whose it is where two messages fit; the other recipient got one mail only."""
    made = await good(post, "POST", "", {"provider": "postmark"})
    at = door(post, made)
    _, headers = Postmark().delivered(at, "m-1")
    for to in ("ada@mail.example", "eve@mail.example", "eve@mail.example"):
        await post.register(to=to, provider="POSTMARK")
    for to in ("Ada@mail.example", "eve@mail.example"):
        told = {"RecordType": "Bounce", "Type": "HardBounce", "MessageID": None, "Email": to, "Details": "550 gone"}
        assert await post.take(at, (json.dumps(told).encode(), headers)) == {"accepted": 1, "rejected": []}
    await post.bench.counted()
    assert await post.bench.value("SELECT count(*) FROM waiting") == 2
    await post.bench.db.execute("UPDATE waiting SET look_at = now()")
    await post.counts({"hard_bounced": 1})

    async def shown() -> bool:
        return bool((await good(post, "GET", f"/{made['id']}"))["not_understood"])

    await until(shown)
    (unread,) = (await good(post, "GET", f"/{made['id']}"))["not_understood"]
    assert unread["reason"] == "bounced names only an address, and several messages to it fit"
    assert "mail.example" in unread["item"]
    assert "eve@" not in json.dumps(unread)
    assert unread["reason"] in await post.command("source", "show", made["id"])
    (letter,) = await post.dead_letters()
    assert letter["reason"] == f"webhook {made['id']}: {unread['reason']}"


async def test_a_history_is_bounded(post: WebhookGateway) -> None:
    made = await good(post, "POST", "", {"provider": "postmark"})
    at = door(post, made)
    for n in range(25):
        await post.take(at, Postmark().delivered(at, f"m-{n}"))
        await post.post(at, (b"{}", {}))
    shown = await good(post, "GET", f"/{made['id']}")
    assert (len(shown["deliveries"]), len(shown["refused"])) == (20, 20)


async def test_a_provider_s_own_secret_may_come_later(post: WebhookGateway) -> None:
    made = await good(post, "POST", "", {"provider": "mandrill"})
    assert (made["secret"], made["paste"], made["secret_missing"]) == (None, None, True)
    assert (await good(post, "PATCH", f"/{made['id']}", {"name": "x"}))["secret_missing"] is True
    changed = await good(post, "PATCH", f"/{made['id']}", {"secret": " their-key "})
    assert (changed["secret"], changed["secret_missing"]) == (None, False)
    assert (await good(post, "PATCH", f"/{made['id']}", {"name": "y"}))["secret_missing"] is False
    assert (await ask(post, "PATCH", f"/{made['id']}", {"rotate_secret": True}))[0] == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"provider": "pigeon"}, "provider"),
        ({}, "provider"),
        ({"provider": "postmark", "engagement": "both"}, "engagement"),
        ({"provider": "postmark", "options": {"topics": "x"}}, "options"),
        ({"provider": "ses", "options": {"topics": "not an ARN"}}, "options"),
        ({"provider": "resend", "secret": "re_an_api_key"}, "secret"),
        ({"provider": "mandrill", "secret": ""}, "secret"),
        ({"provider": "postmark", "name": "\x00"}, "name"),
        ({"provider": "postmark", "nmae": "x"}, "nmae"),
    ],
)
async def test_what_cannot_be_is_named(post: WebhookGateway, body: dict[str, Any], field: str) -> None:
    status, answer = await ask(post, "POST", "", body)
    assert (status, answer["error"]["field"]) == (400, field), answer
    assert await good(post, "GET") == []


async def test_only_administrators_of_the_workspace_manage_its_sources(post: WebhookGateway) -> None:
    made = await good(post, "POST", "", {"provider": "ses", "options": {"topics": SES}})
    workspace = await post.bench.value("SELECT number FROM workspace WHERE id = 'shop'")
    other = await post.here.key(await post.here.workspace("elsewhere"), "super_admin", ("track",))
    assert (await ask(post, "GET", "", key=other))[1] == {"data": []}
    unknown = "src_" + "0" * 20
    for method, body in (("GET", None), ("PATCH", {"name": "theirs"}), ("DELETE", None)):
        theirs, nobody = [await ask(post, method, f"/{one}", body, other) for one in (made["id"], unknown)]
        assert theirs == nobody
        assert theirs[0] == 404
    for role, scopes in (("member", ("track",)), ("admin", ("analytics",))):
        key = await post.here.key(workspace, role, scopes)
        assert (await ask(post, "GET", "", key=key))[0] == 403
    key = await post.here.key(workspace, "domain_admin", ("track",), ["shop.example"])
    assert (await ask(post, "POST", "", {"provider": "postmark"}, key))[0] == 403
    assert (await good(post, "GET"))[0]["name"] == ""


async def test_a_workspace_has_a_bounded_number_of_sources(
    post: WebhookGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    from postmeter.tracking.webhooks.sources import registry

    monkeypatch.setattr(registry, "MOST", 1)
    await good(post, "POST", "", {"provider": "postmark"})
    status, answer = await ask(post, "POST", "", {"provider": "postmark"})
    assert (status, answer["error"]["code"]) == (409, "TOO_MANY_SOURCES")
