"""What one document of deploy/k8s names in another is there, and is what it is taken for."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest

from postmeter.query.exports import service as exports
from postmeter.shared.http.server import LAST_REQUESTS
from postmeter.shared.process import ops
from postmeter.shared.process.settings import AnsweringSettings, Settings, load
from postmeter.tracking.parts import SOURCE_CONNECTIONS
from tests.deploy.environments import SERVICES, environment, known, secrets, service
from tests.deploy.manifests import Doc, Group, Manifests, contents, groups, quantity, selects
from tests.deploy.render import OVERLAYS, ROOT, whole

OTHER_CONNECTIONS = {"tracking": SOURCE_CONNECTIONS, "query": exports.CONNECTIONS}
"""To Postgres, beside those of POSTMETER_POSTGRES_POOL."""
MAX_CONNECTIONS = 100
"""Of Postgres as it comes, of which three are for its superuser."""


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> Manifests:
    return whole(request.param)


def services(manifests: Manifests) -> dict[str, Group]:
    """The groups that run one of the four, by its name."""
    return {name: group for group in groups(manifests) if (name := service(group)) is not None}


def most(manifests: Manifests, owner: str) -> int:
    """How many pods of a group there may come to be, but for those of an update."""
    kind, _, name = owner.partition("/")
    scalers = [
        int(doc["spec"]["maxReplicas"])
        for doc in manifests.of("HorizontalPodAutoscaler")
        if (doc["spec"]["scaleTargetRef"]["kind"], doc["spec"]["scaleTargetRef"]["name"]) == (kind, name)
    ]
    return max([*scalers, manifests.replicas(manifests.get(kind, name))])


def test_each_service_has_the_settings_it_needs_and_no_secret_that_is_not_its_own(manifests: Manifests) -> None:
    running = services(manifests)
    assert set(running) == set(SERVICES)
    printed = Manifests(secrets())
    for name, group in running.items():
        load(SERVICES[name], environment(manifests, group))
        assert set(contents(printed.get("Secret", name))) <= known(name)


def test_no_setting_is_misspelt(manifests: Manifests) -> None:
    everybodys = set().union(*map(known, SERVICES))
    for doc in manifests.of("ConfigMap"):
        assert {name for name in contents(doc) if name.startswith("POSTMETER")} <= everybodys
        if doc["metadata"]["name"].startswith("settings"):
            assert set(contents(doc)) <= everybodys
    for container in (one for group in groups(manifests) for one in group.containers):
        assert {entry["name"] for entry in container.get("env", [])} <= everybodys


def test_the_secrets_that_are_named_are_those_that_are_made_and_described() -> None:
    small = whole("small")
    named = {
        source["secretRef"]["name"]
        for group in groups(small)
        for container in group.containers
        for source in container.get("envFrom", [])
        if "secretRef" in source
    }
    made = {doc["metadata"]["name"]: set(contents(doc)) for doc in secrets()}
    assert named == set(made)
    assert {doc["metadata"]["namespace"] for doc in secrets()} == {"postmeter"}
    rows = (ROOT / "docs/kubernetes.md").read_text().split("| Secret | keys |\n|---|---|\n")[1].split("\n\n")[0]
    for row in rows.splitlines():
        name, keys = row.strip("| ").split("|", 1)
        secret = name.strip().split("`")[1]
        always, _, in_some_cases = keys.partition(";")
        assert made.pop(secret) == set(always.split("`")[1::2]), row
        assert not in_some_cases or set(in_some_cases.split("`")[1::2]) <= known(secret), row
    assert not made


def test_every_config_map_and_claim_is_there(manifests: Manifests) -> None:
    for group in groups(manifests):
        for container in group.containers:
            for source in container.get("envFrom", []):
                assert "secretRef" in source or manifests.has("ConfigMap", source["configMapRef"]["name"])
        for volume in group.spec.get("volumes", []):
            if "configMap" in volume:
                assert manifests.has("ConfigMap", volume["configMap"]["name"])


def test_every_mount_has_its_volume_and_every_volume_a_mount(manifests: Manifests) -> None:
    for group in groups(manifests):
        mounted = {mount["name"] for one in group.containers for mount in one.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in group.spec.get("volumes", [])} | claims(manifests, group)


def claims(manifests: Manifests, group: Group) -> set[str]:
    """The volumes that each pod has a claim of its own for."""
    kind, _, name = group.owner.partition("/")
    templates = manifests.get(kind, name)["spec"].get("volumeClaimTemplates", [])
    return {one["metadata"]["name"] for one in templates}


def test_what_a_service_writes_is_on_a_volume_and_what_must_last_on_a_claim(manifests: Manifests) -> None:
    for name, group in services(manifests).items():
        settings = load(SERVICES[name], environment(manifests, group))
        for folder, lasts in ((getattr(settings, "spool_dir", ""), True), (getattr(settings, "export_dir", ""), False)):
            if folder:
                volume = volume_of(group.containers[0], folder)
                assert not lasts or volume in claims(manifests, group)
        assert volume_of(group.containers[0], "/tmp/x")


def volume_of(container: Doc, path: str) -> str:
    """The volume that a path lies on and can be written."""
    places: list[tuple[str, str]] = [
        (mount["mountPath"], mount["name"])
        for mount in container["volumeMounts"]
        if PurePosixPath(path).is_relative_to(mount["mountPath"]) and not mount.get("readOnly")
    ]
    return max(places)[1]


def test_there_is_room_for_what_is_written(manifests: Manifests) -> None:
    running = services(manifests)
    tracking = load(SERVICES["tracking"], environment(manifests, running["tracking"]))
    (template,) = manifests.get("StatefulSet", "tracking")["spec"]["volumeClaimTemplates"]
    claim = quantity(template["spec"]["resources"]["requests"]["storage"])
    assert claim >= tracking.spool_bytes + tracking.spool_reserve + tracking.disk_low
    query = load(SERVICES["query"], environment(manifests, running["query"]))
    (room,) = (one["emptyDir"]["sizeLimit"] for one in running["query"].spec["volumes"] if one["name"] == "exports")
    # With a bucket a file in the making, else all that a workspace may keep; and what stays free.
    kept = query.export_file_bytes if query.export_bucket else query.export_workspace_bytes
    assert quantity(room) >= kept + query.export_free_bytes
    assert query.export_bucket or most(manifests, running["query"].owner) == 1, "each pod would keep its own exports"


def test_selectors_pick_their_own_pods_and_no_others(manifests: Manifests) -> None:
    for doc in manifests.of("Deployment", "StatefulSet"):
        owner = f"{doc['kind']}/{doc['metadata']['name']}"
        assert picked(manifests, doc["spec"]["selector"]) == {owner}
        for spread in doc["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            assert picked(manifests, spread["labelSelector"]) == {owner}
    for doc in manifests.of("Service", "PodDisruptionBudget"):
        (owner,) = picked(manifests, doc["spec"]["selector"])
        assert doc["metadata"]["name"] in (owner.partition("/")[2], f"{owner.partition('/')[2]}-pods")


def picked(manifests: Manifests, selector: Doc) -> set[str]:
    """The owners of the pods that a selector picks."""
    return {group.owner for group in groups(manifests) if selects(selector, group.labels)}


def test_policies_and_monitors_pick_somebody(manifests: Manifests) -> None:
    four = {group.owner for group in services(manifests).values()}
    for doc in manifests.of("NetworkPolicy"):
        for selector in [doc["spec"]["podSelector"], *peers(doc)]:
            assert not selector or picked(manifests, selector), doc["metadata"]["name"]
    (monitor,) = manifests.of("PodMonitor")
    assert picked(manifests, monitor["spec"]["selector"]) == four
    # The targets' job is named after it, and an alert of deploy/prometheus looks for that.
    assert "postmeter" in monitor["metadata"]["name"]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    for name, group in services(manifests).items():
        settings: Settings = load(SERVICES[name], environment(manifests, group))
        assert group.port(endpoint["port"]) == settings.ops_port


def peers(policy: Doc) -> Iterator[Doc]:
    for rule in [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]:
        for peer in [*rule.get("from", []), *rule.get("to", [])]:
            if "podSelector" in peer:
                yield peer["podSelector"]


def test_ports_are_those_that_are_listened_on(manifests: Manifests) -> None:
    for name, group in services(manifests).items():
        settings = load(SERVICES[name], environment(manifests, group))
        public = {"http": settings.port} if hasattr(settings, "port") else {}
        assert group.ports == {"ops": settings.ops_port, **public}
        assert settings.host == "0.0.0.0"
    for doc in manifests.of("Service"):
        (owner,) = picked(manifests, doc["spec"]["selector"])
        (group,) = (one for one in groups(manifests) if one.owner == owner)
        for port in doc["spec"]["ports"]:
            group.port(port["targetPort"])
    for doc in manifests.of("NetworkPolicy"):
        targets = [
            one
            for one in groups(manifests)
            if not doc["spec"]["podSelector"] or selects(doc["spec"]["podSelector"], one.labels)
        ]
        for rule in doc["spec"].get("ingress", []):
            for port in rule["ports"]:
                for group in targets:
                    group.port(port["port"])


def test_starting_alive_and_ready_are_asked_apart(manifests: Manifests) -> None:
    for group in services(manifests).values():
        (container,) = group.containers
        asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        assert {group.port(get["port"]) for get in asked.values()} == {group.ports["ops"]}
        # A store that is away must not start anything anew.
        assert [get["path"] for get in asked.values()] == ["/healthz", "/healthz", "/readyz"]
        startup = container["startupProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] >= 60
    stores = [group for group in groups(manifests) if group.owner.startswith("StatefulSet/") and service(group) is None]
    for container in (one for group in stores for one in group.containers):
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


def test_the_grace_period_is_longer_than_the_hook_and_the_last_requests(manifests: Manifests) -> None:
    for name, group in services(manifests).items():
        settings: Settings = load(SERVICES[name], environment(manifests, group))
        word, seconds = group.containers[0]["lifecycle"]["preStop"]["exec"]["command"]
        assert word == "sleep"
        least = int(seconds) + ops.STOP_SECONDS * (1 + LAST_REQUESTS)
        if isinstance(settings, AnsweringSettings):
            least += settings.stop_delay + settings.stop_timeout * (1 + LAST_REQUESTS)
            if name == "tracking":  # its spool, first
                least += settings.stop_timeout
        assert group.spec["terminationGracePeriodSeconds"] >= least


def test_what_scales_and_what_may_be_away_is_a_workload_of_the_same_name(manifests: Manifests) -> None:
    workloads = {(doc["kind"], doc["metadata"]["name"]) for doc in manifests.of("Deployment", "StatefulSet")}
    for doc in manifests.of("HorizontalPodAutoscaler"):
        target = doc["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in workloads
        assert doc["metadata"]["name"] == target["name"]
        assert 2 <= doc["spec"]["minReplicas"] < doc["spec"]["maxReplicas"]
        # Else each `kubectl apply` would undo what the autoscaler has done.
        assert "replicas" not in manifests.get(target["kind"], target["name"])["spec"]
        # What is scaled by CPU asks for some, else there is nothing to take a share of.
        assert manifests.get(target["kind"], target["name"])["spec"]["template"]["spec"]["containers"][0]["resources"]
    for name, group in services(manifests).items():
        budget = manifests.get("PodDisruptionBudget", name)["spec"]
        assert budget["maxUnavailable"] == 1
        assert picked(manifests, budget["selector"]) == {group.owner}


def test_a_pod_that_is_new_is_ready_before_an_old_one_goes(manifests: Manifests) -> None:
    for group in services(manifests).values():
        kind, _, name = group.owner.partition("/")
        spec = manifests.get(kind, name)["spec"]
        assert spec["minReadySeconds"] > 0
        if kind == "Deployment":
            assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        else:
            assert spec["updateStrategy"] == {"type": "RollingUpdate"}
            assert most(manifests, group.owner) > 1
            retained = {"whenScaled": "Retain", "whenDeleted": "Retain"}
            assert spec["persistentVolumeClaimRetentionPolicy"] == retained
            assert manifests.get("Service", spec["serviceName"])["spec"]["clusterIP"] == "None"


def test_never_more_aggregators_than_shards(manifests: Manifests) -> None:
    group = services(manifests)["aggregator"]
    settings = load(SERVICES["aggregator"], environment(manifests, group))
    assert most(manifests, group.owner) <= settings.shards


def test_the_postgres_that_comes_along_has_connections_for_all_and_for_an_update() -> None:
    small = whole("small")
    needed = 0
    for name, group in services(small).items():
        settings = load(SERVICES[name], environment(small, group))
        pool = getattr(settings, "postgres_pool", 0) + OTHER_CONNECTIONS.get(name, 0)
        needed += (most(small, group.owner) + 1) * pool
    assert needed <= MAX_CONNECTIONS - 3


def test_the_memory_of_the_stores_that_come_along_is_enough() -> None:
    small = whole("small")
    (valkey,) = small.get("StatefulSet", "valkey")["spec"]["template"]["spec"]["containers"]
    most_bytes = quantity(option(valkey, "--maxmemory").upper().replace("MB", "Mi"))
    # Rewriting its file copies what changes meanwhile.
    assert quantity(valkey["resources"]["limits"]["memory"]) >= 2 * most_bytes
    assert option(valkey, "--appendfsync") == "always"
    assert option(valkey, "--maxmemory-policy") == "noeviction"


def option(container: Doc, name: str) -> str:
    words: list[Any] = container["args"]
    return str(words[words.index(name) + 1])


def test_the_hosts_are_those_in_the_settings_and_lead_to_who_serves_them(manifests: Manifests) -> None:
    (settings,) = (doc["data"] for doc in manifests.of("ConfigMap") if doc["metadata"]["name"].startswith("settings"))
    wanted = {
        urlsplit(settings["POSTMETER_PUBLIC_URL"]).hostname: "tracking",
        urlsplit(settings["POSTMETER_PUBLIC_GATEWAY_URL"]).hostname: "gateway",
    }
    (ingress,) = manifests.of("Ingress")
    found: dict[str | None, tuple[str, Any]] = {}
    for rule in ingress["spec"]["rules"]:
        (path,) = rule["http"]["paths"]
        assert (path["path"], path["pathType"]) == ("/", "Prefix")
        found[rule["host"]] = (path["backend"]["service"]["name"], path["backend"]["service"]["port"]["name"])
    routes: dict[str | None, tuple[str, Any]] = {}
    for doc in manifests.of("HTTPRoute"):
        ((host,), (rule,)) = doc["spec"]["hostnames"], doc["spec"]["rules"]
        (backend,) = rule["backendRefs"]
        routes[host] = (backend["name"], backend["port"])
    assert (
        {host: name for host, (name, _) in found.items()}
        == wanted
        == {host: name for host, (name, _) in routes.items()}
    )
    assert set(ingress["spec"]["tls"][0]["hosts"]) == set(wanted)
    for name, port in [*found.values(), *routes.values()]:
        ports = manifests.get("Service", name)["spec"]["ports"]
        assert any(port in (one["name"], one["port"]) for one in ports)
