"""What stands in a pod's environment, of ConfigMaps and the Secrets that `secrets.sh` prints."""

from __future__ import annotations

import subprocess
from dataclasses import fields
from functools import cache
from typing import Any

import yaml

from postmeter.aggregator.settings import AggregatorSettings
from postmeter.gateway.settings import GatewaySettings
from postmeter.query.settings import QuerySettings
from postmeter.tracking.settings import TrackingSettings
from tests.deploy.manifests import Doc, Group, Manifests, contents
from tests.deploy.render import K8S

SERVICES: dict[str, Any] = {
    "tracking": TrackingSettings,
    "gateway": GatewaySettings,
    "query": QuerySettings,
    "aggregator": AggregatorSettings,
}


@cache
def _printed() -> str:
    return subprocess.run([K8S / "secrets.sh"], check=True, capture_output=True, text=True).stdout


def secrets() -> list[Doc]:
    """Those that `secrets.sh` prints."""
    return [doc for doc in yaml.safe_load_all(_printed()) if doc]


def service(group: Group) -> str | None:
    """The service that a group runs, by its command; None for a command, a job or somebody else's image."""
    arguments = [*group.containers[0].get("command", []), *group.containers[0].get("args", [])]
    return arguments[1] if arguments[:1] == ["run"] else None


def known(name: str) -> set[str]:
    """The variables that a service reads."""
    return {f"POSTMETER_{field.name.upper()}" for field in fields(SERVICES[name])}


def environment(manifests: Manifests, group: Group) -> dict[str, str]:
    """What its pods are given, of that what a service itself reads."""
    printed = Manifests(secrets())
    found: dict[str, str] = {}
    for container in group.containers:
        for source in container.get("envFrom", []):
            kind, where = ("ConfigMap", manifests) if "configMapRef" in source else ("Secret", printed)
            reference = source.get("configMapRef") or source["secretRef"]
            found |= {name: text.decode() for name, text in contents(where.get(kind, reference["name"])).items()}
        for entry in container.get("env", []):
            if "value" in entry:
                found[entry["name"]] = entry["value"]
            elif "secretKeyRef" in (origin := entry.get("valueFrom", {})):
                key = origin["secretKeyRef"]
                found[entry["name"]] = contents(printed.get("Secret", key["name"]))[key["key"]].decode()
    name = service(group)
    return {key: value for key, value in found.items() if name is None or key in known(name)}
