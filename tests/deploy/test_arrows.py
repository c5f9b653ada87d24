"""Network policies let through what the services' settings name, and nothing else."""

from urllib.parse import urlsplit

import pytest

from tests.deploy.environments import environment
from tests.deploy.manifests import Group, Manifests, groups
from tests.deploy.policies import allows
from tests.deploy.render import OVERLAYS, whole

DEFAULT_PORTS = {"postgresql": 5432, "redis": 6379, "rediss": 6379, "http": 80, "https": 443, "s3": 443}
OURS = ("POSTMETER_PUBLIC_URL", "POSTMETER_PUBLIC_GATEWAY_URL")
"""URLs that others ask: mails and callers have them."""


def named(manifests: Manifests, group: Group) -> set[tuple[str, int]]:
    """Hosts and ports in a group's own settings."""
    found = set()
    for name, value in environment(manifests, group).items():
        parts = urlsplit(value)
        if parts.scheme in DEFAULT_PORTS and name not in OURS:
            assert parts.hostname, name
            found.add((parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]))
    return found


def behind(manifests: Manifests, host: str, port: int) -> tuple[Group, int] | None:
    """The pods, and their port, behind a Service; None for a host that is not one of the cluster's."""
    if not manifests.has("Service", host):
        return None
    spec = manifests.get("Service", host)["spec"]
    (target,) = (one.get("targetPort", one["port"]) for one in spec["ports"] if one["port"] == port)
    (group,) = (one for one in groups(manifests) if spec["selector"].items() <= one.labels.items())
    return group, group.port(target)


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> Manifests:
    return whole(request.param)


def test_pods_reach_what_their_settings_name_and_nothing_else(manifests: Manifests) -> None:
    everybody = groups(manifests)
    inside: set[tuple[str, str, int]] = set()
    outside: set[tuple[str, int]] = set()
    for group in everybody:
        for host, port in named(manifests, group):
            place = behind(manifests, host, port)
            if place is None:
                outside.add((group.owner, port))
            else:
                inside.add((group.owner, place[0].owner, place[1]))
    assert inside
    assert inside == {
        (source.owner, target.owner, port)
        for source in everybody
        for target in everybody
        for port in target.ports.values()
        if allows(manifests, source, target, port)
    }
    tried = {port for _, port in outside} | {25, 80, 443, 8080, 9090, *DEFAULT_PORTS.values()}
    assert outside == {(one.owner, port) for one in everybody for port in tried if allows(manifests, one, None, port)}


def test_who_reaches_the_master_reaches_its_sentinels_where_there_are_any() -> None:
    """`redis+sentinel://` names port 26379, and they name the master."""
    without, with_them = whole("standard"), whole("standard", "sentinels")
    for group in groups(with_them):
        for port in (25, 80, 443, 5432, 6379, 8080):
            assert allows(with_them, group, None, port) == allows(without, group, None, port)
        assert allows(with_them, group, None, 26379) == allows(without, group, None, 6379)
        assert not allows(without, group, None, 26379)
        assert not any(allows(with_them, group, other, 26379) for other in groups(with_them))


def test_from_outside_come_hits_and_requests_and_from_prometheus_its_questions(manifests: Manifests) -> None:
    for group in groups(manifests):
        for name, port in group.ports.items():
            public = name == "http" and group.name in ("tracking", "gateway")
            assert allows(manifests, "", group, port) == public
            assert allows(manifests, "shop", group, port) == public
            assert allows(manifests, "monitoring", group, port) == (public or name == "ops")


def test_every_pod_may_ask_for_names(manifests: Manifests) -> None:
    policy = manifests.get("NetworkPolicy", "names")["spec"]
    assert policy["podSelector"] == {}
    (rule,) = policy["egress"]
    assert rule["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]
    assert {(one["port"], one["protocol"]) for one in rule["ports"]} == {(53, "UDP"), (53, "TCP")}
