"""deploy/compose.yaml and the image's recipe name what exists, and each service gets what it needs and no more.

By their text: no container engine is needed. What docs/compose.md writes into deploy/.env is made by its own words.
"""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from postmeter.aggregator.settings import AggregatorSettings
from postmeter.cli.main import main
from postmeter.gateway.settings import GatewaySettings
from postmeter.query.settings import QuerySettings
from postmeter.shared.process import ops, settings, shared_answers
from postmeter.shared.storage import rights
from postmeter.tracking.settings import TrackingSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RECIPE = (DEPLOY / "container/Containerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
SETTINGS: dict[str, Any] = {
    "gateway": GatewaySettings, "tracking": TrackingSettings, "query": QuerySettings, "aggregator": AggregatorSettings,
}  # fmt: skip
OURS = [*SETTINGS, "migrate", "admin"]
IMAGE_SETS = dict(re.findall(r"\b(POSTMETER_\w+)=(\S+)", RECIPE))


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the page's first command writes into deploy/.env."""
    folder = tmp_path_factory.mktemp("env")
    (folder / "deploy").mkdir()
    page = (ROOT / "docs/compose.md").read_text()
    block = re.search(r"(?:^    .*\n)+", page, re.MULTILINE)
    assert block is not None
    subprocess.run(["bash", "-euc", block[0]], cwd=folder, check=True)
    file = folder / "deploy/.env"
    assert file.stat().st_mode & 0o077 == 0
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def filled(text: str, variables: dict[str, str]) -> str:
    """As compose fills it in: `${NAME:?}` must be given, `${NAME:-word}` need not."""

    def value(match: re.Match[str]) -> str:
        name, sign, word = match.groups()
        if sign == ":-":
            return variables.get(name, word)
        return variables[name]

    return re.sub(r"\$\{(\w+)(:-|:\?)(.*?)\}", value, text)


def environment(service: str, variables: dict[str, str]) -> dict[str, str]:
    given = SERVICES[service].get("environment", {})
    return {name: filled(value, variables) for name, value in given.items()}


@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_can_read_its_settings_and_gets_nothing_else(service: str, variables: dict[str, str]) -> None:
    given = environment(service, variables)
    read = settings.load(SETTINGS[service], IMAGE_SETS | given)
    assert {name for name in given if not hasattr(read, name.removeprefix("POSTMETER_").lower())} == set()
    assert read.host == "0.0.0.0"
    # As its own role (ADR 0029), with the password that Postgres was given for it.
    password = environment("postgres", variables)[f"{service.upper()}_PASSWORD"]
    assert given["POSTMETER_POSTGRES_DSN"] == f"postgresql://{rights.role(service)}:{password}@postgres/postmeter"
    health = SERVICES[service]["healthcheck"]
    assert given["POSTMETER_OPS_PORT"] in str(health["test"])
    # Who asks while another is being answered waits for that, a rest, and the next answer.
    patience = [int(re.findall(r"timeout=(\d+)", str(health["test"]))[0]), int(health["timeout"].removesuffix("s"))]
    assert 2 * ops.CHECK_SECONDS + shared_answers.MOST_REST < patience[0] < patience[1]
    assert SERVICES[service]["command"] == ["run", service]


def test_every_secret_differs_and_is_used(variables: dict[str, str]) -> None:
    secrets = {name: value for name, value in variables.items() if "URL" not in name}
    assert len(set(secrets.values())) == len(secrets)
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+):\?\}", text)) == set(variables)


def test_services_find_each_other(variables: dict[str, str]) -> None:
    for service in OURS:
        for host, port in re.findall(r"(?:http|redis)://([a-z]+):(\d+)", str(environment(service, variables))):
            there = SERVICES[host].get("environment", {}).get("POSTMETER_PORT", "6379")
            assert there == port
            assert set(SERVICES[service]["networks"]) & set(SERVICES[host]["networks"])


def test_only_what_callers_and_mails_need_is_published() -> None:
    assert [name for name, service in SERVICES.items() if service.get("ports")] == ["gateway", "tracking"]
    assert [name for name, service in SERVICES.items() if "outside" in service["networks"]] == ["gateway", "tracking"]
    assert COMPOSE["networks"]["inside"]["internal"]
    for name in ("gateway", "tracking"):
        inner = SERVICES[name]["environment"]["POSTMETER_PORT"]
        assert SERVICES[name]["ports"] == [f"127.0.0.1:{inner}:{inner}"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert "privileged" not in service
    user = service.get("user") or re.findall(r"^USER (\S+)", RECIPE, re.MULTILINE)[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_volumes_are_declared_and_what_is_bound_exists() -> None:
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    assert {name for name in mounted if not name.startswith(".")} == set(COMPOSE["volumes"])
    assert [name for name in mounted if name.startswith(".") and not (DEPLOY / name).is_file()] == []
    # The folders that a service writes into, as the image has them, are volumes.
    places = {"tracking": "POSTMETER_SPOOL_DIR", "query": "POSTMETER_EXPORT_DIR"}
    for service, variable in places.items():
        assert SERVICES[service]["volumes"] == [
            f"{SERVICES[service]['volumes'][0].split(':')[0]}:{IMAGE_SETS[variable]}"
        ]


def test_valkey_is_durable_and_evicts_nothing() -> None:
    words = SERVICES["valkey"]["command"][1:]
    given = dict(zip(words[::2], words[1::2], strict=True))
    assert given.items() >= {"--appendonly": "yes", "--appendfsync": "always"}.items()
    assert given["--maxmemory-policy"] == "noeviction"


def test_the_recipe_copies_what_exists_and_is_not_ignored() -> None:
    ignored, kept = list[str](), list[str]()
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            (kept if line.startswith("!") else ignored).append(line.removeprefix("!"))
    assert ignored[0] == "*"
    copied = [words.split()[:-1] for words in re.findall(r"^COPY (?!--)(.+)$", RECIPE, re.MULTILINE)]
    names = [name for names in copied for name in names]
    assert set(names) == set(kept)
    assert [name for name in names if not (ROOT / name).exists()] == []
    assert not [name for name in ("tests", "docs", ".git", "deploy/.env") if any(fnmatch(name, k) for k in kept)]


def test_the_page_s_commands_exist() -> None:
    page = (ROOT / "docs/compose.md").read_text()
    for words in re.findall(r"run --rm admin (.+)", page):
        command: Any = main
        for word in words.split()[:2]:
            if isinstance(command, click.Group):
                command = command.get_command(click.Context(command), word)
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z]+", words)) <= options


def test_the_file_is_as_the_compose_specification_wants_it() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_nothing_is_said_that_only_one_engine_knows() -> None:
    """podman takes no `uid=` for a tmpfs, and neither it nor Docker Engine before 25 a `start_interval`."""
    for name, service in SERVICES.items():
        options = {option for one in service.get("tmpfs", []) for option in one.partition(":")[2].split(",") if option}
        assert {option.partition("=")[0] for option in options} <= {"mode", "size"}, name
        assert "start_interval" not in service.get("healthcheck", {}), name
