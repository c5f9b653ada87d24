"""Writes the dashboards that Grafana reads: `python deploy/grafana/dashboards.py`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("dashboards")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS, STAT_HEIGHT, GRAPH_HEIGHT = 24, 4, 8
GOOD, BAD = "green", "red"
API = 'endpoint!~"/api/v1/track/(open|click)/"'
LOST = 'reason=~"spool_full|spool_failed"'
STOOD_IN = 'outcome=~"dropped|unavailable"'
WEBHOOK = 'endpoint="/v1/webhooks/{provider}/{source}"'


@dataclass(frozen=True)
class Panel:
    """A graph, or with `bad_from` a number that is red from that value on. `queries`: legend and expression."""

    title: str
    description: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    bad_from: float | None = None

    def json(self, number: int, x: int, y: int, width: int) -> dict[str, Any]:
        """As Grafana has it, at a place in its grid."""
        is_stat = self.bad_from is not None
        defaults: dict[str, Any] = {"unit": self.unit, "min": 0}
        options: dict[str, Any] = {"legend": {"displayMode": "list", "placement": "bottom"}}
        if is_stat:
            steps = [{"color": GOOD, "value": None}, {"color": BAD, "value": self.bad_from}]
            defaults |= {"thresholds": {"mode": "absolute", "steps": steps}}
            options = {"colorMode": "value", "graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"]}}
        else:
            defaults |= {"custom": {"lineWidth": 1, "fillOpacity": 5, "showPoints": "never"}}
        return {
            "id": number,
            "type": "stat" if is_stat else "timeseries",
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": width, "h": STAT_HEIGHT if is_stat else GRAPH_HEIGHT},
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": options,
            "targets": [
                {"refId": chr(ord("A") + index), "expr": expr, "legendFormat": legend, "exemplar": not is_stat}
                for index, (legend, expr) in enumerate(self.queries)
            ],
        }


def dashboard(uid: str, title: str, description: str, rows: list[list[Panel]]) -> dict[str, Any]:
    """A dashboard; the panels of a row share its width."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        width = COLUMNS // len(row)
        panels += [panel.json(len(panels) + at + 1, at * width, y, width) for at, panel in enumerate(row)]
        y += panels[-1]["gridPos"]["h"]
    variable = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["postmeter"],
        "schemaVersion": 38,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [variable]},
        "panels": panels,
    }


def quantile(part: float) -> str:
    """Seconds that this part of the API's answers took at most; not downloads, which take their readers' time."""
    answers = API.replace('/"', '/|.*/download"')
    return f"histogram_quantile({part}, sum by (le) (rate(postmeter_gateway_seconds_bucket{{{answers}}}[5m])))"


OVERVIEW = dashboard(
    "postmeter-overview",
    "Postmeter: overview",
    "Is anything lost, is anything late, and where.",
    [
        [
            Panel(
                "Hits without an account",
                "Answered hits that are neither stored nor marked as dropped. Always 0; anything else is a fault of"
                " Postmeter's.",
                "short",
                (("", "sum(abs(postmeter:hits_unaccounted)) + sum(abs(postmeter:gateway_hits_unaccounted))"),),
                1,
            ),
            Panel(
                "Hits lost, 24 h",
                "Answered with the mark of a drop, or not answered. People got their pictures and pages; no statistics"
                " have these hits.",
                "short",
                (
                    (
                        "",
                        f"sum(increase(postmeter_hits_dropped_total{{{LOST}}}[1d]))"
                        f" + sum(increase(postmeter_gateway_hits_answered_total{{{STOOD_IN}}}[1d]))",
                    ),
                ),
                1,
            ),
            Panel(
                "Numbers behind",
                "How far the worst shard is behind. Below a second when all is well. Nothing is lost while it grows.",
                "s",
                (("", "max(postmeter:lag_seconds:max)"),),
                10,
            ),
            Panel(
                "Waiting on disk",
                "Hits in the spools, which wait for Redis. They drain by themselves.",
                "bytes",
                (("", "sum(postmeter_spool_bytes)"),),
                1,
            ),
            Panel(
                "Checks that fail",
                "Checks of /readyz that do not pass, over all instances. The page /readyz of an instance has the"
                " reason.",
                "short",
                (("", "sum(1 - postmeter_ready)"),),
                1,
            ),
        ],
        [
            Panel(
                "Hits per second",
                "Recorded: answered after Redis or the disk had them. Counted: in the tables. The two lines lie on each"
                " other; where counted is below recorded, hits wait in the streams.",
                "reqps",
                (("recorded", "sum(postmeter:hits:rate5m)"), ("counted", "sum(postmeter:hits_counted:rate5m)")),
            ),
            Panel(
                "Hits answered and not counted, by reason",
                "spool_full, spool_failed and those of the gateway are losses. The others are forged or broken links,"
                " and head a HEAD of a pixel.",
                "reqps",
                (
                    ("{{reason}}", "sum by (reason) (rate(postmeter_hits_dropped_total[5m]))"),
                    (
                        "gateway: {{outcome}}",
                        f"sum by (outcome) (rate(postmeter_gateway_hits_answered_total{{{STOOD_IN}}}[5m]))",
                    ),
                ),
            ),
        ],
        [
            Panel(
                "Behind, by shard",
                "Seconds since what is counted was recorded. One shard alone: its owner's trouble. All: Postgres.",
                "s",
                (("shard {{shard}}", "max by (shard) (postmeter:lag_seconds:max)"),),
            ),
            Panel(
                "Spool",
                "Bytes that wait for Redis on each instance's disk, and what the fullest may hold.",
                "bytes",
                (("{{instance}}", "postmeter_spool_bytes"), ("may hold", "min(postmeter_spool_limit_bytes)")),
            ),
        ],
        [
            Panel(
                "API: errors of ours",
                "Part of the answers that are 5xx, hits left out.",
                "percentunit",
                (("5xx", "max(postmeter:api_errors:ratio_rate5m)"),),
            ),
            Panel(
                "API: time of an answer",
                "Of half and of 99 in 100 answers. The points are single requests with their request id, where"
                " Prometheus keeps exemplars.",
                "s",
                (
                    ("half", quantile(0.5)),
                    ("99 of 100", quantile(0.99)),
                ),
            ),
            Panel(
                "Hits: time until Redis has them",
                "Of 99 in 100 batches; a hit is answered after that.",
                "s",
                (("99 of 100", "max(postmeter:hit_seconds:p99_rate5m)"),),
            ),
        ],
    ],
)

WEBHOOKS = dashboard(
    "postmeter-webhooks",
    "Postmeter: webhooks and sources",
    "What providers tell, what is refused, what could not be read.",
    [
        [
            Panel(
                "Deliveries refused, 1 h",
                "Their signature, time or password does not fit. Providers try again by themselves.",
                "short",
                (("", 'sum(increase(postmeter_webhook_deliveries_total{outcome="refused"}[1h]))'),),
                1,
            ),
            Panel(
                "Items that could not be read, 1 h",
                "They are put aside as dead letters; the rest of their delivery counts.",
                "short",
                (("", 'sum(increase(postmeter_webhooks_total{outcome="unreadable"}[1h]))'),),
                1,
            ),
            Panel(
                "Sending IPs on a blocklist",
                "Mail from them is refused somewhere. 0 also where no zones are set.",
                "short",
                (("", "max(postmeter_dnsbl_listed_ips)"),),
                1,
            ),
        ],
        [
            Panel(
                "Deliveries, by source",
                "Deliveries that were taken. A source whose line ends sends nothing any more.",
                "reqps",
                (
                    (
                        "{{provider}} {{source}}",
                        "topk(20, sum by (provider, source) "
                        '(rate(postmeter_webhook_deliveries_total{outcome="taken"}[5m])))',
                    ),
                ),
            ),
            Panel(
                "Refused, by source",
                "Deliveries whose signature, time or password does not fit.",
                "reqps",
                (
                    (
                        "{{provider}} {{source}}",
                        "topk(20, sum by (provider, source) "
                        '(rate(postmeter_webhook_deliveries_total{outcome="refused"}[5m])))',
                    ),
                ),
            ),
        ],
        [
            Panel(
                "Events, by provider",
                "What deliveries brought: one delivery may bring many.",
                "cps",
                (("{{provider}}", 'sum by (provider) (rate(postmeter_webhooks_total{outcome="event"}[5m]))'),),
            ),
            Panel(
                "Answers to providers, by status",
                "404: no such source. 401: refused. 503: a store is away, or POSTMETER_SOURCE_KEY is missing.",
                "reqps",
                (("{{status}}", f"sum by (status) (rate(postmeter_gateway_seconds_count{{{WEBHOOK}}}[5m]))"),),
            ),
        ],
        [
            Panel(
                "Put aside",
                "Dead letters, and those thrown away because a workspace has too many.",
                "cps",
                (
                    ("put aside", "sum(rate(postmeter_dead_letters_total[5m]))"),
                    ("thrown away", "sum(rate(postmeter_dead_letters_dropped_total[5m]))"),
                ),
            ),
            Panel(
                "Events before their message",
                "Parked until their message is registered, and released when it came.",
                "cps",
                (("{{step}}", "sum by (step) (rate(postmeter_waiting_total[5m]))"),),
            ),
        ],
    ],
)
DASHBOARDS = {"overview": OVERVIEW, "webhooks": WEBHOOKS}


def text(content: dict[str, Any]) -> str:
    """A dashboard as it stands in its file."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, content in DASHBOARDS.items():
        (FOLDER / f"{name}.json").write_text(text(content))
