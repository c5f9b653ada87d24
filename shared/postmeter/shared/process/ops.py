"""A service's ops port: /metrics (Prometheus; OpenMetrics where asked for), /healthz (alive), /readyz (its
dependencies answer).

Whoever reaches it needs no key, and what it tells takes time of the loop that answers requests, or of a store: so all
who ask at the same time get one answer, and its connections are bounded as the public ports' are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from functools import partial

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from postmeter.shared.errors import SettingsError
from postmeter.shared.http import ports
from postmeter.shared.http.clients.connections import Connections
from postmeter.shared.http.ports import Clocks
from postmeter.shared.http.server import AppRunner
from postmeter.shared.process import logs
from postmeter.shared.process.advice import Advice
from postmeter.shared.process.deadlines import within
from postmeter.shared.process.metrics import OpsMetrics
from postmeter.shared.process.shared_answers import SharedAnswer
from postmeter.shared.text import quoting

Check = Callable[[], Awaitable[object]]
CHECK_SECONDS = 2.0
LOOK_SECONDS = 5.0
"""Between two looks at the checks for the metric postmeter_ready."""
STOP_SECONDS = 10.0
CONNECTIONS, OF_ONE, ASSURED = 512, 128, 4
"""At once, in all and of one address; of each one so many however many there are, so that no flood from other addresses
keeps a probe out.
"""
REASON_CHARS = 1000
STOPPING = "the service was told to stop; what still comes is answered"
_CLOCKS = Clocks()


async def start(
    service: str,
    host: str,
    port: int,
    registry: CollectorRegistry,
    checks: dict[str, Check],
    advice: Advice | None = None,
    clocks: Clocks = _CLOCKS,
    stop: asyncio.Event | None = None,
    does_without: Collection[str] = (),
) -> web.AppRunner:
    """Serve the ops port until the runner is cleaned up. A check that raises, or takes longer than CHECK_SECONDS, makes
    /readyz answer 503; all are asked at once. Once `stop` is set it answers 503 whatever they say.

    service: its name, as `postmeter run` has it.
    advice: stands in /readyz's answer as `warnings`, and does not change its status. Looked at as long as the port is
    served.
    does_without: checks that are only warnings when they fail after they have passed once. For what the service has an
    answer without: all its replicas miss that at once, and if none was ready nobody would answer.
    """
    of_port = OpsMetrics(registry)
    readiness = _Readiness(service, of_port, checks, advice or Advice({}), stop, does_without)
    figures = {is_open: _Figures(registry, accept) for is_open, accept in ((False, ""), (True, _OPENMETRICS))}

    async def metrics(request: web.Request) -> web.Response:
        return await figures[_wants_openmetrics(request.headers.get("Accept", ""))].answer()

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    app = web.Application()
    app.cleanup_ctx.append(readiness.looking)
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", alive), web.get("/readyz", readiness.answer)])
    connections = Connections(CONNECTIONS, OF_ONE, (), of_port.connections_refused, ASSURED)
    runner = AppRunner(app, clocks, connections, shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    try:
        with ports.named_errors(host, port, "POSTMETER_OPS_PORT"):
            await web.TCPSite(runner, host, port).start()
    except SettingsError:
        await runner.cleanup()
        raise
    if not port:
        logs.get().info(
            "POSTMETER_OPS_PORT is not set: /readyz and /metrics are on any free port", port=runner.addresses[0][1]
        )
    return runner


def _stopping(stop: asyncio.Event | None) -> dict[str, str]:
    """Not a check: what was told to stop is not broken, and postmeter_ready does not say so."""
    return {"stopping": STOPPING} if stop is not None and stop.is_set() else {}


class _Readiness:
    """The answer of /readyz and the metrics that say the same; see `start`."""

    def __init__(
        self,
        service: str,
        metrics: OpsMetrics,
        checks: dict[str, Check],
        advice: Advice,
        stop: asyncio.Event | None,
        does_without: Collection[str],
    ) -> None:
        self._service = service
        self._metrics, self._checks, self._advice, self._stop = metrics, checks, advice, stop
        self._does_without = frozenset(does_without)
        self._passed: set[str] = set()
        self._asked = SharedAnswer(self._failing)

    async def looking(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.gather(self._look(), self._advice.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def answer(self, _: web.Request) -> web.Response:
        failed = dict(await self._asked.get())
        said = self._warnings()
        said |= {name: failed.pop(name) for name in self._does_without & self._passed & set(failed)}
        failed |= _stopping(self._stop)
        told = {"service": self._service, "ready": not failed, "failed": failed, "warnings": said}
        body = msgspec.json.encode(told)
        return web.Response(body=body, status=503 if failed else 200, content_type="application/json")

    async def _failing(self) -> dict[str, str]:
        reasons = await asyncio.gather(*map(_reason, self._checks.values()))
        told = dict(zip(self._checks, reasons, strict=True))
        for name, reason in told.items():
            self._metrics.ready.labels(name).set(reason is None)
        self._passed |= {name for name, reason in told.items() if reason is None}
        return {name: reason for name, reason in told.items() if reason is not None}

    def _warnings(self) -> dict[str, str]:
        told = self._advice.now()
        for name, text in told.items():
            self._metrics.warning.labels(name).set(text is not None)
        return {name: text for name, text in told.items() if text is not None}

    async def _look(self) -> None:
        while True:
            await self._failing()
            self._warnings()
            await asyncio.sleep(LOOK_SECONDS)


async def _reason(check: Check) -> str | None:
    """Why a check fails, None when it passes."""
    try:
        await within(CHECK_SECONDS, check())
    except Exception as error:
        return quoting.clean(f"{type(error).__name__}: {error}".removesuffix(": "), REASON_CHARS)
    return None


_OPENMETRICS = "application/openmetrics-text"


class _Figures:
    """The metrics in the form that `accept` stands for, as bytes."""

    def __init__(self, registry: CollectorRegistry, accept: str) -> None:
        encode, self._media = choose_encoder(accept)
        self._made = SharedAnswer(lambda: _now(partial(encode, registry)))

    async def answer(self) -> web.Response:
        return web.Response(body=await self._made.get(), headers={"Content-Type": self._media})


async def _now(encode: Callable[[], bytes]) -> bytes:
    return encode()


def _wants_openmetrics(accept: str) -> bool:
    """Exemplars are in OpenMetrics only. Of its versions, and of ways to escape names, no others are made than what
    Prometheus takes in any case: each would be encoded for itself.
    """
    try:
        return choose_encoder(accept)[1].startswith(_OPENMETRICS)
    except ValueError:  # a version that is not one
        return False
