"""NetworkPolicies: who may connect to whom."""

from __future__ import annotations

from tests.deploy.manifests import Doc, Group, Manifests, selects


def allows(manifests: Manifests, source: Group | str, target: Group | None, port: int) -> bool:
    """Whether a connection by TCP gets through.

    source: pods here, or the name of another namespace whose pods they are; `""` is anywhere outside of the cluster.
    target: pods here, or None for an address outside. Pods that no policy picks are open, as in Kubernetes.
    """
    leaves = isinstance(source, str) or _passes(manifests, "Egress", source, target, port, target)
    return leaves and (target is None or _passes(manifests, "Ingress", target, source, port, target))


def _passes(
    manifests: Manifests, way: str, own: Group, other: Group | str | None, port: int, target: Group | None
) -> bool:
    mine = [
        doc["spec"]
        for doc in manifests.of("NetworkPolicy")
        if way in doc["spec"]["policyTypes"] and _picks(doc["spec"]["podSelector"], own.labels)
    ]
    peers = "to" if way == "Egress" else "from"
    rules = [rule for spec in mine for rule in spec.get(way.lower(), [])]
    return not mine or any(
        (peers not in rule or any(_is_peer(peer, other) for peer in rule[peers]))
        and ("ports" not in rule or any(_is_port(one, port, target) for one in rule["ports"]))
        for rule in rules
    )


def _is_peer(peer: Doc, other: Group | str | None) -> bool:
    if "ipBlock" in peer:
        raise ValueError("blocks of addresses are not known here")
    if "namespaceSelector" in peer:
        name = other if isinstance(other, str) else ""
        labels = {"kubernetes.io/metadata.name": name}
        return bool(name) and "podSelector" not in peer and selects(peer["namespaceSelector"], labels)
    return isinstance(other, Group) and "podSelector" in peer and _picks(peer["podSelector"], other.labels)


def _is_port(one: Doc, port: int, target: Group | None) -> bool:
    if one.get("protocol", "TCP") != "TCP":
        return False
    if isinstance(one["port"], str):
        return target is not None and target.ports.get(one["port"]) == port
    return bool(one["port"] == port)


def _picks(selector: Doc, labels: dict[str, str]) -> bool:
    """A policy's empty selector picks every pod."""
    return not selector or selects(selector, labels)
