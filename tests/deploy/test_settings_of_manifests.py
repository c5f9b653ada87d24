"""What deploy/k8s sets are settings, and all that each service needs is set."""

import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from postmeter.aggregator.settings import AggregatorSettings
from postmeter.gateway.settings import GatewaySettings
from postmeter.query.settings import QuerySettings
from postmeter.shared.settings import load
from postmeter.tracking.settings import TrackingSettings

K8S = Path(__file__).parents[2] / "deploy/k8s"
SERVICES: dict[str, Any] = {
    "tracking": TrackingSettings,
    "gateway": GatewaySettings,
    "query": QuerySettings,
    "aggregator": AggregatorSettings,
}


def literals(folder: str) -> dict[str, str]:
    """The ConfigMap `settings` as one kustomization has it."""
    made = yaml.safe_load((K8S / folder / "kustomization.yaml").read_text())["configMapGenerator"]
    return dict(line.split("=", 1) for each in made if each["name"] == "settings" for line in each["literals"])


@pytest.mark.parametrize("overlay", ["small", "standard"])
def test_each_service_has_the_settings_it_needs_and_nothing_is_misspelt(overlay: str) -> None:
    config = literals("base") | literals(f"overlays/{overlay}")
    printed = subprocess.run([K8S / "secrets.sh"], check=True, capture_output=True, text=True).stdout
    secrets = {doc["metadata"]["name"]: doc["stringData"] for doc in yaml.safe_load_all(printed) if doc}
    known = {name: {f"POSTMETER_{field.name.upper()}" for field in fields(kind)} for name, kind in SERVICES.items()}
    assert set(config) <= set().union(*known.values())
    for name, kind in SERVICES.items():
        assert set(secrets[name]) <= known[name]
        load(kind, config | secrets[name])
