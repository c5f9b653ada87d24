"""What a tracking URL gets: which answer, and whether a hit is recorded."""

from __future__ import annotations

import time

from postmeter.shared.errors import ClickRefused, TokenRejected
from postmeter.shared.links import click_url
from postmeter.shared.links.tokens import HONEYPOT, OPEN, KeyRing
from postmeter.shared.privacy.levels import Level
from postmeter.shared.stream.events import Mark
from postmeter.shared.stream.records import MARK_BITS, Hit, encode
from postmeter.shared.stream.streams import slot_of
from postmeter.tracking.durable.batch import Keyed
from postmeter.tracking.metrics import TrackingMetrics

_OPENS = (OPEN,)
_ANONYMOUS = int(Level.ANONYMOUS)
# Plain numbers, for members of an enumeration take longer to look up and to encode.
_UNMARKED, _HEAD, _HONEYPOT = int(Mark.NONE), int(Mark.HEAD), int(Mark.HONEYPOT)


class HitPolicy:
    """Judges tracking URLs. It records nothing: that is the committer's job."""

    def __init__(self, keys: KeyRing, metrics: TrackingMetrics) -> None:
        self._keys = keys
        self._metrics = metrics

    def drop(self, reason: str) -> None:
        """Count a hit that is answered but not recorded."""
        self._metrics.dropped.labels(reason).inc()

    def open(self, token: bytes, prefetch: bool, agent: bytes, ip: str) -> Keyed | None:
        """The record of an open, or None where its token is not genuine."""
        try:
            _, workspace, message, level = self._keys.verify_one_of(_OPENS, token)
        except TokenRejected as rejected:
            self.drop(rejected.reason)
            return None
        mark = level << MARK_BITS
        return _keyed(Hit(time.time_ns() // 1000, workspace, message, "", prefetch, agent, ip, mark), level)

    def click(
        self, token: bytes, query: bytes, prefetch: bool, agent: bytes, ip: str, *, is_head: bool
    ) -> tuple[str, Keyed]:
        """(Location, record) of a click, or of a visit of the honeypot. Raises ClickRefused."""
        try:
            purpose, workspace, message, level, url, location = click_url.follow(self._keys, token, query)
        except ClickRefused as refused:
            self.drop(refused.reason)
            raise
        mark = _HEAD if is_head else _HONEYPOT if purpose == HONEYPOT else _UNMARKED
        mark |= level << MARK_BITS
        return location, _keyed(Hit(time.time_ns() // 1000, workspace, message, url, prefetch, agent, ip, mark), level)


def _keyed(hit: Hit, level: int) -> Keyed:
    if level == _ANONYMOUS:
        # Nothing is known of one recipient, and all of a campaign's share the id: they need not wait in one shard.
        return slot_of(hit.workspace, hit.at.to_bytes(16)), encode(hit)
    return slot_of(hit.workspace, hit.message), encode(hit)
