"""The audit log: each change by the API and by command leaves one entry, which nobody changes and others never see."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from postmeter.cli.main import main
from postmeter.query.requests import fitting
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.audit import Action, AuditMetrics
from tests.integration.running_gateway import bearer, gateway
from tests.integration.running_query import Workspaces, query_service, workspaces
from tests.roles import of_service

ALL = ("analytics", "track", "mail:read", "access", "privacy")
EMAIL, SECRET = "ada@shop.example", "k" * 40


@dataclass
class AuditedWorkspace:
    here: Workspaces
    url: str
    session: aiohttp.ClientSession
    workspace: int
    key: str

    async def ask(self, method: str, path: str, body: Any = None, key: str = "") -> Any:
        headers = bearer(key or self.key)
        async with self.session.request(method, self.url + path, json=body, headers=headers) as answer:
            told = await answer.json()
            assert answer.status < 300, told
            return told

    async def entries(self, query: str = "", key: str = "") -> Any:
        return await self.ask("GET", f"/v1/audit{query}", key=key)


@pytest.fixture
async def office(postgres_dsn: str, redis_url: str) -> AsyncIterator[AuditedWorkspace]:
    async with (
        workspaces(postgres_dsn) as here,
        query_service(here, redis_url, datetime.now(UTC)) as query,
        gateway(postgres_dsn, query_url=query) as url,
        aiohttp.ClientSession() as session,
    ):
        number = await here.workspace("acme")
        yield AuditedWorkspace(here, url, session, number, await here.key(number, "admin", ALL))


async def test_each_change_by_the_api_leaves_an_entry(office: AuditedWorkspace) -> None:
    ask = office.ask
    await ask("PUT", "/v1/verdicts", {"early_seconds": 3})
    await ask("POST", "/v1/sending-ips", {"ips": ["9.9.9.9"]})
    await ask("POST", "/v1/sending-ips", {"ips": ["9.9.9.9"]})
    await ask("DELETE", "/v1/sending-ips/9.9.9.9")
    user = (await ask("POST", "/v1/users", {"email": EMAIL, "role": "viewer"}))["data"]["id"]
    await ask("PATCH", f"/v1/users/{user}", {"role": "member"})
    await ask("PATCH", f"/v1/users/{user}", {"role": "member"})
    await ask("PATCH", f"/v1/users/{user}", {"reset": True})
    await ask("DELETE", f"/v1/users/{user}")
    made = (await ask("POST", "/v1/keys", {"role": "member", "scopes": ["track"], "name": "shop"}))["data"]
    await ask("DELETE", f"/v1/keys/{made['id']}")
    await ask("PUT", "/v1/privacy", {"opens": "anonymous"})
    told = (await office.entries())["data"]
    told.reverse()
    assert [one["action"] for one in told] == [
        "verdicts.changed",
        "sending_ips.added",
        "sending_ips.removed",
        "user.created",
        "user.changed",
        "user.changed",
        "user.removed",
        "key.created",
        "key.revoked",
        "privacy.changed",
    ]
    assert {one["actor"] for one in told} == {f"key:{office.key.split('_')[1][:16]}"}
    assert told[0]["details"] == {"early_seconds": 3}
    assert {one["target"] for one in told[3:7]} == {user}
    assert (told[4]["details"]["role"], told[5]["details"]["reset"]) == ("member", True)
    assert told[7]["details"] == {"name": "shop", "role": "member", "scopes": ["track"], "domains": None}
    assert told[9]["details"] == {"opens": ["full", "anonymous"]}
    text = json.dumps(told)
    assert "@" not in text
    assert made["key"] not in text


def counted(metrics: CollectorRegistry, action: Action) -> float:
    return metrics.get_sample_value("postmeter_audit_entries_total", {"action": action.value}) or 0.0


async def test_what_is_taken_back_is_not_counted(office: AuditedWorkspace) -> None:
    """An account that is disabled and reset in one request: refused, after its entry was written."""
    AuditMetrics(metrics := CollectorRegistry())
    user = (await office.ask("POST", "/v1/users", {"email": EMAIL, "role": "viewer"}))["data"]["id"]
    before, made = (counted(metrics, action) for action in (Action.USER_CHANGED, Action.USER_CREATED))
    body = {"disabled": True, "reset": True}
    where = f"{office.url}/v1/users/{user}"
    async with office.session.request("PATCH", where, json=body, headers=bearer(office.key)) as answer:
        assert answer.status == 409
    assert counted(metrics, Action.USER_CHANGED) == before
    await office.ask("PATCH", f"/v1/users/{user}", {"role": "member"})
    assert (counted(metrics, Action.USER_CHANGED), counted(metrics, Action.USER_CREATED)) == (before + 1, made)
    assert [one["action"] for one in (await office.entries())["data"]] == ["user.changed", "user.created"]


async def test_of_parts_of_a_change_those_are_counted_that_stay(office: AuditedWorkspace) -> None:
    AuditMetrics(metrics := CollectorRegistry())
    before = counted(metrics, Action.KEY_CREATED)
    async with office.here.pool.acquire() as connection:
        async with audit.change(connection):
            async with audit.change(connection):
                await audit.record(connection, office.workspace, "command", Action.KEY_CREATED, "stays")
            with suppress(LookupError):
                async with audit.change(connection):
                    await audit.record(connection, office.workspace, "command", Action.KEY_CREATED, "goes")
                    raise LookupError
            assert counted(metrics, Action.KEY_CREATED) == before
        async with connection.transaction():
            with pytest.raises(AssertionError):
                await audit.record(connection, office.workspace, "command", Action.KEY_CREATED, "in no change")
    assert counted(metrics, Action.KEY_CREATED) == before + 1
    assert [one["target"] for one in (await office.entries())["data"]] == ["stays"]


def _work(dsn: str) -> None:
    environ = {
        "POSTMETER_POSTGRES_DSN": dsn,
        "POSTMETER_KEY_PEPPER": "pepper " * 8,
        "POSTMETER_SOURCE_KEY": "source " * 8,
    }

    def command(*words: str, text: str = "") -> str:
        seen = CliRunner().invoke(main, words, env=environ, input=text)
        assert seen.exit_code == 0, seen.output
        return seen.stdout

    of = ("--workspace", "acme")
    key = command("key", "create", *of, "--role", "admin", "--scope", "track").strip()
    command("key", "revoke", key.split("_")[1][:16])
    command("user", "create", *of, "--email", EMAIL, "--role", "admin")
    command("user", "disable", EMAIL)
    command("user", "enable", EMAIL)
    command("user", "reset", EMAIL)
    command("verdicts", "set", *of, "early_seconds=3")
    command("sending-ip", "add", *of, "9.9.9.9")
    command("sending-ip", "remove", *of, "9.9.9.9")
    source = command("source", "create", *of, "--provider", "postmark").split("/")[-1].split()[0]
    command("source", "engagement", source, "provider")
    command("source", "secret", source, text=SECRET + "\n")
    command("source", "revoke", source)
    command("privacy", "set", *of, "opens=off")


async def test_each_change_by_command_leaves_an_entry(postgres_dsn: str) -> None:
    async with workspaces(postgres_dsn) as here:
        number = await here.workspace("acme")
        await asyncio.to_thread(_work, postgres_dsn)
        rows = await here.pool.fetch("SELECT * FROM audit ORDER BY id")
    assert [row["action"] for row in rows] == [
        "key.created",
        "key.revoked",
        *("user.created", "user.changed", "user.changed", "user.changed"),
        "verdicts.changed",
        *("sending_ips.added", "sending_ips.removed"),
        *("source.created", "source.changed", "source.changed", "source.revoked"),
        "privacy.changed",
    ]
    assert {(row["workspace"], row["actor"]) for row in rows} == {(number, "command")}
    assert [json.loads(row["details"])["disabled"] for row in rows[2:6]] == [False, True, False, False]
    text = " ".join(row["details"] + row["target"] for row in rows)
    assert "@" not in text
    assert SECRET not in text


@pytest.mark.parametrize("most", [3, 2])
async def test_pages_lead_to_the_first_entry_and_show_nobody_s_else(
    office: AuditedWorkspace, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Three entries a page, or two, because more do not fit: a change of privacy may name a thousand domains."""
    monkeypatch.setattr(fitting, "ROOM", most * len("command" + "privacy.changed" + "0" + "{}"))
    query = "INSERT INTO audit (workspace, actor, action, target) VALUES ($1, 'command', 'privacy.changed', $2)"
    other = await office.here.workspace()
    for n in range(7):
        await office.here.pool.execute(query, office.workspace, str(n))
        await office.here.pool.execute(query, other, "theirs")
    seen, cursor = [], None
    while True:
        page = await office.entries("?limit=3" + (f"&cursor={cursor}" if cursor else ""))
        assert len(page["data"]) in (most, 1)
        seen += [one["target"] for one in page["data"]]
        if (cursor := page["next_cursor"]) is None:
            break
        theirs = await office.here.key(other, "admin", ALL)
        async with office.session.get(f"{office.url}/v1/audit?cursor={cursor}", headers=bearer(theirs)) as answer:
            assert answer.status == 400, "a cursor is its workspace's"
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]
    cases: list[tuple[dict[str, Any], int]] = [
        ({"role": "domain_admin", "domains": ["shop.example"]}, 403),
        ({"scopes": ("analytics",)}, 403),
        ({"role": "member"}, 200),
    ]
    for rights, status in cases:
        key = await office.here.key(office.workspace, **{"role": "admin", "scopes": ALL} | rights)
        async with office.session.get(f"{office.url}/v1/audit", headers=bearer(key)) as answer:
            assert answer.status == status, rights


@pytest.mark.parametrize("service", ["gateway", "tracking", "query"])
async def test_who_writes_it_cannot_change_it(office: AuditedWorkspace, postgres_dsn: str, service: str) -> None:
    connection = await asyncpg.connect(of_service(postgres_dsn, service))
    try:
        await connection.execute("INSERT INTO audit (workspace, actor, action, target) VALUES (1, 'x', 'y', '')")
        for statement in ("UPDATE audit SET actor = 'z'", "DELETE FROM audit", "TRUNCATE audit"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


def test_every_action_is_explained() -> None:
    page = (Path(__file__).parents[3] / "docs/api/privacy.md").read_text()
    assert [action for action in Action if f"`{action}`" not in page] == []
