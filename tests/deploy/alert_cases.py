"""Each alert, by what Prometheus has seen when it must fire: promtool's notation, one value a minute."""

from dataclasses import dataclass

from postmeter.shared.apis.documents import exports

HIT = 'endpoint="/api/v1/track/open/"'
API = 'endpoint="/v1/query"'
DOWNLOAD = f'endpoint="{exports.DOWNLOAD_PATH}"'
WELL = {
    'postmeter_hits_answered_total{outcome="recorded"}': "0+100000x5000",
    'postmeter_hits_stored_total{place="stream"}': "0+100000x5000",
    'postmeter_hits_stored_total{place="spool"}': "0x5000",
    'postmeter_hits_dropped_total{reason="spool_full"}': "0x5000",
    'postmeter_hits_dropped_total{reason="signature"}': "0+7x5000",
    'postmeter_gateway_hits_answered_total{outcome="passed_on"}': "0+50x5000",
    'postmeter_gateway_hits_answered_total{outcome="dropped"}': "0x5000",
    f'postmeter_gateway_seconds_count{{{HIT}, status="200"}}': "0+50x5000",
    f'postmeter_gateway_seconds_count{{{API}, status="200"}}': "0+600x5000",
    f'postmeter_gateway_seconds_bucket{{{API}, status="200", le="0.1"}}': "0+600x5000",
    f'postmeter_gateway_seconds_bucket{{{API}, status="200", le="10.0"}}': "0+600x5000",
    f'postmeter_gateway_seconds_bucket{{{API}, status="200", le="+Inf"}}': "0+600x5000",
    # A download takes as long as its reader does; some in a hundred of the answers are.
    f'postmeter_gateway_seconds_count{{{DOWNLOAD}, status="200"}}': "0+20x5000",
    f'postmeter_gateway_seconds_bucket{{{DOWNLOAD}, status="200", le="10.0"}}': "0x5000",
    f'postmeter_gateway_seconds_bucket{{{DOWNLOAD}, status="200", le="+Inf"}}': "0+20x5000",
    'postmeter_connections_refused_total{bound="all"}': "0x5000",
    'postmeter_lag_seconds{shard="0"}': "0.2x5000",
    'postmeter_shard_stalled_seconds{shard="0"}': "1x5000",
    "postmeter_leases": "4x5000",
    "postmeter_shards": "4x5000",
    "postmeter_takeovers_total": "3x5000",
    "postmeter_stream_regressions_total": "1x5000",
    "postmeter_dead_letters_total": "9x5000",
    "postmeter_dead_letters_dropped_total": "2x5000",
    "postmeter_erasures_open_seconds": "0x90 0+60x2 0x4900",
    'postmeter_networks_refreshes_total{result="read"}': "0+1x5000",
    'postmeter_networks_refreshes_total{result="failed"}': "0x600 0+1x4400",
    "postmeter_spool_bytes": "0x5000",
    "postmeter_spool_limit_bytes": "1000000x5000",
    "postmeter_spool_age_seconds": "0x5000",
    "postmeter_spool_disk_free_bytes": "3000x5000",
    "postmeter_spool_disk_low_bytes": "2000x5000",
    'up{job="postmeter"}': "1x5000",
    'postmeter_ready{check="postgres"}': "1x5000",
    'postmeter_ready{check="schema"}': "1x5000",
    'postmeter_warning{warning="redis"}': "0x5000",
    'postmeter_warning{warning="disk"}': "1x5000",
    'postmeter_key_refusals_total{reason="unknown"}': "0+1x5000",
    'postmeter_rate_limit_skipped_total{limit="read"}': "5x15 9x5000",
    'postmeter_exports_total{result="failed"}': "2x5000",
    'postmeter_webhook_deliveries_total{provider="ses", source="s1", outcome="refused"}': "4x5000",
    "process_start_time_seconds": "-100000x5000",
}
"""All series as they are while everything is well: nothing may fire, at any of MINUTES."""
MINUTES = (20, 120, 4500)


@dataclass(frozen=True)
class Case:
    """`series` in place of WELL's; `fires` at `minute`, beside `also`."""

    fires: str
    minute: int
    series: dict[str, str]
    also: tuple[str, ...] = ()


LOST = 'postmeter_hits_dropped_total{reason="spool_full"}'
MARKED = 'postmeter_hits_answered_total{outcome="dropped"}'
BOTH = ("PostmeterHitsLost", "PostmeterErrorBudgetBurnsSlowly")


def lost(minute: int, each: str) -> dict[str, str]:
    """`each` hits a minute are lost from `minute` on; the books are in order."""
    return {LOST: f"0x{minute - 1} 0+{each}x5000", MARKED: f"0x{minute - 1} 0+{each}x5000"}


CASES = (
    Case("PostmeterHitsUnaccounted", 20, {'postmeter_hits_stored_total{place="stream"}': "0+99999x5000"}),
    Case(
        "PostmeterHitsUnaccounted",
        20,
        {'postmeter_gateway_hits_answered_total{outcome="passed_on"}': "0+49x5000"},
    ),
    Case("PostmeterHitsLost", 18, lost(16, "1")),
    Case(  # by a process that began two minutes ago: increase() would not see its first value
        "PostmeterHitsLost",
        20,
        {LOST: "_x18 7x100", MARKED: "_x18 7x100", "process_start_time_seconds": "1080x5000"},
        also=(
            "PostmeterStreamSetBack",
            "PostmeterDeadLetters",
            "PostmeterDeadLettersDropped",
            "PostmeterExportsFail",
            "PostmeterShardTakenOver",
        ),
    ),
    Case(
        "PostmeterHitsServedByGateway",
        20,
        {
            'postmeter_gateway_hits_answered_total{outcome="dropped"}': "0x16 0+1x100",
            f'postmeter_gateway_seconds_count{{{HIT}, status="302"}}': "0x16 0+1x100",
        },
    ),
    Case("PostmeterConnectionsRefused", 20, {'postmeter_connections_refused_total{bound="all"}': "0x16 0+1x100"}),
    # 0.3 % for an hour: 30 times what the budget allows.
    Case("PostmeterErrorBudgetBurnsFast", 700, lost(630, "300"), also=BOTH),
    # 0.1 % for six hours, which one hour does not make urgent.
    Case("PostmeterErrorBudgetBurnsFast", 1000, lost(600, "100"), also=BOTH),
    # 0.05 % for a day, then 0.02 % for three days: never urgent, and too much all the same.
    Case("PostmeterErrorBudgetBurnsSlowly", 3000, lost(1500, "50"), also=("PostmeterHitsLost",)),
    Case("PostmeterErrorBudgetBurnsSlowly", 4900, lost(100, "20"), also=("PostmeterHitsLost",)),
    Case("PostmeterNumbersBehind", 20, {'postmeter_lag_seconds{shard="0"}': "0x10 0+60x100"}),
    Case("PostmeterShardStalled", 20, {'postmeter_shard_stalled_seconds{shard="0"}': "0x10 0+60x100"}),
    Case("PostmeterShardWithoutOwner", 20, {"postmeter_leases": "3x100"}),
    Case("PostmeterShardWithoutOwner", 20, {"postmeter_leases": "4x10 stale", "postmeter_shards": "4x10 stale"}),
    Case("PostmeterShardTakenOver", 20, {"postmeter_takeovers_total": "3x15 4x100"}),
    Case("PostmeterStreamSetBack", 20, {"postmeter_stream_regressions_total": "1x15 2x100"}),
    Case("PostmeterDeadLetters", 20, {"postmeter_dead_letters_total": "9x15 10x100"}),
    Case("PostmeterDeadLettersDropped", 20, {"postmeter_dead_letters_dropped_total": "2x15 3x100"}),
    Case(
        "PostmeterListsNotRefreshed",
        700,
        {
            'postmeter_networks_refreshes_total{result="read"}': "0+1x400 400x5000",
            'postmeter_networks_refreshes_total{result="failed"}': "0x400 0+1x5000",
        },
    ),
    Case("PostmeterErasureOpen", 120, {"postmeter_erasures_open_seconds": "0x40 0+60x1000"}),
    Case("PostmeterSpoolWaiting", 20, {"postmeter_spool_bytes": "0x10 500x100"}),
    Case("PostmeterSpoolOld", 120, {"postmeter_spool_age_seconds": "0x10 0+60x1000"}),
    Case("PostmeterSpoolNearlyFull", 12, {"postmeter_spool_bytes": "0x10 900000x100"}),
    Case("PostmeterSpoolDiskLow", 20, {"postmeter_spool_disk_free_bytes": "3000x10 1999x100"}),
    Case("PostmeterTargetDown", 20, {'up{job="postmeter"}': "1x10 0x100"}),
    Case("PostmeterTargetDown", 20, {'up{job="monitoring/postmeter-gateway"}': "1x10 0x100"}),
    # The last one of a service is gone, and with it its target: nothing is scraped, and nothing is down.
    Case("PostmeterTargetDown", 20, {one: "0x10 stale" for one in WELL if one.startswith("postmeter_hits_answered")}),
    Case("PostmeterTargetDown", 20, {one: "0x10 stale" for one in WELL if "gateway_hits_answered" in one}),
    Case("PostmeterTargetDown", 20, {one: "2x10 stale" for one in WELL if one.startswith("postmeter_exports")}),
    Case("PostmeterTargetDown", 20, {'up{job="postmeter"}': "1x10 stale"}),
    Case(
        "PostmeterNotReady",
        20,
        {'postmeter_ready{check="postgres"}': "1x10 0x100", 'postmeter_ready{check="schema"}': "1x10 0x100"},
    ),
    Case("PostmeterWarns", 40, {'postmeter_warning{warning="redis"}': "0x10 1x100"}),
    Case("PostmeterSchemaBehind", 20, {'postmeter_ready{check="schema"}': "1x10 0x100"}),
    Case("PostmeterApiErrors", 20, {f'postmeter_gateway_seconds_count{{{API}, status="503"}}': "0x5 0+60x100"}),
    Case(
        "PostmeterApiSlow",
        40,
        {
            f'postmeter_gateway_seconds_bucket{{{API}, status="200", le="0.1"}}': "0+580x100",
            f'postmeter_gateway_seconds_bucket{{{API}, status="200", le="5.0"}}': "0+600x100",
        },
    ),
    Case("PostmeterKeysRefused", 30, {'postmeter_key_refusals_total{reason="unknown"}': "0x10 0+120x100"}),
    Case("PostmeterRateLimiterOpen", 20, {'postmeter_rate_limit_skipped_total{limit="read"}': "5x10 5+1x100"}),
    Case("PostmeterExportsFail", 20, {'postmeter_exports_total{result="failed"}': "2x15 3x100"}),
    Case(
        "PostmeterWebhooksRefused",
        20,
        {'postmeter_webhook_deliveries_total{provider="ses", source="s1", outcome="refused"}': "4x15 6x100"},
    ),
)
