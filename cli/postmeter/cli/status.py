"""The command `postmeter status`: what each service's ops port says, in words."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from postmeter.cli.local import ready_file
from postmeter.cli.local.errors import DataDirectoryError
from postmeter.cli.local.lock import held
from postmeter.shared.errors import PostmeterError

SECONDS = 5.0
"""For an answer; a service's own checks take two at most, and as long again with a rest between while others ask."""
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Ops ports are at hand: a proxy that the environment names (http_proxy) does not reach them."""


class Readiness(msgspec.Struct):
    """What /readyz answers: why the service is not ready, and what it warns of, each by name. service: which it is; one
    of an older version does not say so.
    """

    failed: dict[str, str]
    warnings: dict[str, str]
    service: str = ""


class Answer(NamedTuple):
    """What one service said. readiness: None where it said nothing, and `trouble` says why."""

    readiness: Readiness | None
    trouble: str


class Figures:
    """The metrics of all services that answered."""

    def __init__(self) -> None:
        self._samples: dict[str, list[Sample]] = {}

    def read(self, text: str) -> None:
        """Add what one service's /metrics answered. Raises ValueError."""
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append(sample)

    def __contains__(self, name: str) -> bool:
        return name in self._samples

    def values(self, name: str, **labels: Collection[str]) -> list[float]:
        """Of every series of a metric, or of those that have one of the values of each label."""
        found = self._samples.get(name, ())
        return [one.value for one in found if all(one.labels[label] in labels[label] for label in labels)]


class Status(NamedTuple):
    """What there is to say, line by line, and whether every service is ready."""

    lines: list[str]
    is_ready: bool


def status(data: Path, urls: Sequence[str]) -> Status:
    """Of the services of `postmeter up`, or of those whose ops ports are named.

    Raises DataDirectoryError where none run, PostmeterError for what is not a URL.
    """
    figures = Figures()
    places = {url: url.rstrip("/") for url in urls} or _local(data.absolute())
    answers = {name: _ask(url, figures) for name, url in places.items()}
    names = {name: _called(name, answer) for name, answer in answers.items()}
    width = max(map(len, names.values()))
    lines = [line for name, answer in answers.items() for line in _lines(names[name].ljust(width), answer)]
    is_ready = all(one.readiness is not None and not one.readiness.failed for one in answers.values())
    return Status(lines + _numbers(figures), is_ready)


def _local(data: Path) -> dict[str, str]:
    """The ops ports of the services of a data directory. Raises DataDirectoryError where none run."""
    try:
        return ready_file.read(data).ops
    except OSError:
        doing = "starts, or stops" if held(data) else "does not run"
        raise DataDirectoryError(f"`postmeter up` {doing} on {data}; other services are asked by URL") from None


def _called(name: str, answer: Answer) -> str:
    """A service's name, with the URL that it was asked by."""
    if answer.readiness is None or answer.readiness.service in ("", name):
        return name
    return f"{answer.readiness.service}  {name}"


def _ask(url: str, figures: Figures) -> Answer:
    try:
        readiness = msgspec.json.decode(_get(f"{url}/readyz"), type=Readiness)
        figures.read(_get(f"{url}/metrics").decode())
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return Answer(None, f"{type(reason).__name__}: {reason}")
    return Answer(readiness, "")


def _get(url: str) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise PostmeterError(f"{url} is not the URL of an ops port, such as http://127.0.0.1:9090")
    try:
        with _DIRECT.open(url, timeout=SECONDS) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:  # 503: not ready, and the body says why
        return error.read()


def _lines(name: str, answer: Answer) -> list[str]:
    if answer.readiness is None:
        return [f"{name}  does not answer: {answer.trouble}"]
    failed, warnings = answer.readiness.failed, answer.readiness.warnings
    return [
        f"{name}  {'NOT READY' if failed else 'ready'}",
        *(f"{' ' * len(name)}    {checks}: {why}" for checks, why in _named(failed)),
        *(f"{' ' * len(name)}    warning, {what}: {why}" for what, why in _named(warnings)),
    ]


def _named(reasons: dict[str, str]) -> list[tuple[str, str]]:
    """Reasons, each once, behind the names of all that have it: while Postgres is away several checks fail alike."""
    names: dict[str, list[str]] = {}
    for name, why in reasons.items():
        names.setdefault(why, []).append(name)
    return [(", ".join(alike), why) for why, alike in names.items()]


def _numbers(figures: Figures) -> list[str]:
    """What the metrics say beside it, of the services that answered."""
    lines = []
    if "postmeter_shards" in figures:
        counted, shards = sum(figures.values("postmeter_leases")), max(figures.values("postmeter_shards"))
        behind = max(figures.values("postmeter_lag_seconds"), default=0.0)
        so_far = f"{counted:.0f} of {shards:.0f} shards, {behind:.1f} seconds behind" if shards else "nothing yet"
        lines.append(f"counting: {so_far}")
    if "postmeter_spool_bytes" in figures:
        waiting = sum(figures.values("postmeter_spool_bytes"))
        lines.append(f"on disk, waiting for Redis: {waiting:.0f} bytes of hits")
    dropped = figures.values("postmeter_hits_dropped_total", reason=("spool_full", "spool_failed"))
    unanswered = figures.values("postmeter_gateway_hits_answered_total", outcome=("dropped", "unavailable"))
    if lost := sum(dropped) + sum(unanswered):
        lines.append(f"LOST since the services started: {lost:.0f} hits")
    if dead := sum(figures.values("postmeter_dead_letters_total")):
        lines.append(f"put aside since the aggregator started: {dead:.0f} records, which the table dead_letter has")
    return lines
