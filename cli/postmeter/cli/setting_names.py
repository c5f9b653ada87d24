"""Settings whose names are almost right: no service reads them, so that what they say would be missed in silence."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable
from dataclasses import fields
from difflib import get_close_matches

from postmeter.shared.process.settings import PREFIX

NEAR = 0.8
"""Of difflib's ratio, without the prefix, from which on a name is taken for a misspelt one."""
_NOT_OF_SERVICES = ("POSTGRES_BIN", "REDIS_BIN", "TEST_")
"""How names begin that local mode and the tests read, and that lie near to a setting."""


def misspelt(service: str, environ: Iterable[str], services: Collection[str]) -> list[str]:
    """A sentence for each name in the environment that looks like a setting of the service but is not one."""
    own = {name.removeprefix(PREFIX) for name in names(service)}
    near: dict[str, str] = {}
    for name in environ:
        short = name.removeprefix(PREFIX)
        if short != name and short not in own and not short.startswith(_NOT_OF_SERVICES):
            for found in get_close_matches(short, own, 1, NEAR):
                near[name] = PREFIX + found
    if not near:
        return []
    # Only now: a service that starts shall not load the others' for nothing.
    known = {name for one in services for name in names(one)}
    return [f"{name} is not a setting; is {one} meant?" for name, one in sorted(near.items()) if name not in known]


def names(service: str) -> set[str]:
    """The names of all settings of a service."""
    module = importlib.import_module(f"postmeter.{service}.settings")
    return {PREFIX + field.name.upper() for field in fields(getattr(module, f"{service.capitalize()}Settings"))}
