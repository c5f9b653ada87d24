"""`python -m tests.fuzz`: a product of its own, so many requests, a report."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
from pathlib import Path

from postmeter.shared.apis.endpoint import Limit
from tests.fuzz.run import fuzz
from tests.product import running

# More often than one workspace may.
UNLIMITED = {"POSTMETER_RATE_LIMITS": ",".join(f"{kind}=1000000" for kind in Limit)}


def main() -> int:
    """The exit status: 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop after so long, however many there were")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(1_000_000), help="printed; the same draws the same"
    )
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    os.environ.update(UNLIMITED)
    with tempfile.TemporaryDirectory(prefix="pmfuzz-") as folder, running(Path(folder)) as product:
        report = asyncio.run(fuzz(product, given.requests, given.seconds, given.seed))
    print(report.text())
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
