"""The bills of materials of a wheel and of the image list what runs there, and nothing else."""

import json
import re
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = ROOT / "sbom.cdx.json"
IMAGE = ROOT / "deploy/container/sbom.cdx.json"
bills = pytest.mark.parametrize(
    ("file", "lock"), [(FILE, "requirements.lock"), (IMAGE, "requirements-services.lock")], ids=("wheel", "image")
)


@bills
def test_it_lists_exactly_what_the_lock_names_and_the_page_s_files(file: Path, lock: str) -> None:
    locked = set(re.findall(r"^(\S+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))
    if file == IMAGE:  # Its Python is newer than those that need this one: deploy/container/check looks into the image.
        locked = {(name, version) for name, version in locked if name != "async-timeout"}
    files = sorted((ROOT / "gateway/postmeter/gateway/site").glob("*/ORIGIN.json"))
    origins = [json.loads(file.read_text()) for file in files]
    assert {origin["package"] for origin in origins} == {"swagger-ui-dist", "htm", "uplot"}
    components = json.loads(file.read_text())["components"]
    listed = {(component["name"], component["version"]) for component in components}
    assert len(listed) == len(components)
    assert listed == locked | {(origin["package"], origin["version"]) for origin in origins}
    assert [component["name"] for component in components if not component["hashes"]] == []


@bills
def test_it_is_what_the_locks_make(file: Path, lock: str) -> None:
    assert file.read_text() == runpy.run_path(str(ROOT / ".ci" / "sbom.py"))["document"](lock)


@bills
def test_it_is_as_the_format_s_schema_wants_it(file: Path, lock: str) -> None:
    # Imported here: its formats take two seconds, and each process of the tests reads this module.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read_text()) is None


def test_a_wheel_carries_it_and_the_page_s_files(tmp_path: Path) -> None:
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    wheel = tmp_path / done.stdout.split()[-1]
    with zipfile.ZipFile(wheel) as archive:
        (bill,) = [name for name in archive.namelist() if ".dist-info/sboms/" in name]
        assert archive.read(bill) == FILE.read_bytes()
        for name in ("swagger-ui-bundle.js", "LICENSE", "NOTICE"):
            assert f"postmeter/gateway/site/swagger-ui/{name}" in archive.namelist()
        for name in (
            "dashboard/index.html",
            "dashboard/texts/de.json",
            "htm/standalone.module.js",
            "uplot/uPlot.iife.min.js",
        ):
            assert f"postmeter/gateway/site/{name}" in archive.namelist()
