"""Time from a hit's answer to its visibility in Vectis, at rest and under load.

Run: .venv/bin/python -m tests.bench.freshness [--samples 200] [--load 500]

Starts the whole product, then opens a message and asks `/api/v1/tracking/stats` through the gateway, back to
back, until the open is in it; likewise `/api/v1/analytics` after a `sent` event. Under load, a second process
keeps sending `--load` hits a second. See README.md beside this file for what the figures mean and do not mean.
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from tests.product import Product, running

GIVE_UP_SECONDS = 10.0


async def register(session: aiohttp.ClientSession, product: Product) -> dict[str, Any]:
    body = {"campaign_id": "fresh", "from_address": "a@fresh.example", "to": "b@c.example", "html": "<p>x</p>"}
    url = f"{product.ready['gateway']}/v1/messages"
    async with session.post(url, json=body, headers=product.headers) as answer:
        data: dict[str, Any] = (await answer.json())["data"]
        return data


async def visible(
    session: aiohttp.ClientSession, product: Product, path: str, read: Callable[[Any], int], target: int
) -> float:
    """The moment at which `read` of `path`'s data reached `target`."""
    started = time.perf_counter()
    while time.perf_counter() - started < GIVE_UP_SECONDS:
        async with session.get(product.ready["gateway"] + path, headers=product.headers) as answer:
            if read((await answer.json())["data"]) >= target:
                return time.perf_counter()
    raise SystemExit(f"{path} did not show the hit within {GIVE_UP_SECONDS:.0f} seconds")


async def sample(
    session: aiohttp.ClientSession,
    product: Product,
    path: str,
    read: Callable[[Any], int],
    act: Callable[[], Awaitable[None]],
) -> float:
    async with session.get(product.ready["gateway"] + path, headers=product.headers) as answer:
        before = read((await answer.json())["data"])
    await act()
    answered = time.perf_counter()
    return await visible(session, product, path, read, before + 1) - answered


async def measure(product: Product, samples: int) -> dict[str, list[float]]:
    async with aiohttp.ClientSession() as session:
        message = await register(session, product)

        async def report_sent() -> None:
            """One event, as a sender reports it."""
            events = {"events": [{"type": "sent", "message_id": message["id"]}]}
            url = f"{product.ready['gateway']}/v1/events"
            async with session.post(url, json=events, headers=product.headers) as answer:
                assert answer.status == 202, await answer.text()

        async def open_unique() -> None:
            """The first open of a fresh message: machine load cannot be mistaken for it."""
            async with session.get(fresh.pop()) as answer:
                await answer.read()

        fresh = [(await register(session, product))["open_url"] for _ in range(samples)]
        await asyncio.sleep(1)
        analytics = "/api/v1/analytics?period=24h"
        figures: dict[str, list[float]] = {"event -> /api/v1/analytics": [], "open -> /api/v1/tracking/stats": []}
        for _ in range(samples):
            figures["event -> /api/v1/analytics"].append(
                await sample(session, product, analytics, lambda d: int(d["totals"]["sent"]), report_sent)
            )
            figures["open -> /api/v1/tracking/stats"].append(
                await sample(session, product, "/api/v1/tracking/stats", lambda d: int(d["unique_opens"]), open_unique)
            )
        return figures


async def hit_steadily(url: str, rate: int) -> None:
    async with aiohttp.ClientSession() as session:

        async def reader(number: int) -> None:
            due = time.perf_counter() + number / rate
            while True:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                due += 20 / rate
                async with session.get(url) as answer:
                    await answer.read()

        await asyncio.gather(*(reader(n) for n in range(20)))


def load_process(url: str, rate: int) -> None:
    asyncio.run(hit_steadily(url, rate))


def show(title: str, figures: dict[str, list[float]]) -> None:
    for name, values in figures.items():
        cuts = statistics.quantiles(values, n=100)
        print(f"{title:12} {name:34} p50 {cuts[49] * 1000:7.1f} ms   p99 {cuts[98] * 1000:7.1f} ms   n {len(values)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--load", type=int, default=500)
    arguments = parser.parse_args()
    os.environ["POSTMETER_RATE_LIMITS"] = "read=off,write=off"
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as product:
        show("at rest", asyncio.run(measure(product, arguments.samples)))

        async def target() -> str:
            async with aiohttp.ClientSession() as session:
                return str((await register(session, product))["open_url"])

        url = asyncio.run(target())
        process = multiprocessing.Process(target=load_process, args=(url, arguments.load), daemon=True)
        process.start()
        show(f"{arguments.load}/s", asyncio.run(measure(product, arguments.samples)))
        process.terminate()


if __name__ == "__main__":
    main()
