"""What every pod keeps to: Restricted Pod Security, and of checkov's rules those that ADR 34 takes.

Each rule looks at a pod's spec and one container of it. `BREACHES`: for each rule a change that breaks it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.deploy.manifests import Doc, quantity

Rule = Callable[[Doc, Doc], bool]
UPSTREAM_USER = 999
"""Of the upstream images of Postgres and Valkey; ours is above 10000, which no machine has (CKV_K8S_40)."""
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


def _security(pod: Doc, container: Doc) -> Doc:
    """A container's own, and what it has of its pod."""
    return {**pod.get("securityContext", {}), **container.get("securityContext", {})}


def _user(pod: Doc, container: Doc) -> bool:
    security = _security(pod, container)
    user = security.get("runAsUser", 0)
    return (
        security.get("runAsNonRoot") is True
        and (user > 10000 or user == UPSTREAM_USER)
        and security.get("runAsGroup") == user
        and pod["securityContext"].get("fsGroup", user) == user
    )


def _capabilities(pod: Doc, container: Doc) -> bool:
    found = _security(pod, container).get("capabilities", {})
    return bool(found.get("drop") == ["ALL"] and not found.get("add"))


def _memory(pod: Doc, container: Doc) -> bool:
    resources = container.get("resources", {})
    asked, most = resources.get("requests", {}).get("memory"), resources.get("limits", {}).get("memory")
    return bool(asked and most) and 0 < quantity(asked) <= quantity(most)


def _image(pod: Doc, container: Doc) -> bool:
    return re.fullmatch(r"[^:@]+/[^:@]+(:\d[\w.-]*|@sha256:[0-9a-f]{64})", container["image"]) is not None


def _bounded(pod: Doc, container: Doc) -> bool:
    """Of the volumes of a machine's own disk or memory."""
    return all("sizeLimit" in volume["emptyDir"] for volume in pod.get("volumes", []) if "emptyDir" in volume)


RULES: dict[str, Rule] = {
    "it is not root, nor of root's group": _user,
    "its root file system is read-only (CKV_K8S_22)": lambda pod, one: (
        _security(pod, one).get("readOnlyRootFilesystem") is True
    ),
    "it gains no rights (CKV_K8S_20)": lambda pod, one: _security(pod, one).get("allowPrivilegeEscalation") is False,
    "it is not privileged (CKV_K8S_16)": lambda pod, one: not _security(pod, one).get("privileged"),
    "it has no capability (CKV_K8S_28, CKV_K8S_37)": _capabilities,
    "its system calls are filtered (CKV_K8S_31)": lambda pod, one: (
        _security(pod, one).get("seccompProfile") == {"type": "RuntimeDefault"}
    ),
    "it holds no key to the cluster (CKV_K8S_38)": lambda pod, one: pod.get("automountServiceAccountToken") is False,
    "it gets no variables of services": lambda pod, one: pod.get("enableServiceLinks") is False,
    "it shares nothing of its node (CKV_K8S_17, 18, 19)": lambda pod, one: (
        not any(pod.get(name) for name in ("hostPID", "hostIPC", "hostNetwork", "shareProcessNamespace"))
    ),
    "it takes no port of its node (CKV_K8S_26)": lambda pod, one: (
        not any("hostPort" in port for port in one.get("ports", []))
    ),
    "its volumes are not its node's (CKV_K8S_27)": lambda pod, one: all(
        set(volume) - {"name"} <= VOLUMES for volume in pod.get("volumes", [])
    ),
    "its volumes are bounded": _bounded,
    "it asks for CPU (CKV_K8S_10)": lambda pod, one: (
        quantity(one.get("resources", {}).get("requests", {}).get("cpu", 0)) > 0
    ),
    "its memory is asked for and bounded (CKV_K8S_12, CKV_K8S_13)": _memory,
    "its image is a version or a digest (CKV_K8S_14)": _image,
}
BREACHES: dict[str, Callable[[Doc, Doc], object]] = {
    "it is not root, nor of root's group": lambda pod, one: pod["securityContext"].update(runAsGroup=0),
    "its root file system is read-only (CKV_K8S_22)": lambda pod, one: one["securityContext"].pop(
        "readOnlyRootFilesystem"
    ),
    "it gains no rights (CKV_K8S_20)": lambda pod, one: one["securityContext"].pop("allowPrivilegeEscalation"),
    "it is not privileged (CKV_K8S_16)": lambda pod, one: one["securityContext"].update(privileged=True),
    "it has no capability (CKV_K8S_28, CKV_K8S_37)": lambda pod, one: one["securityContext"]["capabilities"].update(
        add=["NET_BIND_SERVICE"]
    ),
    "its system calls are filtered (CKV_K8S_31)": lambda pod, one: pod["securityContext"].pop("seccompProfile"),
    "it holds no key to the cluster (CKV_K8S_38)": lambda pod, one: pod.pop("automountServiceAccountToken"),
    "it gets no variables of services": lambda pod, one: pod.pop("enableServiceLinks"),
    "it shares nothing of its node (CKV_K8S_17, 18, 19)": lambda pod, one: pod.update(hostNetwork=True),
    "it takes no port of its node (CKV_K8S_26)": lambda pod, one: one.setdefault("ports", []).append(
        {"containerPort": 1, "hostPort": 1}
    ),
    "its volumes are not its node's (CKV_K8S_27)": lambda pod, one: pod.setdefault("volumes", []).append(
        {"name": "host", "hostPath": {"path": "/"}}
    ),
    "its volumes are bounded": lambda pod, one: pod.setdefault("volumes", []).append({"name": "x", "emptyDir": {}}),
    "it asks for CPU (CKV_K8S_10)": lambda pod, one: one["resources"]["requests"].pop("cpu"),
    "its memory is asked for and bounded (CKV_K8S_12, CKV_K8S_13)": lambda pod, one: one["resources"]["limits"].pop(
        "memory"
    ),
    "its image is a version or a digest (CKV_K8S_14)": lambda pod, one: one.update(
        image="registry.shop.example/postmeter:latest"
    ),
}
