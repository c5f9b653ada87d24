"""Each benchmark in a run as small as it can be: that it still works and says something, never how fast."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import browser as browsers
from tests.missing import need

ROOT = Path(__file__).parents[2]
BENCHES = ROOT / "tests" / "bench"

SMALL = {
    "dataset": ["--data", "FOLDER", "--events", "3000", "--campaigns", "20"],
    "agents": ["LIST"],
    "crowd": ["--data", "FOLDER", "--events", "3000", "--hits", "20", "--seconds", "0.2", "--only", "Vectis"],
    "footprint": ["--seconds", "0.2", "--messages", "400", "--clients", "2", "--mib", "1"],
    "freshness": ["--samples", "2", "--load", "20"],
    "ingest": ["--seconds", "1", "--rounds", "1", "--connections", "4", "--fsync", "none"],
    "links": ["--sizes", "10000", "--copies", "1", "--links", "2"],
    "opcodes": ["--messages", "40", "--hits", "40", "--most", "3"],
    "queries": ["--data", "FOLDER", "--events", "3000", "--requests", "2", "--crowd", "4", "--only", "Vectis"],
    "rollup": ["--messages", "100", "--hits", "200", "--rounds", "1", "--batch", "10", "--seconds", "1"],
    "screens": ["--data", "FOLDER", "--events", "3000", "--visits", "1", "--only", "Overview, 90 days, one"],
    "trickle": ["--rates", "40", "--seconds", "0.5", "--messages", "10"],
    "verdicts": ["--letters", "30", "--shuffle", "1"],
    "webhooks": ["--events", "40", "--single", "4", "--rounds", "1"],
}
"""Arguments of the small run. The first makes the data set that others find; one that is run alone makes its own."""


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """Where the data set is, or is to be: a short path, for sockets."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "data"


def test_every_bench_has_a_small_run() -> None:
    runnable = {file.stem for file in BENCHES.glob("*.py") if re.search("^if __name__ ==", file.read_text(), re.M)}
    assert runnable == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_it_works(name: str, data: Path, tmp_path: Path) -> None:
    if name == "ingest":
        for file, package in (("/usr/sbin/nginx", "nginx-light"), ("/usr/bin/wrk", "wrk")):
            need(file, f"on Debian or Ubuntu: apt-get install {package}")
    if name == "screens":
        browsers.path()
    agents = tmp_path / "agents.txt"
    agents.write_text(
        "Googlebot/2.1 (+http://www.google.com/bot.html)\nMozilla/5.0 (X11; Linux x86_64) Firefox/128.0\n"
    )
    places = {"FOLDER": str(data), "LIST": str(agents)}
    command = [sys.executable, "-m", f"tests.bench.{name}", *(places.get(word, word) for word in SMALL[name])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d", done.stdout)
