"""The commands of docs/kubernetes.md name what is there: folders, files, workloads, jobs, claims, our own commands."""

import itertools
import re
import shlex
import subprocess

import click
import pytest
import yaml

from postmeter.cli.main import main
from tests.deploy.manifests import Doc, Manifests
from tests.deploy.render import K8S, KUBECTL, OVERLAYS, ROOT, rendered, whole

PAGE = (ROOT / "docs/kubernetes.md").read_text()
COMMANDS = [line.strip() for line in re.findall(r"^    kubectl .*(?<!\\)$", PAGE, re.MULTILINE)]
COMMANDS += [" ".join(text.split()) for text in re.findall(r"`(kubectl [^`]*)`", PAGE)]
KINDS = {"job": "Job", "statefulset": "StatefulSet", "deployment": "Deployment", "pod": "Pod", "pvc": "claim"}


def claims(manifests: Manifests) -> set[str]:
    """Of StatefulSets, the names but for the number."""
    return {
        f"{template['metadata']['name']}-{doc['metadata']['name']}"
        for doc in manifests.of("StatefulSet")
        for template in doc["spec"].get("volumeClaimTemplates", [])
    }


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("command", COMMANDS, ids=lambda text: text[:70])
def test_what_a_command_names_is_there(command: str) -> None:
    words = shlex.split(command.replace("$CLAIM", "data-tracking-2"))
    small = whole("small")
    for option, value in itertools.pairwise(words):
        assert names_what_is_there(small, option, value, words), f"{option} {value}"
    for word in words:
        kind, slash, name = word.partition("/")
        if slash and kind == "pvc":
            assert name.rpartition("-")[0] in claims(small)
        elif slash and kind in KINDS:
            assert small.has(KINDS[kind], name), word
    _, _, within = command.partition(" -- postmeter ")
    if within:
        place = words[words.index("exec") + 1]
        assert "/" in place or small.has("Pod", place)  # of a workload it was looked for above
        understood(main, shlex.split(within))


def names_what_is_there(small: Manifests, option: str, value: str, words: list[str]) -> bool:
    """Whether a word that follows another names what is there; so does one that names nothing."""
    match option:
        case "--filename" | "-f":
            return value in ("-", "secrets.yaml") or (ROOT / value).is_file()
        case "--kustomize":
            return value == "my" or (ROOT / value / "kustomization.yaml").is_file()
        case "--namespace":
            return small.has("Namespace", value)
        case "--selector":
            return any(value == "=".join(pair) for doc in small.all() for pair in labels(doc).items())
        case "delete" if "/" not in value and "--selector" not in words:
            return small.has(KINDS[value], words[words.index(value) + 1])
    return True


def labels(doc: Doc) -> dict[str, str]:
    """A document's own, or those of the pods that it makes."""
    template = doc.get("spec", {}).get("template", {})
    return {**template.get("metadata", {}).get("labels", {}), **doc["metadata"].get("labels", {})}


def understood(command: click.Command, words: list[str]) -> None:
    """Raises UsageError for words that our command line does not know. Runs nothing."""
    context = command.make_context(command.name, list(words), resilient_parsing=isinstance(command, click.Group))
    if isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, words)
        assert found is not None, name
        understood(found, rest)


def test_the_drain_is_of_the_claim_that_is_named() -> None:
    (line,) = (command for command in COMMANDS if "| sed" in command)
    script = line.replace("kubectl kustomize", f"{KUBECTL} kustomize").partition("| kubectl apply")[0]
    done = subprocess.run(
        ["bash", "-ec", f"CLAIM=data-tracking-7; {script}"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    (job,) = yaml.safe_load_all(done.stdout)
    assert job["metadata"]["name"] == "drain-data-tracking-7"
    (data,) = (one for one in job["spec"]["template"]["spec"]["volumes"] if "persistentVolumeClaim" in one)
    assert data["persistentVolumeClaim"] == {"claimName": "data-tracking-7"}
    (shards,) = (one["value"] for one in job["spec"]["template"]["spec"]["containers"][0]["env"] if "value" in one)
    for overlay in OVERLAYS:
        (settings,) = (
            doc["data"] for doc in rendered(overlay).of("ConfigMap") if doc["metadata"]["name"].startswith("settings")
        )
        assert settings["POSTMETER_SHARDS"] == shards


def test_folders_in_the_text_are_there() -> None:
    named = set(re.findall(r"`((?:deploy|overlays|components|base)/[\w./-]+)`", PAGE))
    assert {"deploy/prometheus", "components/gateway-api", "base/network.yaml"} <= named
    missing = [one for one in named if not (ROOT / one if one.startswith("deploy/") else K8S / one).exists()]
    assert missing == []
