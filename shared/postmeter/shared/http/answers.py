"""Successful answers in JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

_encoder = msgspec.json.Encoder(decimal_format="number")


def json(body: Any, status: int = 200) -> web.Response:
    """`body` as JSON; decimals are written as numbers, digit by digit."""
    return web.Response(body=_encoder.encode(body), status=status, content_type="application/json")
