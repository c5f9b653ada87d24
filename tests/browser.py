"""Debian's Chromium, kept from reaching out of the machine on its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from tests.missing import need

PATIENCE = 60_000
"""Milliseconds that a page is waited for; playwright's own 5 seconds for what is expected are few on a busy machine."""

SHELL, WHOLE = "/usr/bin/chromium-headless-shell", "/usr/bin/chromium"
"""The same engine without the windows round it, at a third of the CPU; and with them."""

ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def path() -> str:
    """Where it is, rather without windows. A test that asks is left out where neither is there."""
    if Path(WHOLE).exists() and not Path(SHELL).exists():
        return WHOLE
    return need(SHELL, "on Debian or Ubuntu: apt-get install chromium-headless-shell, or chromium")


@contextmanager
def running() -> Iterator[Browser]:
    """One that runs for the `with` block; what is expected of its pages may take `PATIENCE`."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path(), args=ARGUMENTS, chromium_sandbox=False)
        yield browser
        browser.close()
