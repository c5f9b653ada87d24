"""A service's ops port: /metrics (Prometheus), /healthz (alive), /readyz (its dependencies answer)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from postmeter.shared import listening, quoting
from postmeter.shared.clocks import Clocks
from postmeter.shared.errors import SettingsError
from postmeter.shared.http_server import AppRunner

Check = Callable[[], Awaitable[object]]
CHECK_SECONDS = 2.0
REASON_CHARS = 1000
_CLOCKS = Clocks()


async def start(
    host: str,
    port: int,
    registry: CollectorRegistry,
    checks: dict[str, Check],
    warnings: dict[str, Callable[[], str | None]] | None = None,
    clocks: Clocks = _CLOCKS,
) -> web.AppRunner:
    """Serve the ops port until the runner is cleaned up. A check that raises makes /readyz answer 503.

    warnings: what a person should look at although requests are still answered as they should be; each returns a
    sentence or None. They stand in /readyz's answer and do not change its status.
    """

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        failed: dict[str, str] = {}
        for name, check in checks.items():
            try:
                await asyncio.wait_for(check(), CHECK_SECONDS)
            except Exception as error:
                failed[name] = quoting.clean(f"{type(error).__name__}: {error}", REASON_CHARS)
        said = {name: text for name, warn in (warnings or {}).items() if (text := warn())}
        body = msgspec.json.encode({"ready": not failed, "failed": failed, "warnings": said})
        return web.Response(body=body, status=503 if failed else 200, content_type="application/json")

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", alive), web.get("/readyz", ready)])
    runner = AppRunner(app, clocks)
    await runner.setup()
    try:
        with listening.named_errors(host, port, "POSTMETER_OPS_PORT"):
            await web.TCPSite(runner, host, port).start()
    except SettingsError:
        await runner.cleanup()
        raise
    return runner
