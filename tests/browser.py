"""Debian's Chromium, kept from reaching out of the machine on its own."""

from tests.missing import need

ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def path() -> str:
    """Where it is. A test that asks is left out where it is missing."""
    return need("/usr/bin/chromium", "on Debian or Ubuntu: apt-get install chromium")
