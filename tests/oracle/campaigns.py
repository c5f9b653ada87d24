"""Campaigns as their owner sees them: GET /v1/campaigns, and what Misar says of one."""

from datetime import datetime
from typing import Any

from tests.oracle.asking import Asking
from tests.oracle.times import stamp


def first_sent(asking: Asking, campaign: str) -> datetime | None:
    """When the campaign's first message was sent. The campaign's sending is the campaign's, whoever asks."""
    sent = [m.sent for m in asking.history.messages.values() if m.place.campaign == campaign and m.sent is not None]
    return min(sent, default=None)


def status(asking: Asking, campaign: str) -> str:
    """What its owner said last; else `sent` once a message was sent, before that `draft`."""
    return asking.history.statuses.get(campaign) or ("sent" if first_sent(asking, campaign) else "draft")


def campaigns(asking: Asking) -> dict[str, Any]:
    """GET /v1/campaigns, all of its pages: by id."""
    rows = []
    for one, name in asking.campaigns().items():
        sent = first_sent(asking, one)
        row = {"id": one, "name": name, "status": status(asking, one), "sent_at": stamp(sent) if sent else None}
        rows.append({**row, "created_at": stamp(asking.workspace.campaigns[one])})
    return {"data": rows, "next_cursor": None}
