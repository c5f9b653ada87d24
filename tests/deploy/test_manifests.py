"""deploy/k8s is rendered, and each document holds by the strict schemas of the Kubernetes that it is for."""

import itertools
from pathlib import Path

import pytest
import yaml

from tests.deploy.custom_resources import SCHEMAS
from tests.deploy.manifests import Doc, Manifests
from tests.deploy.render import COMPONENTS, OVERLAYS, ROOT, copy_of_deploy, kustomize, rendered, whole

VERSIONS = ("1.31", "1.34", "1.37")
"""The oldest that docs/kubernetes.md names, one between, the newest that the schemas are there for."""
ALL = list(itertools.chain.from_iterable(itertools.combinations(COMPONENTS, n) for n in range(len(COMPONENTS) + 1)))


def check(doc: Doc, version: str) -> None:
    """Raises ValidationError of either library."""
    # Imported here: formats of jsonschema take two seconds, and each process of the tests reads this module.
    import jsonschema
    import kubernetes_validate

    own = SCHEMAS.get((doc["apiVersion"], doc["kind"]))
    if own is not None:
        jsonschema.validate(doc, own)
    else:
        kubernetes_validate.validate(doc, version, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_document_is_valid(overlay: str, version: str) -> None:
    for doc in whole(overlay).all():
        check(doc, version)


def test_a_misspelt_field_is_seen_in_each_kind() -> None:
    import jsonschema
    import kubernetes_validate

    for doc in [doc for overlay in OVERLAYS for doc in whole(overlay).all()]:
        place = next((doc[name] for name in ("spec", "data") if name in doc), None)
        if doc["kind"] == "ConfigMap" or place is None:
            continue
        place["replicsa"] = 1
        with pytest.raises((kubernetes_validate.ValidationError, jsonschema.ValidationError)):
            check(doc, VERSIONS[0])


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("components", ALL, ids="+".join)
def test_a_component_only_adds(overlay: str, components: tuple[str, ...]) -> None:
    alone, more = rendered(overlay).all(), rendered(overlay, *components).all()
    assert [doc for doc in more if doc in alone] == alone
    assert len(more) > len(alone) or not components


def test_all_is_in_the_namespace() -> None:
    for overlay in OVERLAYS:
        for doc in whole(overlay).all():
            assert doc["metadata"].get("namespace") == ("postmeter" if doc["kind"] != "Namespace" else None), doc


def test_the_folder_that_the_page_shows_renders(tmp_path: Path) -> None:
    page = (ROOT / "docs/kubernetes.md").read_text()
    shown = page.split("As `my/kustomization.yaml`:\n\n")[1].split("\n\n")[0]
    copy_of_deploy(tmp_path)
    (tmp_path / "my").mkdir()
    own = "\n".join(line.removeprefix("    ") for line in shown.split("\n"))
    # Values other than those that are in deploy/k8s.
    own = (
        own.replace('newTag: "1"', 'newTag: "7"')
        .replace("shop.example\n", "other.example\n")
        .replace("HOPS=1", "HOPS=3")
    )
    (tmp_path / "my/kustomization.yaml").write_text(own)
    made = Manifests(yaml.safe_load_all(kustomize(tmp_path / "my")))
    pods = [doc["spec"]["template"]["spec"] for doc in made.of("Deployment", "StatefulSet", "Job")]
    images = {container["image"] for pod in pods for container in pod["containers"]}
    assert {image for image in images if "postmeter" in image} == {"registry.shop.example/postmeter:7"}
    (settings,) = (doc["data"] for doc in made.of("ConfigMap") if doc["metadata"]["name"].startswith("settings-"))
    assert settings["POSTMETER_PUBLIC_URL"] == "https://t.other.example"
    assert settings["POSTMETER_TRUSTED_HOPS"] == "3"
    assert settings["POSTMETER_REDIS_URL"] == "redis://valkey:6379/0"
    assert made.has("Ingress", "postmeter")
