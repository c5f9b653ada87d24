"""What `kubectl kustomize` makes of deploy/k8s, each folder and combination once in a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

import yaml

from tests.deploy.manifests import Manifests

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy/k8s"
KUBECTL = Path(sysconfig.get_path("scripts")) / "kubectl"
OVERLAYS = ("small", "standard")
COMPONENTS = ("gateway-api", "ingress", "prometheus-operator")
"""What either overlay may have beside it; `standard` has autoscaling in it, and `small` cannot have it.

`sentinels` is for a Valkey of one's own, whose settings name them.
"""


def kustomize(folder: Path) -> str:
    """The rendered text. Raises CalledProcessError; kubectl's own words are on standard error."""
    command = [str(KUBECTL), "kustomize", str(folder)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def whole(overlay: str, *more: str) -> Manifests:
    """An overlay with all components, and what is applied beside it: `admin` and whatever else has its own folder.

    more: components beside these.
    """
    docs = [*rendered(overlay, *COMPONENTS, *more).all()]
    for folder in beside():
        docs += rendered_folder(folder).all()
    return Manifests(docs)


def rendered(overlay: str, *components: str) -> Manifests:
    """An overlay with these components; the reader's own copy."""
    return Manifests(json.loads(_combination(overlay, components)))


def rendered_folder(folder: str) -> Manifests:
    """A folder of deploy/k8s by itself; the reader's own copy."""
    return Manifests(json.loads(_folder(folder)))


def beside() -> list[str]:
    """Folders of deploy/k8s that are applied by themselves, beside an overlay."""
    found = sorted(file.parent for file in K8S.rglob("kustomization.yaml"))
    names = [str(folder.relative_to(K8S)) for folder in found]
    return [name for name in names if name != "base" and name.split("/")[0] not in ("overlays", "components")]


@cache
def _folder(folder: str) -> str:
    return json.dumps(list(yaml.load_all(kustomize(K8S / folder), yaml.CSafeLoader)))


@cache
def _combination(overlay: str, components: tuple[str, ...]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        # As a person's own folder has them: kustomize takes no absolute path.
        here = Path(os.path.relpath(K8S, folder))
        own = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": "postmeter",
            "resources": [str(here / "overlays" / overlay)],
            "components": [str(here / "components" / name) for name in components],
        }
        Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(own))
        return json.dumps(list(yaml.load_all(kustomize(Path(folder)), yaml.CSafeLoader)))


def copy_of_deploy(folder: Path) -> None:
    """`deploy/` as a clone has it, for a folder of one's own beside it."""
    shutil.copytree(ROOT / "deploy", folder / "deploy")
