"""Debian's Chromium, kept from reaching out of the machine on its own."""

from pathlib import Path

from tests.missing import need

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
