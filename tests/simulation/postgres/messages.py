"""Messages, their dimensions, first engagements, and what waits for them."""

from __future__ import annotations

from typing import Any

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.moments import NEVER
from tests.simulation.postgres.statements import Rows, ident, statement
from tests.simulation.postgres.store import Transaction

SECOND = 1_000_000
QUARTER = 900 * SECOND
MESSAGE = (
    "workspace",
    "id",
    "series",
    "campaign",
    "from_address",
    "to_hash",
    "to_domain",
    "subject",
    "provider",
    "provider_account",
    "provider_message",
    "template",
    "tags",
    "created_at",
    "flags",
    "links",
    "domain",
    "recipient_ref",
    "to_digest",
)
PROVISIONAL = 4


# -- dimensions


@statement
def make_domains(tx: Transaction, _: str, *columns: Any) -> None:
    for workspace, name, number in sorted(zip(*columns, strict=True), key=lambda one: one[:2]):
        tx.insert("domain", (workspace, name), {"workspace": workspace, "name": name, "id": number})


@statement
def make_campaigns(tx: Transaction, _: str, *columns: Any) -> None:
    for workspace, number, name, at in sorted(zip(*columns, strict=True)):
        row = {"workspace": workspace, "id": number, "name": name, "named_at": at, "sent_at": None}

        def merged(known: dict[str, Any], name: str = name, at: int = at) -> dict[str, Any] | None:
            return known | {"name": name, "named_at": at} if (at, name) > (known["named_at"], known["name"]) else None

        tx.upsert("campaign", (workspace, number), row, merged)


@statement
def admit_campaigns(tx: Transaction, _: str, *columns: Any) -> None:
    """No confined keys in this world, so nothing is claimed."""


@statement
def find_series(tx: Transaction, _: str, *columns: Any) -> Rows:
    found = [tx.get("series", dimensions) for dimensions in zip(*columns, strict=True)]
    nobody = dict.fromkeys(("id", "usual_from", "usual_account"))
    return [nobody if row is None else {name: row[name] for name in nobody} for row in found]


@statement
def make_series(tx: Transaction, _: str, *columns: Any) -> None:
    for *dimensions, usual_from, usual_account in sorted(zip(*columns, strict=True), key=lambda one: one[:-2]):
        workspace, campaign, domain, *_rest = dimensions
        row = {"workspace": workspace, "id": tx.store.number(), "campaign": campaign, "domain": domain}
        row |= {"usual_from": usual_from, "usual_account": usual_account}
        tx.insert("series", tuple(dimensions), row)


@statement
def count_series(tx: Transaction, _: str, workspace: int) -> Rows:
    return [{"count": sum(row["workspace"] == workspace for _, row in tx.rows("series"))}]


@statement
def campaigns_of_series(tx: Transaction, _: str, workspaces: list[int], ids: list[int]) -> Rows:
    wanted = set(zip(workspaces, ids, strict=True))
    return [row for _, row in tx.rows("series") if (row["workspace"], row["id"]) in wanted]


@statement
def first_sendings(tx: Transaction, _: str, workspaces: list[int], ids: list[str]) -> Rows:
    found = [tx.get("campaign", place) for place in zip(workspaces, ids, strict=True)]
    return [row for row in found if row is not None and row["sent_at"] is not None]


@statement
def first_confined_sendings(tx: Transaction, _: str, *columns: Any) -> Rows:
    return []


@statement
def raise_sendings(tx: Transaction, _: str, *columns: Any) -> None:
    for workspace, number, at in sorted(zip(*columns, strict=True)):
        row = {"workspace": workspace, "id": number, "name": "", "named_at": 0, "sent_at": at}

        def merged(known: dict[str, Any], at: int = at) -> dict[str, Any] | None:
            return known | {"sent_at": at} if known["sent_at"] is None or known["sent_at"] > at else None

        tx.upsert("campaign", (workspace, number), row, merged)


# -- messages


@statement
def may_be_slim(tx: Transaction, _: str) -> Rows:
    """The schema is of now."""
    return [{"may_be": True}]


@statement
def make_messages(tx: Transaction, _: str, *columns: Any) -> Rows:
    found = []
    for values in sorted(zip(*columns, strict=True), key=lambda one: (one[0], ident(one[1]))):
        row = dict(zip(MESSAGE, values, strict=True)) | {"state": 1, "sent_at": None, "delivered_at": None}
        if tx.insert("message", (row["workspace"], ident(row["id"])), row):
            found.append(row)
    # The trigger that notes subjects (ADR 0053): of a new one the row is held until the end.
    for place in sorted({(row["workspace"], row["subject"]) for row in found}):
        if tx.get("subject", place) is None:
            tx.upsert("subject", place, {}, lambda _: None)
    return found


@statement
def copy_message(tx: Transaction, _: str, rows: list[Any], columns: tuple[str, ...]) -> None:
    if len(make_messages(tx, _, *zip(*rows, strict=True))) < len(rows):
        raise asyncpg.UniqueViolationError("duplicate key value violates unique constraint of message")


@statement
def messages(tx: Transaction, _: str, workspaces: list[int], ids: list[UUID], *bounds: UUID) -> Rows:
    assert bounds == (min(ids), max(ids))
    found: dict[str, list[Any]] = {
        name: [] for name in ("place", "series", "sent_at", "delivered_at", "flags", "links", "engaged", "kind", "at")
    }
    for place, (workspace, message) in enumerate(zip(workspaces, ids, strict=True), 1):
        row = tx.get("message", (workspace, ident(message)))
        if row is not None:
            found["place"].append(place)
            found["series"].append(None if row["flags"] & PROVISIONAL else row["series"])
            found["sent_at"].append(row["sent_at"])
            found["delivered_at"].append(row["delivered_at"])
            found["flags"].append(row["flags"])
            found["links"].append(row["links"])
        for first in _of(tx, workspace, message):
            found["engaged"].append(place)
            found["kind"].append(int(first["kind"]))
            found["at"].append(first["at"])
    return [{name: column or None for name, column in found.items()}]


@statement
def hold_unregistered(tx: Transaction, _: str, workspaces: list[int], ids: list[UUID]) -> Rows:
    places = sorted((workspace, ident(message)) for workspace, message in zip(workspaces, ids, strict=True))
    found = [tx.take("message", place, lambda row: bool(row["flags"] & PROVISIONAL)) for place in places]
    return [row for row in found if row is not None]


@statement
def visit(tx: Transaction, _: str, most: int) -> Rows:
    """No webhooks in this world, so all messages are registered."""
    return []


@statement
def raise_messages(tx: Transaction, _: str, *columns: Any) -> Rows:
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for workspace, message, state, sent, delivered in zip(*columns, strict=True):
        place = (workspace, ident(message))
        old = tx.get("message", place)
        if old is None:
            continue
        is_earlier = _is_earlier(sent, old["sent_at"]) or _is_earlier(delivered, old["delivered_at"])
        if not (state > old["state"] or is_earlier):
            continue
        row = tx.lock("message", place)
        assert row is not None
        row = row | {
            "state": max(row["state"], state),
            "sent_at": _least(row["sent_at"], sent),
            "delivered_at": _least(row["delivered_at"], delivered),
        }
        tx.put("message", place, row)
        created = row["created_at"] - row["created_at"] % SECOND
        was, is_now = _quarter(old["sent_at"]), _quarter(row["sent_at"])
        key = (workspace, row["series"], created, was, is_now, old["state"], row["state"])
        group = groups.setdefault(
            key,
            {
                "workspace": workspace,
                "series": row["series"],
                "at": created,
                "was": was,
                "sent": is_now,
                "was_state": old["state"],
                "state": row["state"],
                "messages": None,
                "n": 0,
            },
        )
        group["n"] += 1
        if was != is_now:
            group["messages"] = [*(group["messages"] or ()), message]
    return list(groups.values())


def _is_earlier(at: int | None, known: int | None) -> bool:
    return at is not None and (known is None or at < known)


def _least(one: int | None, other: int | None) -> int | None:
    return min((at for at in (one, other) if at is not None), default=None)


def _quarter(at: int | None) -> int | None:
    return None if at is None else at - at % QUARTER


# -- first engagements


@statement
def copy_engagement(tx: Transaction, _: str, rows: list[Any], columns: tuple[str, ...]) -> None:
    for values in rows:
        row = dict(zip(columns, values, strict=True))
        if not tx.insert("engagement", (row["workspace"], ident(row["message"]), int(row["kind"])), row):
            raise asyncpg.UniqueViolationError("duplicate key value violates unique constraint of engagement")


@statement
def engagements_of(tx: Transaction, _: str, workspaces: list[int], ids: list[UUID], places: list[int]) -> Rows:
    counted: dict[tuple[int, int], int] = {}
    for workspace, message, place in zip(workspaces, ids, places, strict=True):
        for row in _of(tx, workspace, message):
            if row["kind"] < 4 and row["at"] < NEVER:
                key = (place, int(row["kind"]))
                counted[key] = counted.get(key, 0) + 1
    return [{"place": place, "kind": kind, "n": n} for (place, kind), n in counted.items()]


@statement
def move_engagements(tx: Transaction, _: str, *columns: Any) -> None:
    for workspace, message, kind, at in zip(*columns, strict=True):
        tx.change("engagement", (workspace, ident(message), int(kind)), lambda _: True, at=at)


def _of(tx: Transaction, workspace: int, message: UUID) -> Rows:
    found = [tx.get("engagement", (workspace, ident(message), kind)) for kind in (1, 2, 3, 4)]
    return [row for row in found if row is not None]


# -- what waits


@statement
def park(tx: Transaction, _: str, *columns: Any) -> None:
    for workspace, message, provider, name, record, to_hash in zip(*columns, strict=True):
        number = tx.store.number()
        row = {
            "id": number,
            "workspace": workspace,
            "message": message,
            "provider": provider,
            "provider_message": name,
            "record": record,
            "to_hash": to_hash,
            "since": tx.began,
        }
        tx.insert("waiting", number, row)


@statement
def count_waiting(tx: Transaction, _: str, workspace: int, most: int) -> Rows:
    return [{"count": min(most, sum(row["workspace"] == workspace for _, row in tx.rows("waiting")))}]


@statement
def awaited(tx: Transaction, _: str, workspaces: list[int]) -> Rows:
    waiting = [row for _, row in tx.rows("waiting")]
    by_id = {row["workspace"] for row in waiting if row["message"] is not None}
    by_name = {row["workspace"] for row in waiting if row["message"] is None}
    return [{"workspace": one, "by_id": one in by_id, "by_name": one in by_name} for one in workspaces]


@statement
def release_messages(tx: Transaction, _: str, workspaces: list[int], ids: list[UUID]) -> Rows:
    wanted = set(zip(workspaces, map(ident, ids), strict=True))
    found = []
    for number, row in tx.rows("waiting"):
        if row["message"] is not None and (row["workspace"], ident(row["message"])) in wanted:
            taken = tx.take("waiting", number)
            if taken is not None:
                tx.put("waiting", number, None)
                found.append(taken)
    return found


@statement
def look_through(tx: Transaction, _: str, younger: float, since: int, number: int, most: int) -> Rows:
    least = tx.store.clock() - younger * SECOND
    rows = sorted((row["since"], row["id"], row) for _, row in tx.rows("waiting"))
    seen = [row for at, place, row in rows if at > least and (at, place) > (since, number)][:most]
    return [
        {
            "id": row["id"],
            "since": row["since"],
            "known": True if tx.get("message", (row["workspace"], ident(row["message"]))) is not None else None,
        }
        for row in seen
    ]


@statement
def take_known(tx: Transaction, _: str, numbers: list[int]) -> Rows:
    found = []
    for number in numbers:
        row = tx.take("waiting", number) if tx.is_free("waiting", number) else None
        if row is not None:
            tx.put("waiting", number, None)
            found.append(row)
    return found


@statement
def to_look_at(tx: Transaction, _: str, most: int) -> Rows:
    """Nobody chooses anything in this world."""
    return []


@statement
def due(tx: Transaction, _: str, most: int) -> Rows:
    """No webhooks in this world, so nothing names only an address."""
    return []
