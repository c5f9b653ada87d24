"""The history and its dictionaries, and clicks judged by their company."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.changes import HISTORY
from postmeter.aggregator.fold.moments import NEVER
from postmeter.shared.storage import verdict_reasons
from postmeter.shared.stream.events import EventType, Verdict
from tests.simulation.postgres.statements import Rows, ident, statement
from tests.simulation.postgres.store import Row, Transaction


def shown(row: Row, links: Mapping[Any, Row], agents: Mapping[Any, Row]) -> Row:
    """A row of the history as its view shows it (ADR 0051)."""
    verdict = row["verdict"]
    return row | {
        "received_at": row["at"] if row["received_at"] is None else row["received_at"],
        "verdict": None if verdict is None else verdict & verdict_reasons.StoredVerdict.MASK,
        "verdict_reason": row["verdict_reason"] or verdict_reasons.name_of(verdict),
        "url": row["url"] if row["link"] is None else _text(links, row["workspace"], row["link"]),
        "user_agent": (
            row["user_agent"] if row["user_agent_id"] is None else _text(agents, row["workspace"], row["user_agent_id"])
        ),
        "counted": row["counted"] is not False,
    }


def _text(texts: Mapping[Any, Row], workspace: int, number: int) -> str | None:
    found = (row["text"] for row in texts.values() if row["workspace"] == workspace and row["id"] == number)
    return next(found, None)


@statement
def copy_event(tx: Transaction, _: str, rows: list[Any], columns: tuple[str, ...]) -> None:
    for values in rows:
        row = dict.fromkeys(HISTORY) | dict(zip(columns, values, strict=True))
        tx.insert("event", tx.store.number(), row)


@statement
def find_links(tx: Transaction, _: str, workspaces: list[int], digests: list[bytes]) -> Rows:
    found = [tx.get("link", place) for place in zip(workspaces, digests, strict=True)]
    return [{"ids": [row["id"] if row is not None else None for row in found]}]


@statement
def make_links(tx: Transaction, _: str, *columns: Any) -> None:
    for workspace, digest, url in sorted(zip(*columns, strict=True)):
        tx.insert("link", (workspace, digest), {"workspace": workspace, "id": tx.store.number(), "text": url})


@statement
def count_links(tx: Transaction, _: str, workspace: int, most: int) -> Rows:
    return [{"count": min(most, sum(row["workspace"] == workspace for _, row in tx.rows("link")))}]


@statement
def find(tx: Transaction, _: str, workspaces: list[int], digests: list[bytes], month: Any) -> Rows:
    """All of a world is in one month, so who is there is used in it."""
    found = [tx.get("user_agent", place) for place in zip(workspaces, digests, strict=True)]
    return [{"ids": [row["id"] if row is not None else None for row in found]}]


@statement
def use(tx: Transaction, _: str, *columns: Any) -> Rows:
    return []


@statement
def make(tx: Transaction, _: str, workspaces: Any, digests: Any, texts: Any, month: Any) -> None:
    for workspace, digest, text in sorted(zip(workspaces, digests, texts, strict=True)):
        row = {"workspace": workspace, "id": tx.store.number(), "text": text}
        tx.insert("user_agent", (workspace, digest), row)


@statement
def count(tx: Transaction, _: str, workspace: int, most: int) -> Rows:
    return [{"count": min(most, sum(row["workspace"] == workspace for _, row in tx.rows("user_agent")))}]


# -- clicks by their company


@statement
def delivered_earlier(tx: Transaction, _: str, *columns: Any) -> Rows:
    found = []
    for workspace, message, at in zip(*columns, strict=True):
        row = tx.get("message", (workspace, ident(message)))
        clicked = tx.get("engagement", (workspace, ident(message), 2))
        if row is not None and clicked is not None and (row["delivered_at"] is None or at < row["delivered_at"]):
            found.append({"workspace": workspace, "message": message, "at": at, "was": row["delivered_at"]})
    return found


def _clicks(tx: Transaction, workspace: int, message: UUID) -> list[tuple[Any, dict[str, Any]]]:
    found = [
        (key, shown(row, dict(tx.rows("link")), dict(tx.rows("user_agent"))))
        for key, row in tx.rows("event")
        if row["type"] == EventType.CLICKED and row["workspace"] == workspace and row["message"] == message
    ]
    return sorted(found, key=lambda one: one[1]["at"])


@statement
def near(
    tx: Transaction,
    _: str,
    workspaces: Any,
    ids: Any,
    lows: Any,
    highs: Any,
    most: int,
    joint: list[str],
    evidence: list[str],
    least: int,
    last: int,
) -> Rows:
    found = []
    for workspace, message, low, high in zip(workspaces, ids, lows, highs, strict=True):
        of = tx.get("message", (workspace, ident(message)))
        if of is None:
            continue
        clicks = [
            row
            for _, row in _clicks(tx, workspace, message)
            if low <= row["at"] <= high
            and least <= row["at"] <= last
            and (
                row["verdict_reason"] in evidence
                or (row["counted"] and (row["verdict"] == 1 or row["verdict_reason"] in joint))
            )
        ][-most:]
        if clicks:
            found.append(
                {
                    "workspace": workspace,
                    "message": message,
                    "links": of["links"],
                    "delivered_at": of["delivered_at"],
                    "at": [row["at"] for row in clicks],
                    "url": [row["url"] for row in clicks],
                    "agent": [row["user_agent"] for row in clicks],
                    "reason": [row["verdict_reason"] for row in clicks],
                }
            )
    return found


@statement
def judge(tx: Transaction, _: str, *columns: Any) -> Rows:
    found = []
    for workspace, message, at, agent, was, reason, verdict in zip(*columns, strict=True):
        for key, row in _clicks(tx, workspace, message):
            is_person = row["verdict"] == Verdict.HUMAN and row["verdict_reason"] is None
            fits = is_person if was is None else row["verdict_reason"] == was
            if row["at"] != at or not row["counted"] or row["user_agent"] != agent or not fits:
                continue
            if tx.change("event", key, lambda _: True, verdict=verdict, verdict_reason=None) is not None:
                found.append({**row, "was": was, "reason": reason})
    return found


@statement
def first_clicks(tx: Transaction, _: str, *columns: Any) -> Rows:
    found = []
    *rows, since = columns
    for workspace, message, at in zip(*rows, strict=True):
        first = tx.get("engagement", (workspace, ident(message), 2))
        of = tx.get("message", (workspace, ident(message)))
        if first is None or of is None or first["at"] < at:
            continue
        clicks = [
            row["at"]
            for _, row in _clicks(tx, workspace, message)
            if row["at"] >= max(at, since) and row["counted"] and row["verdict"] == 1
        ]
        now = clicks[0] if clicks else None
        if (NEVER if now is None else now) != first["at"]:
            found.append(
                {
                    "workspace": workspace,
                    "message": message,
                    "series": first["series"],
                    "was": first["at"],
                    "sent_at": of["sent_at"],
                    "at": now,
                }
            )
    return found


@statement
def move_first_clicks(tx: Transaction, _: str, *columns: Any) -> None:
    for workspace, message, at in zip(*columns, strict=True):
        tx.change("engagement", (workspace, ident(message), 2), lambda _: True, at=at)
