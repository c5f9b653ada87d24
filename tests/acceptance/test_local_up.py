"""`postmeter up` as a process: it starts, keeps everything running, stops in order, and leaves nothing behind."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.product import Product, as_installed, descendants, free_port, running, wait_for

COMMAND = str(Path(sys.executable).with_name("postmeter"))
SERVICES = ("gateway", "tracking", "query", "aggregator")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder that only we can enter, as a home directory often is."""
    made = Path(tempfile.mkdtemp(prefix="pm-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """One running product for the tests that do not end it."""
    made = Path(tempfile.mkdtemp(prefix="pm-"))
    with running(made, first=True) as started:
        yield started
    shutil.rmtree(made)


def postmeter(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [COMMAND, *arguments],
        env={**as_installed(), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def is_gone(pid: int) -> bool:
    """True when the process has ended, be it reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def all_gone(pids: set[int]) -> bool:
    return all(is_gone(pid) for pid in pids)


def test_ready_json_is_as_the_contract_says(product: Product) -> None:
    assert stat.S_IMODE((product.data / "ready.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((product.data / "spool").stat().st_mode) == 0o700
    assert set(product.ready) == {"gateway", "tracking", "workspace", "api_key", "ops", "dashboard"}
    assert set(product.ready["ops"]) == set(SERVICES)
    for url in product.ready["ops"].values():
        assert requests.get(f"{url}/healthz", timeout=60).status_code == 200
        assert requests.get(f"{url}/readyz", timeout=60).status_code == 200
        assert "# HELP" in requests.get(f"{url}/metrics", timeout=60).text


def test_the_first_key_reads_and_the_urls_are_printed(product: Product) -> None:
    answer = requests.get(f"{product.ready['gateway']}/api/v1/analytics", headers=product.headers, timeout=60)
    assert answer.status_code == 200, answer.text
    printed = product.output.read_text()
    assert product.ready["gateway"] in printed
    assert product.ready["api_key"] not in printed


def signed_in(product: Product, link: str, **more: str) -> requests.Session:
    """A browser that has posted a link's token."""
    session = requests.Session()
    body = {"link": link.partition("=")[2], **more}
    assert session.post(f"{product.ready['gateway']}/session", json=body, timeout=60).status_code in (204, 401)
    return session


def who(product: Product, session: requests.Session) -> tuple[str, str] | None:
    answer = session.get(f"{product.ready['gateway']}/session", timeout=60)
    return (answer.json()["data"]["email"], answer.json()["data"]["role"]) if answer.ok else None


def test_the_printed_link_signs_an_administrator_in_once(product: Product) -> None:
    link = product.ready["dashboard"]
    assert link.startswith(product.ready["gateway"] + "/login#sign-in=")
    assert link in product.output.read_text()
    assert who(product, signed_in(product, link)) == ("admin@localhost", "admin")
    assert who(product, signed_in(product, link)) is None


def test_a_user_is_made_while_the_product_runs(product: Product) -> None:
    words = ("--workspace", "default", "--email", "ada@shop.example", "--role", "viewer")
    made = postmeter("user", "create", *words, "--data", str(product.data))
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith(product.ready["gateway"] + "/login#invitation=")
    session = signed_in(product, made.stdout.strip(), password="a long new password")
    assert who(product, session) == ("ada@shop.example", "viewer")
    assert session.get(f"{product.ready['gateway']}/api/v1/analytics", timeout=60).status_code == 200
    disabled = postmeter("user", "disable", "ada@shop.example", "--data", str(product.data))
    assert disabled.returncode == 0, disabled.stderr
    wait_for("the end of the session", lambda: who(product, session) is None)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_in_as_its_role_and_can_gain_no_rights(product: Product, service: str) -> None:
    pid = product.pid_of(f"run {service}")
    assert pid is not None
    environ = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    (dsn,) = (one.partition("=")[2] for one in environ if one.startswith("POSTMETER_POSTGRES_DSN="))
    assert urlsplit(dsn).username == f"postmeter_{service}"
    secrets = json.loads((product.data / "secrets.json").read_text())
    assert not any(secrets["postgres_password"] in one for one in environ)
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert status["NoNewPrivs"].strip() == "1"
    needed = 1 << 1 | 1 << 3 | 1 << 10  # DAC_OVERRIDE, FOWNER, NET_BIND_SERVICE; only root has them
    assert int(status["CapPrm"], 16) & ~needed == 0
    assert int(status["CapEff"], 16) & ~needed == 0


def test_a_key_is_made_and_revoked_while_the_product_runs(product: Product) -> None:
    made = postmeter(
        *("key", "create", "--data", str(product.data), "--workspace", "default"),
        *("--role", "member", "--scope", "analytics"),
    )
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    url, headers = f"{product.ready['gateway']}/api/v1/analytics", {"Authorization": f"Bearer {key}"}
    assert requests.get(url, headers=headers, timeout=60).status_code == 200
    revoked = postmeter("key", "revoke", key.split("_")[1], "--data", str(product.data))
    assert revoked.returncode == 0, revoked.stderr
    wait_for("the refusal", lambda: requests.get(url, headers=headers, timeout=60).status_code == 401)


@pytest.mark.parametrize("words", [f"run {name}" for name in SERVICES] + ["valkey-server", "/postgres"])
def test_a_process_that_dies_is_started_again(product: Product, words: str) -> None:
    killed = product.kill(words)
    wait_for(f"another {words}", lambda: product.pid_of(words) not in (None, killed))
    url, headers = f"{product.ready['gateway']}/api/v1/analytics", product.headers

    def works() -> bool:
        try:
            ready = [requests.get(f"{ops}/readyz", timeout=60) for ops in product.ready["ops"].values()]
            return all(answer.ok for answer in [*ready, requests.get(url, headers=headers, timeout=60)])
        except requests.RequestException:
            return False

    wait_for("the product to work again", works)
    assert "starting it again" in product.output.read_text()


def test_status_says_what_is_wrong(product: Product, folder: Path) -> None:
    def status(*arguments: str) -> "subprocess.CompletedProcess[str]":
        proxy = f"http://127.0.0.1:{free_port()}"  # that the environment names, and nobody is at
        return postmeter("status", "--data", str(product.data), *arguments, http_proxy=proxy, no_proxy="")

    def fails() -> str | None:
        told = status()
        return told.stdout if told.returncode == 1 else None

    well = wait_for("all shards", lambda: told if "counting: 4 of 4 shards" in (told := status()).stdout else None)
    assert (well.returncode, well.stderr) == (0, "")
    assert [line.split() for line in well.stdout.splitlines()[:4]] == [[name, "ready"] for name in product.ready["ops"]]
    redis = product.pid_of("valkey-server")
    assert redis is not None
    os.kill(redis, signal.SIGSTOP)
    try:
        said = wait_for("a failure", fails)
    finally:
        os.kill(redis, signal.SIGCONT)
    assert re.search(r"^aggregator  NOT READY\n +redis: .", said, re.MULTILINE)
    away = status(f"http://127.0.0.1:{free_port()}", product.ready["ops"]["query"])
    assert away.returncode == 1
    assert "does not answer: ConnectionRefusedError" in away.stdout
    assert re.search(rf"^query  {product.ready['ops']['query']} +ready$", away.stdout, re.MULTILINE)
    nowhere = postmeter("status", "--data", str(folder))
    assert (nowhere.returncode, nowhere.stdout) == (1, "")
    assert "`postmeter up` does not run on" in nowhere.stderr


def test_clients_reach_the_stores(product: Product, folder: Path) -> None:
    data = ("--data", str(product.data))
    asked = postmeter("psql", *data, "-Atc", "SELECT current_user, count(*) FROM workspace")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "postmeter_owner|1\n", "")
    assert postmeter("psql", *data, "-c", "SELECT nonsense").returncode == 1
    client = folder / "redis-cli"  # not every machine has one
    client.write_text("#!/bin/sh\necho $*\n")
    client.chmod(0o755)
    said = postmeter("redis-cli", *data, "INFO", "memory", PATH=str(folder)).stdout.split()
    assert (said[0], Path(said[1]).is_socket(), said[2:]) == ("-s", True, ["INFO", "memory"])


def test_ctrl_c_is_for_the_client_alone(folder: Path) -> None:
    client = folder / "redis-cli"
    client.write_text("#!/bin/sh\necho begun\nexec /bin/sleep 30\n")
    client.chmod(0o755)
    stores = {"POSTMETER_POSTGRES_DSN": "postgresql://u@h/d", "POSTMETER_REDIS_URL": "unix:///run/redis.sock"}
    environ = {**as_installed(), **stores, "PATH": str(folder)}
    command = [COMMAND, "redis-cli", "MONITOR"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait() == 128 + signal.SIGINT


def test_a_directory_in_use_is_refused(product: Product) -> None:
    second = postmeter("up", "--data", str(product.data), "--port", "0", "--tracking-port", "0")
    assert second.returncode == 1
    assert f"is in use by process {product.process.pid}" in second.stderr
    assert (product.data / "ready.json").exists()


def test_a_taken_port_is_refused_and_nothing_is_made(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for option, other in (("--port", "--tracking-port"), ("--tracking-port", "--port")):
            result = postmeter("up", "--data", str(folder / "data"), option, port, other, "0")
            assert result.returncode == 1
            assert f"port {port} is in use; choose another" in result.stderr
            assert f"choose another with {option}" in result.stderr
    assert not (folder / "data" / "postgres").exists()


@pytest.mark.parametrize("data", ["/proc/postmeter", "/dev/null/data"])
def test_a_directory_that_cannot_be_written_is_refused(data: str) -> None:
    result = postmeter("up", "--data", data, "--port", "0", "--tracking-port", "0")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: cannot ")
    assert data in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("variable", ["POSTMETER_POSTGRES_BIN", "POSTMETER_REDIS_BIN"])
def test_a_missing_binary_is_named(folder: Path, variable: str) -> None:
    arguments = ("up", "--data", str(folder / "data"), "--port", "0", "--tracking-port", "0")
    result = postmeter(*arguments, **{variable: "/nonexistent"})
    assert result.returncode == 1
    assert f"{variable}=/nonexistent" in result.stderr


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("POSTMETER_POSTGRES_DSN", "postgresql://nobody@127.0.0.1:1/none", "Error: Postgres: "),
        ("POSTMETER_REDIS_URL", "redis://127.0.0.1:1/0", "Error: Redis does not answer: "),
    ],
)
def test_an_external_server_that_does_not_answer_is_named(
    folder: Path, variable: str, value: str, message: str
) -> None:
    arguments = ("up", "--data", str(folder / "data"), "--port", "0", "--tracking-port", "0")
    result = postmeter(*arguments, **{variable: value})
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_sigterm_stops_everything_commands_still_work_and_the_next_start_has_everything(folder: Path) -> None:
    with running(folder) as first:
        children = descendants(first.process.pid)
        assert postmeter("workspace", "create", "kept", "--name", "K", "--data", str(first.data)).returncode == 0
        assert postmeter("user", "disable", "admin@localhost", "--data", str(first.data)).returncode == 0
        assert first.stop() == 0
        assert all_gone(children)
        assert not (first.data / "ready.json").exists()
        assert "was killed" not in first.output.read_text()
    assert postmeter("workspace", "create", "later", "--name", "L", "--data", str(first.data)).returncode == 0
    with running(folder) as second:
        assert second.ready["api_key"] == first.ready["api_key"]
        assert second.ready["dashboard"] is None
        for name in ("kept", "later"):
            again = postmeter("workspace", "create", name, "--name", "K", "--data", str(second.data))
            assert "already" in again.stderr


def test_nothing_is_left_after_sigkill_and_the_next_start_works(folder: Path) -> None:
    with running(folder) as first:
        children = descendants(first.process.pid)
        assert len(children) > 6
        link = first.ready["dashboard"]
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        wait_for("the end of every child", lambda: all_gone(children))
        assert not (first.data / "ready.json").exists()
    with running(folder) as second:
        answer = requests.get(f"{second.ready['gateway']}/api/v1/analytics", headers=first.headers, timeout=60)
        assert answer.status_code == 200
        assert who(second, signed_in(second, link)) is None, "a start voids the link of the one before"
        assert who(second, signed_in(second, second.ready["dashboard"])) is not None
