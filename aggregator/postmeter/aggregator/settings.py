"""The aggregator's settings."""

from __future__ import annotations

from dataclasses import dataclass

from postmeter.aggregator.upkeep.blocklists.zones import ZonesSetting
from postmeter.shared.auth.secret import Secret
from postmeter.shared.process.nameservers import NameserversSetting
from postmeter.shared.process.setting_types import Interval, Keep, Pause, Positive, Seconds
from postmeter.shared.process.settings import PostgresSettings, Settings, StreamSettings
from postmeter.shared.storage.partitions import SECONDS_MONTHS
from postmeter.shared.storage.rollups import LEAVING, ROLLUPS, SUM_TIERS, Rollup, Tier

QUARTER_HOUR, HOUR, DAY = 900, 3600, 86_400
"""Widths of tiers, in seconds."""
_NO_ZONES = Secret("")


@dataclass(frozen=True, kw_only=True)
class AggregatorSettings(Settings, PostgresSettings, StreamSettings):
    """Beside the common ones:

    postgres_pool: with fewer than 10 connections fewer shards are counted at the same time.
    batch_records: records that one flush takes at most (the last entry may go over it).
    flush_seconds: how long a flush should take at most; under load its size follows from that.
    flush_pause: seconds between the starts of two flushes of a shard, at least; lets small batches gather.
    lease_seconds: after this long without a sign of life an aggregator's shards are taken over.
    series_limit: combinations of dimensions a workspace may have; what goes beyond folds into one overflow series.
    link_limit: different URLs a workspace may have clicks of; clicks of more count for one link, (other).
    user_agent_limit: different user agents a workspace may have by number; more stand in the history as texts.
    dead_letter_limit: records put aside that a workspace may have; what goes beyond is dropped, and counted so.
    waiting_limit: events of unknown messages that a workspace may have waiting; the rest is put aside.
    message_cache: messages that are remembered, so that their next hit needs no look-up; up to twice as many.
    networks: path or URL of the networks that machines fetch from; none: those that ship. networks_interval:
    seconds between two readings of it. agents, agents_interval: the same of the list of machines' user agents.
    keep_networks: whether clients' addresses are kept, truncated, or not at all.
    dnsbl_zones: zones in which sending IPs are looked up; none: no look-ups. May carry a subscriber's key.
    dnsbl_nameservers: asked instead of the system's. dnsbl_interval: seconds between two look-ups of an IP.
    retain_*: months (waiting and dead letters: days) that tables are kept; events count back to two years. Where a
    rollup has no hours, its quarter-hours are kept for as long as hours are.
    """

    postgres_pool: Positive = 10
    batch_records: Positive = 20_000
    flush_seconds: Seconds = 0.25
    flush_pause: Pause = 0.05
    lease_seconds: Seconds = 5.0
    series_limit: Positive = 100_000
    link_limit: Positive = 100_000
    user_agent_limit: Positive = 20_000
    waiting_limit: Positive = 100_000
    dead_letter_limit: Positive = 10_000
    message_cache: Positive = 200_000
    networks: str = ""
    networks_interval: Interval = 3600.0
    agents: str = ""
    agents_interval: Interval = 3600.0
    keep_networks: bool = True
    dnsbl_zones: ZonesSetting = _NO_ZONES
    dnsbl_nameservers: NameserversSetting = ""
    dnsbl_interval: Interval = 3600.0
    retain_messages: Keep = 25
    retain_events: Keep = 25
    retain_quarter_hours: Keep = 25
    retain_hours: Keep = 25
    retain_days: Keep = 120
    retain_waiting: Keep = 30
    retain_dead_letters: Keep = 30
    retain_audit: Keep = 24

    def months(self) -> dict[str, int]:
        """Months that each table cut by months is kept, beside the present one."""
        return {
            "message": self.retain_messages,
            "engagement": self.retain_messages,
            "event": self.retain_events,
            "purchase": self.retain_events,
            "custom_event": self.retain_events,
            **{tier.table: self._kept(tier, rollup) for rollup in ROLLUPS for tier in rollup.tiers},
            **{tier.table: self._kept(tier) for tier in (*SUM_TIERS, *LEAVING)},
        }

    def _kept(self, tier: Tier, rollup: Rollup | None = None) -> int:
        if tier.seconds == QUARTER_HOUR and rollup is not None and HOUR not in {one.seconds for one in rollup.tiers}:
            return max(self.retain_quarter_hours, self.retain_hours)  # they answer what hours do elsewhere
        by_width = {
            1: SECONDS_MONTHS,
            QUARTER_HOUR: self.retain_quarter_hours,
            HOUR: self.retain_hours,
            DAY: self.retain_days,
        }
        return by_width[tier.seconds]
