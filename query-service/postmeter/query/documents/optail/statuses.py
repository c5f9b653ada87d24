"""What Optail calls the states of messages (semantics.md): a complained message is DELIVERED there."""

from __future__ import annotations

from postmeter.shared.apis.documents.optail import STATUSES
from postmeter.shared.stream.events import State

STATUS_OF = {
    State.QUEUED: "QUEUED",
    State.SENDING: "SENDING",
    State.SENT: "SENT",
    State.SOFT_BOUNCED: "BOUNCED",
    State.DELIVERED: "DELIVERED",
    State.FAILED: "FAILED",
    State.HARD_BOUNCED: "BOUNCED",
    State.COMPLAINED: "DELIVERED",
}
STATES_OF = {status: tuple(state for state in State if STATUS_OF[state] == status) for status in STATUSES}
"""The states that each status stands for."""
