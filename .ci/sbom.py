"""Writes the bills of materials from the locks and ORIGIN.json: sbom.cdx.json, which every wheel carries, of what runs,
and deploy/container/sbom.cdx.json, which the image's wheel carries in its place, of what the image holds.

CycloneDX 1.6. The same locks give the same bytes. Licences are not in it: each package's own metadata has them.
A wheel runs wherever its user likes, so its bill also lists what only some Pythons need, and says so. The image has one
Python: its bill lists what that one takes.
"""

import base64
import json
import re
import tomllib
import uuid
from pathlib import Path
from typing import Any

from packaging.markers import Marker

ROOT = Path(__file__).resolve().parents[1]
IMAGE_LOCK = "requirements-services.lock"
FILES = {"sbom.cdx.json": "requirements.lock", "deploy/container/sbom.cdx.json": IMAGE_LOCK}
"""Each file with the lock that it is made from."""
SITE = ROOT / "gateway/postmeter/gateway/site"
"""Below it lie packages whose files are kept in the repository, each with its ORIGIN.json."""


def is_in_image(marker: str) -> bool:
    """Whether the Python of the image's base takes what has this marker."""
    version = re.search(
        r"^ARG PYTHON=\S+python:(\d+\.\d+)", (ROOT / "deploy/container/Containerfile").read_text(), re.MULTILINE
    )
    assert version
    return Marker(marker).evaluate(
        {
            "python_version": version[1],
            "python_full_version": f"{version[1]}.0",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "os_name": "posix",
            "sys_platform": "linux",
            "platform_system": "Linux",
        }
    )


def locked(lock: str) -> list[dict[str, Any]]:
    """A component for each requirement of the lock; its hashes are those of all files that fit it."""
    found = []
    for block in re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip()):
        name, version = re.match(r"([a-z0-9.-]+)==(\S+)", block).groups()  # type: ignore[union-attr]
        reference = f"pkg:pypi/{name}@{version}"
        component = {"type": "library", "name": name, "version": version, "purl": reference, "bom-ref": reference}
        marker = re.search(r" ; (.+?) \\", block)
        if marker and lock == IMAGE_LOCK:
            if not is_in_image(marker[1]):
                continue
        elif marker:
            component["description"] = f"Only where {marker[1]}"
        hashes = [{"alg": "SHA-256", "content": digest} for digest in re.findall(r"sha256:([0-9a-f]{64})", block)]
        found.append(component | {"hashes": hashes})
    return found


def vendored(file: Path) -> dict[str, Any]:
    """The component whose files are kept beside this ORIGIN.json."""
    origin = json.loads(file.read_text())
    reference = f"pkg:npm/{origin['package']}@{origin['version']}"
    algorithm, _, digest = origin["integrity"].partition("-")
    assert algorithm == "sha512"
    return {
        "type": "library",
        "name": origin["package"],
        "version": origin["version"],
        "purl": reference,
        "bom-ref": reference,
        "licenses": [{"license": {"id": origin["license"]}}],
        "hashes": [{"alg": "SHA-512", "content": base64.b64decode(digest).hex()}],
    }


def document(lock: str) -> str:
    """The file's text."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    itself = f"pkg:pypi/{name}@{version}"
    components = [*locked(lock), *map(vendored, sorted(SITE.glob("*/ORIGIN.json")))]
    bom: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": name,
                "version": version,
                "purl": itself,
                "bom-ref": itself,
                "description": project["description"],
                "licenses": [{"license": {"id": project["license"]}}],
            }
        },
        "components": components,
        "dependencies": [{"ref": itself, "dependsOn": [component["bom-ref"] for component in components]}],
    }
    # Named by its content, so that the same locks give the same number.
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True))
    return json.dumps({"serialNumber": f"urn:uuid:{number}"} | bom, indent=2) + "\n"


if __name__ == "__main__":
    for file, lock in FILES.items():
        (ROOT / file).write_text(document(lock))
