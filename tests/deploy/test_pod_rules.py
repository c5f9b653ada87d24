"""Every pod of deploy/k8s keeps to the rules, and each rule finds what breaks it."""

import pytest

from tests.deploy.manifests import groups
from tests.deploy.pod_rules import BREACHES, RULES
from tests.deploy.render import OVERLAYS, whole


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_keeps_to_every_rule(overlay: str) -> None:
    broken = [
        f"{group.owner}, {container['name']}: not so that {rule}"
        for group in groups(whole(overlay))
        for container in group.containers
        for rule, holds in RULES.items()
        if not holds(group.spec, container)
    ]
    assert broken == []


@pytest.mark.parametrize("rule", RULES)
def test_a_breach_is_seen(rule: str) -> None:
    (group,) = (one for one in groups(whole("small")) if one.name == "gateway")
    BREACHES[rule](group.spec, group.spec["containers"][0])
    assert not RULES[rule](group.spec, group.spec["containers"][0])


def test_the_namespace_lets_in_restricted_pods_only() -> None:
    labels = whole("small").get("Namespace", "postmeter")["metadata"]["labels"]
    modes = ("enforce", "audit", "warn")
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in modes} == {"restricted"}
