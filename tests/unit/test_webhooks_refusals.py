"""Deliveries that are not taken: a line that says which source and why, and no flood of them."""

from structlog.testing import capture_logs

from postmeter.shared.errors import RequestError
from postmeter.shared.storage.sources import SealedSource
from postmeter.tracking.webhooks.routes import QUIET_SECONDS, Refusals


def source_of(number: int) -> SealedSource:
    return SealedSource(id=f"src_{number}", workspace=1, provider="postmark", secret="encrypted", options={})


def test_a_source_in_trouble_takes_one_line_in_a_while_and_counts_the_others() -> None:
    now = 1000.0
    refusals = Refusals(lambda: now)
    with capture_logs() as lines:
        for _ in range(3):
            refusals.refused(source_of(1), RequestError(401, "WEBHOOK_REFUSED", "The signature does not fit."))
        refusals.refused(source_of(2), RequestError(503, "UNAVAILABLE", "Try again."))
        now += QUIET_SECONDS
        refusals.refused(source_of(1), RequestError(401, "WEBHOOK_REFUSED", "Too old."))
    common = {"event": "webhook not taken", "log_level": "warning", "provider": "postmark"}
    assert lines == [
        common | {"source": "src_1", "status": 401, "reason": "The signature does not fit.", "times": 1},
        common | {"source": "src_2", "status": 503, "reason": "Try again.", "times": 1},
        common | {"source": "src_1", "status": 401, "reason": "Too old.", "times": 3},
    ]
