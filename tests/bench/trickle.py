"""What counting takes where little comes in: percent of a core in one aggregator and in Postgres, by hits a second.

Run: .venv/bin/python -m tests.bench.trickle [--rates 20 100 500 2000 8000] [--seconds 6] [--messages 20000]

Starts its own Postgres and Redis, registers the messages, and appends random hits on them at each rate, as often as
every five milliseconds, each record to its message's shard. One aggregator counts everything. See README.md beside this
file for what the figures mean.
"""

import argparse
import itertools
import random
import time

import redis

from postmeter.shared.storage import uuid7
from postmeter.shared.stream import records, streams
from postmeter.shared.stream.records import Hit
from tests.bench.rollup import SHARDS, counting, cpu_seconds, hits, measure, registrations, stores

STEP = 0.005


def append(client: "redis.Redis", found: list[Hit], batches: "itertools.count[int]") -> None:
    """Append these now, those of a shard in one entry."""
    parts: dict[int, list[bytes]] = {}
    for one in found:
        parts.setdefault(streams.slot_of(one.workspace, one.message) % SHARDS, []).append(records.encode(one))
    with client.pipeline(transaction=False) as pipeline:
        for shard, encoded in parts.items():
            batch = f"trickle-{next(batches)}"
            pipeline.xadd(streams.stream(shard), {records.BATCH: batch, records.RECORDS: records.join(encoded)})
        pipeline.execute()


def trickle(client: "redis.Redis", found: list[Hit], rate: int, batches: "itertools.count[int]") -> None:
    """Append them at this rate, as near as the clock allows."""
    started, sent = time.perf_counter(), 0
    while sent < len(found):
        due = min(len(found), int((time.perf_counter() - started) * rate) + 1)
        if due > sent:
            append(client, found[sent:due], batches)
            sent = due
        time.sleep(max(STEP, 1 / rate))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=int, nargs="+", default=[20, 100, 500, 2000, 8000])
    parser.add_argument("--seconds", type=float, default=6.0, help="of each rate")
    parser.add_argument("--messages", type=int, default=20_000)
    options = parser.parse_args()
    with stores(1) as (place, _):
        client, batches = redis.Redis.from_url(place.url), itertools.count()
        messages = [uuid7.new().bytes for _ in range(options.messages)]
        with counting(place) as pids:
            measure(place, pids, registrations(messages), 200)
            for rate in options.rates:
                found = hits(messages, int(rate * options.seconds), random.Random(rate))
                before, began = (sum(map(cpu_seconds, pids)), cpu_seconds(place.server)), time.perf_counter()
                trickle(client, found, rate, batches)
                seconds = time.perf_counter() - began
                shares = (sum(map(cpu_seconds, pids)) - before[0], cpu_seconds(place.server) - before[1])
                aggregator, server = (100 * share / seconds for share in shares)
                print(f"{rate:,} hits a second: aggregator {aggregator:.0f} %, Postgres {server:.0f} % of a core")


if __name__ == "__main__":
    main()
