"""Rendered manifests: what stands in them, and the few values that need arithmetic."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable
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

    def of(self, *kinds: str) -> list[Doc]:
        """All of these kinds."""
        return [doc for (kind, _), doc in self._docs.items() if kind in kinds]

    def add(self, doc: Doc) -> None:
        """As `kubectl apply` does, one document."""
        self._docs[doc["kind"], doc["metadata"]["name"]] = doc

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
    """Whether a selector, as `matchLabels` or bare, picks these labels."""
    if "matchExpressions" in selector:
        raise ValueError("matchExpressions are not known here")
    wanted = selector.get("matchLabels", selector)
    return bool(wanted) and all(labels.get(name) == value for name, value in wanted.items())


def fingerprint(template: Doc) -> str:
    """Two templates with the same one are the same revision."""
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def contents(doc: Doc) -> dict[str, bytes]:
    """What a ConfigMap or Secret holds."""
    found = {name: str(text).encode() for name, text in (doc.get("data") or {}).items()}
    if doc["kind"] == "Secret":
        found = {name: base64.b64decode(text) for name, text in found.items()}
    return found | {name: str(text).encode() for name, text in doc.get("stringData", {}).items()}
