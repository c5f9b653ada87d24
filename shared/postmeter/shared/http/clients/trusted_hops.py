"""POSTMETER_TRUSTED_HOPS, and whether requests look as if that many proxies were in front of the port.

A wrong number cannot be known at start, only noticed: with too few all clients look like one proxy; with too many
clients can claim any address.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from postmeter.shared.http.clients import client_address, networks
from postmeter.shared.process import logs
from postmeter.shared.process.metrics import HopsMetrics

REMEMBERED_SECONDS = 600.0
"""How long after the last such request /readyz warns."""


class TrustedHops:
    """Finds clients' addresses, and notes the requests that raise doubts: counted each, logged once by kind.

    now: seconds of a clock that never goes back.
    """

    def __init__(self, hops: int, metrics: HopsMetrics, now: Callable[[], float] = time.monotonic) -> None:
        self.hops = hops
        self._doubts = metrics.doubts
        self._now = now
        self._logged: set[str] = set()
        self._last = ""
        self._seen = -REMEMBERED_SECONDS

    def address(self, peer: str, x_forwarded_for: bytes, forwarded: bytes) -> str:
        """The client's address (client_address.py)."""
        found, doubt = client_address.address(peer, x_forwarded_for, forwarded, self.hops)
        if doubt is not None:
            self.note(peer, doubt)
        return found

    def warning(self) -> str | None:
        """What the last doubtful request says, for as long as it is remembered."""
        return self._last if self._now() - self._seen < REMEMBERED_SECONDS else None

    def note(self, peer: str, entries: int) -> None:
        """Note a request that raises doubts, with what client_address.address found."""
        kind = "untrusted" if not self.hops else "few" if entries else "missing"
        self._doubts.labels(kind).inc()
        self._seen = self._now()
        # A public address may be a person's.
        shown = (peer or "a Unix socket") if networks.is_private(peer) else "a public address"
        count = f"{entries} entr{'y' if entries == 1 else 'ies'} in X-Forwarded-For"
        if kind == "untrusted":
            self._last = (
                f"a request came from {shown} with {count}, and POSTMETER_TRUSTED_HOPS is 0: all clients behind that"
                " proxy count as one. Set it to the number of proxies before this port that add to the header, here"
                f" probably {entries}"
            )
        elif kind == "few":
            self._last = (
                f"a request came from {shown} with {count}, and POSTMETER_TRUSTED_HOPS is {self.hops}: clients can say"
                " who they are. Set it to the number of proxies before this port that add to the header, here probably"
                f" {entries}"
            )
        else:
            self._last = (
                f"a request came from {shown} without X-Forwarded-For, and POSTMETER_TRUSTED_HOPS is {self.hops}: who"
                " reaches this port past the proxies can say who they are. Let only the proxies reach it, or set 0"
            )
        if kind not in self._logged:
            self._logged.add(kind)
            logs.get().warning(self._last, warning="trusted_hops")
