"""What a question is, and the ranges and zones that questions are about."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tests.oracle.stories import anchors
from tests.oracle.times import QUARTER, stamp

ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "+05:45", "-03:30", "Australia/Lord_Howe", "America/New_York")


@dataclass(frozen=True)
class Ask:
    """One request. endpoint: the path of its row in the endpoint table. expected: the model's answer, of all pages
    where the answer has a cursor.
    """

    endpoint: str
    path: str
    expected: Callable[[], Any]
    body: dict[str, Any] | None = None


def get(endpoint: str, path: str, expected: Callable[[], Any], **parameters: str | None) -> Ask:
    given = {name: value for name, value in parameters.items() if value is not None}
    return Ask(endpoint, path + (f"?{urlencode(given)}" if given else ""), expected)


def instants(now: datetime, noise: random.Random) -> tuple[str | None, str | None]:
    """from and to: on and off the edges of buckets, as dates and as times, in other zones; or not given."""
    at = sorted(noise.choice([*anchors(now)[:-1], now]) + noise.choice(EDGES) for _ in range(2))
    if noise.random() < 0.1:  # backwards, by a day or by more
        at = [at[1], noise.choice([at[0], at[1] - timedelta(days=1)])]
    written = []
    for one in at:
        style = noise.randrange(4)
        if style == 0:
            written.append(one.date().isoformat())
        elif style == 1:
            written.append(stamp(one + timedelta(hours=2)).replace("Z", "+02:00"))
        else:
            written.append(stamp(one))
    return (None if noise.random() < 0.2 else written[0]), (None if noise.random() < 0.3 else written[1])


EDGES = (timedelta(), timedelta(), timedelta(seconds=-1), timedelta(seconds=1), QUARTER, timedelta(minutes=7))
