"""The kubelet's probes: startup first, then liveness and readiness, each by its own period and thresholds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.deploy.manifests import Doc

if TYPE_CHECKING:
    from tests.deploy.container import Container

PATIENCE = 20
"""How many times longer than the manifest says an answer may take: a busy machine is not a dead process."""


async def succeeds(container: Container, probe: Doc) -> bool:
    """Whether the probe's request is answered as the kubelet wants it."""
    try:
        async with asyncio.timeout(PATIENCE * probe.get("timeoutSeconds", 1)):
            if "exec" in probe:
                return await container.execute(probe["exec"]["command"]) == 0
            if "httpGet" in probe:
                return await _get(container, probe["httpGet"])
            _, writer = await asyncio.open_connection(
                container.pod.address, container.pod.port(probe["tcpSocket"]["port"])
            )
            writer.close()
            return True
    except (OSError, TimeoutError):
        return False


async def _get(container: Container, get: Doc) -> bool:
    host = container.pod.address
    reader, writer = await asyncio.open_connection(host, container.pod.port(get["port"]))
    try:
        lines = [f"GET {get.get('path', '/')} HTTP/1.1", f"Host: {host}", "User-Agent: kube-probe/1.33"]
        lines += [f"{header['name']}: {header['value']}" for header in get.get("httpHeaders", [])]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        status = (await reader.readline()).split()
        await reader.read()
        return len(status) > 1 and 200 <= int(status[1]) < 400
    finally:
        writer.close()


async def watch(container: Container) -> str:
    """Keep `started` and `ready` of a container up to date. Returns why it has to be started again."""
    spec = container.spec
    if "startupProbe" in spec and not await _passes(container, spec["startupProbe"]):
        return "startup probe"
    container.started = True
    if "readinessProbe" not in spec:
        container.ready = True
    container.pod.changed()
    readiness = asyncio.create_task(_follow(container, spec["readinessProbe"])) if "readinessProbe" in spec else None
    try:
        if "livenessProbe" not in spec:
            await asyncio.Event().wait()
        await _fails(container, spec["livenessProbe"])
        return "liveness probe"
    finally:
        if readiness is not None:
            readiness.cancel()


async def _passes(container: Container, probe: Doc) -> bool:
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    for _ in range(PATIENCE * probe.get("failureThreshold", 3)):
        if await succeeds(container, probe):
            return True
        await asyncio.sleep(probe.get("periodSeconds", 10))
    return False


async def _fails(container: Container, probe: Doc) -> None:
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    failed = 0
    while failed < probe.get("failureThreshold", 3):
        failed = 0 if await succeeds(container, probe) else failed + 1
        await asyncio.sleep(probe.get("periodSeconds", 10))


async def _follow(container: Container, probe: Doc) -> None:
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    in_row = 0
    while True:
        good = await succeeds(container, probe)
        in_row = (max(in_row, 0) + 1) if good else (min(in_row, 0) - 1)
        before = container.ready
        if in_row >= probe.get("successThreshold", 1):
            container.ready = True
        elif -in_row >= probe.get("failureThreshold", 3):
            container.ready = False
        if before != container.ready:
            container.pod.changed()
        await asyncio.sleep(probe.get("periodSeconds", 10))
