"""Manifests of the four services, as few as will do: what the harness is tried on."""

from __future__ import annotations

from typing import Any

from tests.deploy.manifests import Doc, Manifests

SETTINGS = {
    "HOST": "0.0.0.0",
    "OPS_PORT": "9090",
    "PORT": "8000",
    "REDIS_URL": "redis://valkey:6379/0",
    "PUBLIC_URL": "http://t.rollout.example",
    "PUBLIC_GATEWAY_URL": "http://api.rollout.example",
    "TRACKING_URL": "http://tracking:80",
    "QUERY_URL": "http://query:80",
    "EXPORT_DIR": "/data",
    "SPOOL_DIR": "/data",
    "SPOOL_RESERVE": "1048576",
}
USER = 10001


def manifests() -> Manifests:
    """tracking as a StatefulSet, the rest as Deployments, two of each on two nodes."""
    settings = {f"POSTMETER_{name}": value for name, value in SETTINGS.items()}
    docs: list[Doc] = [{"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": settings}]
    docs.append(_workload("StatefulSet", "tracking", updateStrategy={"type": "RollingUpdate"}))
    docs[-1]["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}}]
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    for name in ("gateway", "query", "aggregator"):
        docs.append(_workload("Deployment", name, strategy=strategy))
        docs[-1]["spec"]["template"]["spec"]["volumes"] += [{"name": "data", "emptyDir": {}}]
    docs += [
        {
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        }
        for name in ("tracking", "query", "gateway")
    ]
    docs += [
        {
            "kind": "PodDisruptionBudget",
            "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": name}}, "maxUnavailable": 1},
        }
        for name in ("tracking", "query", "gateway", "aggregator")
    ]
    migrate = _template("migrate", ["postmeter", "migrate"])
    migrate["spec"] |= {"restartPolicy": "Never", "volumes": [{"name": "tmp", "emptyDir": {}}]}
    container = migrate["spec"]["containers"][0]
    container["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
    for unwanted in ("startupProbe", "livenessProbe", "readinessProbe", "lifecycle"):
        del container[unwanted]
    docs.append({"kind": "Job", "metadata": {"name": "migrate"}, "spec": {"template": migrate}})
    return Manifests(docs)


def _workload(kind: str, name: str, **more: Any) -> Doc:
    spec = {"replicas": 2, "minReadySeconds": 2, "template": _template(name, ["postmeter", "run", name]), **more}
    return {"kind": kind, "metadata": {"name": name}, "spec": spec}


def _template(name: str, command: list[str]) -> Doc:
    probe = {"httpGet": {"path": "/healthz", "port": "ops"}, "periodSeconds": 1, "failureThreshold": 60}
    container = {
        "name": name,
        "command": command,
        "ports": [{"name": "http", "containerPort": 8000}, {"name": "ops", "containerPort": 9090}],
        "envFrom": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": name}}],
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "resources": {"limits": {"memory": "512Mi"}},
        "securityContext": {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/tmp"}],
        "startupProbe": probe,
        "livenessProbe": {**probe, "failureThreshold": 3, "periodSeconds": 5},
        "readinessProbe": {**probe, "httpGet": {"path": "/readyz", "port": "ops"}, "failureThreshold": 2},
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "3"]}}},
    }
    security = {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER}
    spec = {
        "enableServiceLinks": False,
        "securityContext": security,
        "terminationGracePeriodSeconds": 30,
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    return {"metadata": {"labels": {"app": name}}, "spec": spec}
