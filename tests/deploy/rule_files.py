"""Rule files and dashboards of deploy/, read as data: their alerts, their expressions, what these name."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.missing import need

ROOT = Path(__file__).parents[2]
RULE_FILES = sorted((ROOT / "deploy/prometheus").glob("*.rules.yml"))
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
INSTALL = "Debian's package prometheus has it"
PROMTOOL, PROMETHEUS = "/usr/bin/promtool", "/usr/bin/prometheus"
_SERIES = re.compile(r"\b(postmeter[_:][a-z0-9_:]*)(\{[^}]*\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


def rules() -> Iterator[dict[str, Any]]:
    """Every rule of every file."""
    for file in RULE_FILES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    """The names that recording rules make."""
    return {rule["record"] for rule in rules() if "record" in rule}


def series(expression: str) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """(name, its matchers as (label, operator, value)) of all series of ours that an expression names."""
    return [(name, _MATCHER.findall(matchers)) for name, matchers in _SERIES.findall(expression)]


def expressions() -> list[str]:
    """Every rule's and every panel's."""
    return [rule["expr"] for rule in rules()] + [query for _, query in panels()]


def panels() -> list[tuple[str, str]]:
    """(title, expression) of every query of every dashboard; a time range of Grafana's is five minutes."""
    found = []
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            found += [(panel["title"], target["expr"].replace("$__range", "5m")) for target in panel.get("targets", ())]
    return found


def promtool(*arguments: str) -> str:
    ran = subprocess.run(
        [need(PROMTOOL, INSTALL), *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
