"""Deployments and StatefulSets as their controllers keep them: how many pods, and in which order they are replaced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.deploy.manifests import Doc, fingerprint, share

if TYPE_CHECKING:
    from tests.deploy.cluster import Cluster
    from tests.deploy.pod import Pod


class Workload:
    """`doc` is replaced when it is applied anew. `settled`: every pod is of this revision and available."""

    def __init__(self, cluster: Cluster, doc: Doc) -> None:
        self._cluster = cluster
        self.doc = doc
        self.name: str = doc["metadata"]["name"]
        self._made = 0

    @property
    def key(self) -> str:
        return f"{self.doc['kind']}/{self.name}"

    @property
    def revision(self) -> str:
        # Kubernetes itself starts no pod anew when a ConfigMap changes; kustomize gives it another name.
        return fingerprint(self.doc["spec"]["template"])

    @property
    def replicas(self) -> int:
        return self._cluster.manifests.replicas(self.doc)

    @property
    def pods(self) -> list[Pod]:
        return [pod for pod in self._cluster.pods if pod.owner == self.key]

    @property
    def settled(self) -> bool:
        pods = self.pods
        return len(pods) == self.replicas and all(p.revision == self.revision and self._is_available(p) for p in pods)

    def _is_available(self, pod: Pod) -> bool:
        return pod.available(self.doc["spec"].get("minReadySeconds", 0))

    def _create(self, name: str) -> None:
        template = json.loads(json.dumps(self.doc["spec"]["template"]))
        self._cluster.create(name, self.key, template, self.revision)

    def reconcile(self) -> None:
        """One look at the pods, and what follows from it."""
        raise NotImplementedError


class Deployment(Workload):
    """RollingUpdate and Recreate."""

    def reconcile(self) -> None:
        active = [pod for pod in self.pods if not pod.terminating]
        new = [pod for pod in active if pod.revision == self.revision]
        old = [pod for pod in active if pod.revision != self.revision]
        strategy = self.doc["spec"].get("strategy", {})
        if strategy.get("type") == "Recreate" and old:
            for pod in old:
                pod.delete()
            return
        limits = strategy.get("rollingUpdate", {})
        surge = share(limits.get("maxSurge", "25%"), self.replicas, up=True)
        least = self.replicas - share(limits.get("maxUnavailable", "25%"), self.replicas, up=False)
        for _ in range(min(self.replicas - len(new), self.replicas + surge - len(active))):
            self._made += 1
            self._create(f"{self.name}-{self.revision}-{self._made}")
            active = [pod for pod in self.pods if not pod.terminating]
        for pod in new[self.replicas :]:
            pod.delete()
        coming = sum(pod.revision == self.revision and not self._is_available(pod) for pod in active)
        may_go = len(active) - least - coming
        for pod in sorted(old, key=self._is_available):
            available = sum(map(self._is_available, active))
            if may_go > 0 and (not self._is_available(pod) or available > least):
                pod.delete()
                may_go -= 1


class StatefulSet(Workload):
    """Pods by number: made upwards, replaced downwards, one after the other."""

    def reconcile(self) -> None:
        pods = {pod.name: pod for pod in self.pods}
        names = [f"{self.name}-{number}" for number in range(self.replicas)]
        in_order = self.doc["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady"
        for name in names:
            if name not in pods:
                self._create(name)
            if in_order and (name not in pods or not self._is_available(pods[name])):
                return
        for name, pod in pods.items():
            if name not in names:
                pod.delete()
        if any(name not in pods for name in names):
            return
        strategy = self.doc["spec"].get("updateStrategy", {})
        partition = strategy.get("rollingUpdate", {}).get("partition", 0)
        for name in reversed(names[partition:]):
            if pods[name].revision != self.revision:
                pods[name].delete()
                return
            if not self._is_available(pods[name]):
                return


KINDS = {"Deployment": Deployment, "StatefulSet": StatefulSet}
