"""What the bootstrap script relies on."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_lock_names_no_index_and_hashes_everything() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--index" not in lock
    for requirement in re.split(r"\n(?=\S)", lock.strip()):
        assert "--hash=sha256:" in requirement, requirement.splitlines()[0]


def test_the_lock_holds_every_direct_dependency() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    named = set(re.findall(r'^    "([a-z][a-z0-9-]*)(?:\[\w+\])?>=', project, re.MULTILINE))
    locked = set(re.findall(r"^([a-z][a-z0-9-]*)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert len(named) > 10
    assert named <= locked


@pytest.mark.parametrize("version", [(3, 6), (3, 8)])
def test_the_script_can_be_read_by_old_pythons(version: tuple[int, int]) -> None:
    compile_old = f"import ast; ast.parse(open('postmeter').read(), feature_version={version})"
    subprocess.run([sys.executable, "-c", compile_old], cwd=ROOT, check=True)


def test_the_script_uses_the_standard_library_only() -> None:
    text = (ROOT / "postmeter").read_text()
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE))
    assert imported <= set(sys.stdlib_module_names)
    assert "subprocess" in imported
