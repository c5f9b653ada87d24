"""A real Prometheus that scrapes a running product every second, with the rules of deploy/ and nothing to wait for."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.deploy.rule_files import INSTALL, PROMETHEUS, RULE_FILES
from tests.missing import need
from tests.product import PATIENCE, Product, free_port, wait_for


class Prometheus:
    """A server's answers."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str, **parameters: str) -> Any:
        answer = requests.get(f"{self._url}/api/v1/{path}", params=parameters, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def ask(self, expression: str) -> list[Any]:
        """The series that an expression has now."""
        found: list[Any] = self.get("query", query=expression)["result"]
        return found

    def value(self, expression: str) -> float:
        """Of the one series that it must have."""
        return float(wait_for(expression, lambda: self.ask(expression) or None)[0]["value"][1])

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"}

    def fires(self, *names: str) -> None:
        """Return once these alerts fire, which takes several scrapes and evaluations of a server that is as busy."""
        wait_for(f"{names} to fire", lambda: set(names) <= self.firing(), 2 * PATIENCE)


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=60).status_code == 200
    except requests.RequestException:
        return False


def without_waiting(folder: Path) -> list[str]:
    """The rule files, whose alerts fire as soon as they are true."""
    written = []
    for file in RULE_FILES:
        content = yaml.safe_load(file.read_text())
        for group in content["groups"]:
            for rule in group["rules"]:
                rule.pop("for", None)
        copy = folder / file.name
        copy.write_text(yaml.safe_dump(content))
        written.append(str(copy))
    return written


@contextmanager
def scraping(product: Product, folder: Path) -> Iterator[Prometheus]:
    """A server for the `with` block."""
    port = free_port()
    targets = [
        {"targets": [url.removeprefix("http://")], "labels": {"service": service}}
        for service, url in product.ready["ops"].items()
    ]
    every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    jobs = [{"job_name": "postmeter", "static_configs": targets}]
    config = {"global": every, "rule_files": without_waiting(folder), "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        need(PROMETHEUS, INSTALL),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/tsdb",
    ]
    command += [f"--web.listen-address=127.0.0.1:{port}"]
    command += ["--enable-feature=exemplar-storage", "--log.level=warn"]
    with (folder / "prometheus.txt").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for("Prometheus", lambda: answers(url))
        yield Prometheus(url)
    finally:
        process.terminate()
        process.wait(PATIENCE)
