"""Trouble that passes takes one line now and then; what nobody expects takes a traceback."""

import asyncpg
import redis.exceptions
from structlog.testing import capture_logs

from postmeter.aggregator.trouble_log import QUIET_SECONDS, TRACEBACK_QUIET_SECONDS, TroubleLog


def test_passing_trouble_is_one_line_in_a_while_and_counts_the_others() -> None:
    now = 0.0
    log = TroubleLog(lambda: now, shard=3)
    with capture_logs() as lines:
        for error in (ConnectionRefusedError(111, "refused"), redis.exceptions.ConnectionError("gone"), TimeoutError()):
            log.failed("stalls", error)
        now = QUIET_SECONDS - 0.01
        log.failed("stalls", asyncpg.CannotConnectNowError("starting up"))
        now = QUIET_SECONDS
        log.failed("stalls", asyncpg.CannotConnectNowError("starting\nup"))
    first = {"error": "ConnectionRefusedError(111, 'refused')", "times": 1}
    second = {"error": "CannotConnectNowError('starting\\nup')", "times": 4}
    common = {"event": "stalls", "log_level": "warning", "shard": 3}
    assert lines == [common | first, common | second]


def test_each_log_is_quiet_on_its_own() -> None:
    with capture_logs() as lines:
        for shard in range(3):
            TroubleLog(lambda: 0.0, shard=shard).failed("stalls", OSError("away"))
    assert [line["shard"] for line in lines] == [0, 1, 2]


def test_an_unexpected_error_has_its_traceback_at_once_and_then_now_and_then() -> None:
    now, error, other = 0.0, KeyError("a fault"), KeyError("another")
    log = TroubleLog(lambda: now, shard=3)
    with capture_logs() as lines:
        log.failed("stalls", OSError("away"))
        log.failed("stalls", error)
        log.failed("stalls", error)
        now = TRACEBACK_QUIET_SECONDS
        log.failed("stalls", error)
        log.failed("stalls", other)
    common = {"event": "stalls", "log_level": "error", "shard": 3}
    assert lines[1:] == [common | {"exc_info": one, "times": n} for one, n in ((error, 1), (error, 2), (other, 1))]


def test_the_end_of_trouble_is_said_once() -> None:
    log = TroubleLog(lambda: 0.0, shard=3)
    with capture_logs() as lines:
        log.over("counts")
        log.failed("stalls", OSError("away"))
        log.over("counts")
        log.over("counts")
    assert [line["event"] for line in lines] == ["stalls", "counts"]
