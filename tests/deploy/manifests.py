"""Rendered manifests: what stands in them, and the few values that need arithmetic."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Doc = dict[str, Any]
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 10**3, "M": 10**6, "G": 10**9, "m": 10**-3, "": 1}


class Manifests:
    """Documents by kind and name."""

    def __init__(self, documents: Iterable[Doc]) -> None:
        self._docs = {(doc["kind"], doc["metadata"]["name"]): doc for doc in documents if doc}

    def get(self, kind: str, name: str) -> Doc:
        """Raises KeyError that says what is missing: a pod that names it would never start."""
        return self._docs[kind, name]

    def has(self, kind: str, name: str) -> bool:
        """Whether there is one."""
        return (kind, name) in self._docs

    def all(self) -> list[Doc]:
        """All of them."""
        return list(self._docs.values())

    def of(self, *kinds: str) -> list[Doc]:
        """All of these kinds."""
        return [doc for (kind, _), doc in self._docs.items() if kind in kinds]

    def add(self, doc: Doc) -> None:
        """As `kubectl apply` does, one document."""
        self._docs[doc["kind"], doc["metadata"]["name"]] = doc

    def remove(self, kind: str, name: str) -> Doc:
        """As `kubectl delete` does; what it was. Raises KeyError."""
        return self._docs.pop((kind, name))

    def copy(self) -> Manifests:
        """One that can be changed alone."""
        return Manifests(json.loads(json.dumps(list(self._docs.values()))))

    def replicas(self, workload: Doc) -> int:
        """How many pods: its own number, or the least of the autoscaler that looks after it."""
        for scaler in self.of("HorizontalPodAutoscaler"):
            target = scaler["spec"]["scaleTargetRef"]
            if (target["kind"], target["name"]) == (workload["kind"], workload["metadata"]["name"]):
                return int(scaler["spec"].get("minReplicas", 1))
        return int(workload["spec"].get("replicas", 1))


def quantity(text: str | int | float) -> float:
    """`512Mi`, `100m`, `2`."""
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text))
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{text!r} is not a quantity")
    return float(found[1]) * _UNITS[found[2]]


def share(value: str | int, whole: int, *, up: bool) -> int:
    """A number, or `25%` of `whole` rounded up or down."""
    if isinstance(value, int):
        return value
    exact = int(value.removesuffix("%")) * whole / 100
    return math.ceil(exact) if up else math.floor(exact)


def selects(selector: Doc, labels: dict[str, str]) -> bool:
    """Whether a selector, as `matchLabels`, `matchExpressions` or bare, picks these labels. An empty one picks none."""
    if not {"matchLabels", "matchExpressions"} & set(selector):
        selector = {"matchLabels": selector}
    wanted, expressions = selector.get("matchLabels", {}), selector.get("matchExpressions", [])
    if any(one["operator"] != "In" for one in expressions):
        raise ValueError("only In is known here")
    return (
        bool(wanted or expressions)
        and all(labels.get(name) == value for name, value in wanted.items())
        and all(labels.get(one["key"]) in one["values"] for one in expressions)
    )


@dataclass(frozen=True)
class Group:
    """Pods of one template. `owner`: `Deployment/gateway`. `template`: their metadata and spec."""

    owner: str
    template: Doc

    @property
    def name(self) -> str:
        return self.owner.partition("/")[2]

    @property
    def labels(self) -> dict[str, str]:
        found: dict[str, str] = self.template["metadata"].get("labels", {})
        return found

    @property
    def spec(self) -> Doc:
        found: Doc = self.template["spec"]
        return found

    @property
    def containers(self) -> list[Doc]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        """The numbers of its ports by their names."""
        return {port["name"]: port["containerPort"] for one in self.containers for port in one.get("ports", [])}

    def port(self, port: int | str) -> int:
        """One by number or name. Raises KeyError for one that no container has."""
        if port in self.ports.values():
            return int(port)
        return self.ports[str(port)]


def groups(manifests: Manifests) -> list[Group]:
    """Whatever makes pods, and pods."""
    found = [
        Group(f"{doc['kind']}/{doc['metadata']['name']}", doc["spec"]["template"])
        for doc in manifests.of("Deployment", "StatefulSet", "Job")
    ]
    return found + [Group(f"Pod/{doc['metadata']['name']}", doc) for doc in manifests.of("Pod")]


def fingerprint(template: Doc) -> str:
    """Two templates with the same one are the same revision."""
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def contents(doc: Doc) -> dict[str, bytes]:
    """What a ConfigMap or Secret holds."""
    found = {name: str(text).encode() for name, text in (doc.get("data") or {}).items()}
    if doc["kind"] == "Secret":
        found = {name: base64.b64decode(text) for name, text in found.items()}
    return found | {name: str(text).encode() for name, text in doc.get("stringData", {}).items()}
