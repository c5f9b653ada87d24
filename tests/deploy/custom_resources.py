"""Shapes of what is not Kubernetes' own, as far as deploy/k8s uses it: whatever else stands in one is refused.

Written after the references of Gateway API (`gateway.networking.k8s.io/v1`, HTTPRoute) and of the Prometheus Operator
(`monitoring.coreos.com/v1`, PodMonitor). Not checked: limits of lengths and the rules that a controller adds.
"""

from __future__ import annotations

from typing import Any

NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "maxLength": 253}
PORT_NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 15}
DURATION = {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": properties,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


_METADATA = _object(
    "name namespace", name=NAME, namespace=NAME, labels={"type": "object"}, annotations={"type": "object"}
)
_ROUTE = _object(
    "parentRefs rules",
    parentRefs=_list(_object("name", name=NAME, namespace=NAME, sectionName=NAME)),
    hostnames=_list(NAME),
    rules=_list(
        _object(
            "backendRefs", backendRefs=_list(_object("name port", name=NAME, port={"type": "integer", "minimum": 1}))
        )
    ),
)
_MONITOR = _object(
    "selector podMetricsEndpoints",
    selector=_object(
        "",
        matchLabels={"type": "object"},
        matchExpressions=_list(
            _object("key operator values", key={"type": "string"}, operator={"const": "In"}, values=_list(NAME))
        ),
    ),
    podMetricsEndpoints=_list(
        _object("port path interval", port=PORT_NAME, path={"type": "string", "pattern": "^/"}, interval=DURATION)
    ),
)


def _resource(spec: dict[str, Any]) -> dict[str, Any]:
    kind = {"type": "string"}
    return _object("apiVersion kind metadata spec", apiVersion=kind, kind=kind, metadata=_METADATA, spec=spec)


SCHEMAS = {
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): _resource(_ROUTE),
    ("monitoring.coreos.com/v1", "PodMonitor"): _resource(_MONITOR),
}
