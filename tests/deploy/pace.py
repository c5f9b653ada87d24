"""The same manifests in a hurry: what they only wait for is shorter, and stays in proportion."""

from __future__ import annotations

from tests.deploy.manifests import Manifests

TIMES = 8
"""With the hook's 10 seconds at 1.25, the quarter of one in which nodes learn (services.PROPAGATION) stands for two."""


def hurried(manifests: Manifests) -> Manifests:
    """Probes come more often, `minReadySeconds` and the hooks' sleep are shorter.

    As they are stay thresholds, time-outs and grace periods: what a process does takes the time it takes.
    """
    found = manifests.copy()
    for doc in found.of("Deployment", "StatefulSet"):
        doc["spec"]["minReadySeconds"] = doc["spec"].get("minReadySeconds", 0) / TIMES
        for container in doc["spec"]["template"]["spec"]["containers"]:
            for probe in (container[name] for name in container if name.endswith("Probe")):
                probe["periodSeconds"] = probe.get("periodSeconds", 10) / TIMES
            match container.get("lifecycle", {}).get("preStop"):
                case {"exec": {"command": ["sleep", seconds]} as hook}:
                    hook["command"] = ["sleep", str(float(seconds) / TIMES)]
    return found
