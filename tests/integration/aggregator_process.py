"""An aggregator in a process of its own, which a test may kill."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from tests.aggregation import Bench
from tests.product import as_installed

RUN = "from postmeter.aggregator.service import main; main()"


@contextlib.contextmanager
def process(at: Bench, shards: int) -> Iterator["subprocess.Popen[bytes]"]:
    """It counts these shards of the bench, until the block ends."""
    environ = as_installed() | {
        "POSTMETER_POSTGRES_DSN": at.settings.postgres_dsn.reveal(),
        "POSTMETER_REDIS_URL": at.settings.redis_url.reveal(),
        "POSTMETER_SHARDS": str(shards),
        "POSTMETER_LEASE_SECONDS": "1",
        "POSTMETER_LOG_LEVEL": "critical",
    }
    running = subprocess.Popen([sys.executable, "-c", RUN], env=environ)
    try:
        yield running
    finally:
        running.kill()
        running.wait()
