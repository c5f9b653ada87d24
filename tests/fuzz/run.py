"""One fuzz: how many requests, what was answered, what is wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests

from tests.fuzz import mutations
from tests.fuzz.connection import SILENT, Answer, Connection
from tests.fuzz.drafts import Draft, Sent
from tests.fuzz.seeds import LEDGER, OPS, Seeds
from tests.fuzz.watch import Watch
from tests.product import Product, wait_for

AT_ONCE = 12
OF_THE_LEDGER = 40
"""One in so many requests is an event that is not changed, and counted in the end."""
STRANGERS = 0.04
"""How many requests come with the key of another tenant, or of fewer rights."""
MOST_FINDINGS = 20
STATED = {
    "POST /api/v1/track/purchase": "docs/api/misar.md: an order whose campaign is not known in time",
    "POST /mail/v1/track/purchase": "the same",
    "POST /v1/webhooks/{provider}/{source}": "docs/webhooks/README.md: Redis or a certificate is away",
    "POST /v1/query": "docs/api/limits.md: too much to do",
    "POST /v1/messages": "docs/api/limits.md: as many large bodies as are taken at once",
    "POST /v1/events": "docs/api/limits.md: the same",
}
"""Where the documentation names a 503."""


@dataclass
class Report:
    """What came of it. findings: empty when all is well."""

    seed: int
    statuses: Counter[str] = field(default_factory=Counter)
    endpoints: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    stated: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    memory: dict[str, tuple[int, int]] = field(default_factory=dict)
    counted: int = 0

    @property
    def total(self) -> int:
        """Requests in all."""
        return self.statuses.total()

    def text(self) -> str:
        """The report for people."""
        share = 100 * sum(n for status, n in self.statuses.items() if status in ("2xx", "3xx")) / max(1, self.total)
        lines = [f"seed {self.seed}: {self.total} requests, {share:.1f} % of them answered by 2xx or 3xx"]
        lines.append(" ".join(f"{status}: {n}" for status, n in sorted(self.statuses.items())))
        lines += [f"{n:7} ({self.passed[name]:6} passed) {name}" for name, n in sorted(self.endpoints.items())]
        lines += [f"{n} stated 503: {name}" for name, n in self.stated.items()]
        lines += [f"{name}: {before >> 20} MB, then {after >> 20} MB" for name, (before, after) in self.memory.items()]
        lines += [f"{seconds:.1f} s {what}" for seconds, what in self.slowest]
        lines.append(f"{self.counted} unchanged events, all counted" if not self.findings else "FINDINGS:")
        return "\n".join(lines + self.findings)


async def fuzz(product: Product, number: int, seconds: float, seed: int) -> Report:
    """Send `number` requests, or as many as fit into `seconds`."""
    seeds = await asyncio.to_thread(Seeds, product)
    watch = await asyncio.to_thread(Watch, product)
    run = _Run(product, seeds, number, time.monotonic() + seconds, Report(seed))
    await run.goodness()
    await asyncio.gather(*(run.some(random.Random(f"{seed} {worker}")) for worker in range(AT_ONCE)))
    await asyncio.to_thread(run.counted)
    report = run.report
    report.findings += await asyncio.to_thread(watch.findings)
    report.memory = {name: (watch.before[name], after) for name, after in watch.memory().items()}
    return report


class _Run:
    def __init__(self, product: Product, seeds: Seeds, number: int, end: float, report: Report) -> None:
        self._seeds, self._left, self._end, self.report = seeds, number, end, report
        urls = {"gateway": product.ready["gateway"], "tracking": product.ready["tracking"]}
        urls |= {f"ops-{name}": product.ready["ops"][name] for name in OPS}
        self._ports = {name: (urlsplit(url).hostname or "", urlsplit(url).port or 0) for name, url in urls.items()}
        self._product, self._accepted = product, 0

    def _connections(self) -> dict[str, Connection]:
        return {name: Connection(*place) for name, place in self._ports.items()}

    async def goodness(self) -> None:
        """Every good request must be good as it stands, or a fuzz of it means nothing."""
        connections = self._connections()
        for draft in self._seeds.drafts:
            sent = draft.sent("none")
            answer = await connections[sent.port].ask(sent.method, sent.data)
            good = 0 < answer.status < 400 or "SigningCertURL" in str(draft.body)
            assert good, f"not a good request: {_shown(sent, answer, 0)}"

    async def some(self, chance: random.Random) -> None:
        """One worker's requests."""
        connections = self._connections()
        while self._left > 0 and time.monotonic() < self._end and len(self.report.findings) < MOST_FINDINGS:
            self._left -= 1
            ledger = chance.randrange(OF_THE_LEDGER) == 0
            draft, change = (
                self._changed(chance) if not ledger else (self._seeds.event(chance.randrange(1 << 20)), "none")
            )
            sent = draft.sent(change)
            began = time.monotonic()
            answer = await connections[sent.port].ask(sent.method, sent.data, draft.cut is not None)
            self._note(sent, answer, time.monotonic() - began, ledger)
        for connection in connections.values():
            connection.close()

    def _changed(self, chance: random.Random) -> tuple[Draft, str]:
        draft = chance.choice(self._seeds.drafts).copy()
        if chance.random() < STRANGERS and (b"Authorization", self._seeds.key) in draft.headers:
            draft.headers = [(b"Authorization", chance.choice(self._seeds.others))]
            return draft, "another key"
        return draft, mutations.change(draft, chance)

    def _note(self, sent: Sent, answer: Answer, seconds: float, ledger: bool) -> None:
        report, status = self.report, answer.status
        report.statuses[f"{status // 100}xx" if status > 0 else "closed" if status == 0 else "silent"] += 1
        report.endpoints[sent.name] += 1
        report.passed[sent.name] += 200 <= status < 400
        report.slowest = sorted([*report.slowest, (seconds, f"{sent.name}: {sent.change}")], reverse=True)[:5]
        if ledger and status == 202:
            self._accepted += 1
        stated = status == 503 and (sent.name in STATED or sent.name.endswith("/readyz"))
        if stated:
            report.stated[sent.name] += 1
        if status == SILENT or (status >= 500 and not stated and status != 505) or (ledger and status != 202):
            report.findings.append(_shown(sent, answer, report.seed))

    def counted(self) -> None:
        """Every unchanged event that was accepted is counted, once; their messages lie in every shard."""
        asked = {"metrics": ["opens"], "filters": {"campaign": [LEDGER]}}
        opens = [0]

        def reached() -> bool:
            answer = self._seeds.world.ask("POST", "/v1/query", json=asked)
            rows = answer.json()["data"] if answer.status_code == 200 else []
            opens[0] = rows[0]["opens"] if rows else 0
            return opens[0] == self._accepted

        try:
            wait_for("the ledger's events", reached)
        except AssertionError:
            self.report.findings.append(f"accepted {self._accepted} events that nobody changed, counted {opens[0]}")
        self.report.counted = self._accepted
        ready = requests.get(self._product.ready["ops"]["aggregator"] + "/readyz", timeout=60)
        if ready.status_code != 200:
            self.report.findings.append(f"the aggregator is not ready: {ready.text}")


def _shown(sent: Sent, answer: Answer, seed: int) -> str:
    """A request that can be sent again: `base64 -d | nc HOST PORT`."""
    body = answer.body[:300].decode(errors="replace")
    return json.dumps(
        {
            "name": sent.name, "change": sent.change, "port": sent.port, "status": answer.status, "answer": body,
            "seed": seed,
            "request": sent.data[:300].decode("latin-1"), "base64": base64.b64encode(sent.data[:20_000]).decode(),
        }
    )  # fmt: skip
