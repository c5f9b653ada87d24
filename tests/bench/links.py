"""Time of instrumenting mails, by their size, and of scanning HTML that is made to be slow.

Linear time shows as a constant last column.

    python -m tests.bench.links [--sizes 100000 1000000 4000000] [--copies 1 10 100]
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from postmeter.shared.links.tokens import KeyRing
from postmeter.shared.privacy.levels import FULL
from postmeter.shared.storage import uuid7
from postmeter.tracking.html.instrumentation import Instrument
from postmeter.tracking.html.scanner import scan

NEWSLETTER = Path(__file__).parent.parent / "acceptance" / "newsletter.html"
HOSTILE = {
    "endless comments": "<!--",
    "conditional comments without an end": "<!--[if",
    "tags without an end": "<a href=",
    "quotes without an end": '<a href="x" title="',
    "attributes": "<a b",
    "scripts without an end": "<script>",
    "white space": "<a          ",
    "references": '<a href="&amp;&#38;&x">',
    "conditional comments": "<!--[if mso]>",
    "elements that hide": "<svg><select>",
    "bodies": "<body><template></body>",
}
HOSTILE_URLS = {
    "braces in a URL": "{a",
    "names in percent signs in a URL": "%aaa aaa",
    "brackets in a URL": "[a,",
    "less-than signs in a URL": "<a a",
    "stars in a URL": "*|a",
    "number signs in a URL": "##a",
    "slashes in a URL": "/" + "A" * 48,
    "blanks in a URL": " ",
}


def best(work: Callable[[], object]) -> float:
    """The shortest of three runs, in seconds."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def row(name: str, size: int, seconds: float) -> None:
    """Print one measurement."""
    print(f"{name:<38} {size:>10,} {seconds * 1000:>10.1f} {seconds / size * 1e9:>8.1f}", flush=True)


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000, 4_000_000], help="of HTML")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 10, 100], help="of a newsletter")
    parser.add_argument("--links", type=int, nargs="+", default=[12, 120], help="of a mail with hostile URLs")
    options = parser.parse_args()
    instrument = Instrument(KeyRing({1: b"k" * 32}), "https://t.example.net")
    message = uuid7.new().bytes
    newsletter = NEWSLETTER.read_text()
    print(f"{'input':<38} {'characters':>10} {'ms':>10} {'ns/char':>8}")
    for copies in options.copies:
        html = newsletter * copies
        row("newsletter", len(html), best(partial(instrument.apply, html, 1, message, FULL)))
    for name, piece in HOSTILE.items():
        for size in options.sizes:
            html = piece * (size // len(piece))
            row(name, len(html), best(partial(scan, html)))
    for name, piece in HOSTILE_URLS.items():
        url = ("https://a.example/" + piece * 8192)[:8180]
        for copies in options.links:
            html = "".join(f'<a href="{url}{copy:04}">' for copy in range(copies))
            row(name, len(html), best(partial(instrument.apply, html, 1, message, FULL)))


if __name__ == "__main__":
    main()
