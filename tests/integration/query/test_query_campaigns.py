"""Campaigns as callers see them: who may see one, what it is called, which status it shows."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from postmeter.query.documents import campaigns
from postmeter.query.documents.campaigns import Campaign
from postmeter.query.engine.query import Scope
from tests.integration.running_query import Fact, Workspaces, workspaces

SENT = datetime(2026, 4, 1, 9, tzinfo=UTC)
MADE = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def here(postgres_dsn: str) -> AsyncIterator[Workspaces]:
    async with workspaces(postgres_dsn) as made:
        yield made


async def campaign(here: Workspaces, workspace: int, campaign_id: str, **columns: object) -> None:
    given = {"name": "", "status": "", "sent_at": None, "created_at": MADE} | columns
    await here.pool.execute(
        "INSERT INTO campaign (workspace, id, name, status, sent_at, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        workspace,
        campaign_id,
        *given.values(),
    )


async def of_domain(here: Workspaces, workspace: int, name: str, domain: str) -> None:
    at = datetime.now(UTC)
    await here.add(workspace, Fact(at, campaign=name, domain=domain, counters={"sent": 1}))


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({}, Campaign("c", "c", "draft", None, MADE)),
        ({"name": "April"}, Campaign("c", "April", "draft", None, MADE)),
        ({"sent_at": SENT}, Campaign("c", "c", "sent", SENT, MADE)),
        ({"sent_at": SENT, "status": "paused"}, Campaign("c", "c", "paused", SENT, MADE)),
        ({"status": "scheduled"}, Campaign("c", "c", "scheduled", None, MADE)),
    ],
)
async def test_a_status_that_was_said_wins_over_what_follows_from_sending(
    here: Workspaces, columns: dict[str, object], shown: Campaign
) -> None:
    workspace = await here.workspace()
    await campaign(here, workspace, "c", **columns)
    assert await campaigns.find(here.pool, Scope(workspace, None), "c") == shown


async def test_a_campaign_exists_for_its_workspace_and_for_the_domains_it_mails_from(here: Workspaces) -> None:
    mine, other = await here.workspace(), await here.workspace()
    await campaign(here, mine, "spring")
    await of_domain(here, mine, "spring", "shop.example")
    # Another tenant's campaign of the same id, from the domain asked for, opens nothing here.
    await campaign(here, other, "spring")
    await of_domain(here, other, "spring", "blog.example")

    async def seen(workspace: int, domains: tuple[str, ...] | None, name: str = "spring") -> bool:
        return await campaigns.find(here.pool, Scope(workspace, domains), name) is not None

    assert await seen(mine, None)
    assert await seen(mine, ("shop.example",))
    assert not await seen(mine, ("blog.example",))
    assert not await seen(mine, ())
    assert not await seen(mine, None, "autumn")
    assert not await seen(await here.workspace(), None)
    assert not await seen(mine, None, "a\0b")
    assert not await seen(mine, None, "\ud800")


async def test_names_are_ids_where_there_are_none(here: Workspaces) -> None:
    workspace = await here.workspace()
    await campaign(here, workspace, "b", name="Bee")
    await campaign(here, workspace, "a")
    assert await campaigns.names(here.pool, Scope(workspace, None), ["b", "a", "z", "b"]) == {
        "b": "Bee",
        "a": "a",
        "z": "z",
    }
