"""One round: the zones are tested, then each IP is looked up in those that passed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import dns.asyncresolver

from postmeter.aggregator.upkeep.blocklists.lookups import TEST_ENTRIES, Result, look_up
from postmeter.aggregator.upkeep.blocklists.zones import Address, Zone

CONCURRENCY = 32
CHUNK_SECONDS = 60.0
"""Look-ups of one chunk that have not begun within this time are left for the next one."""
PATIENCE = 5
"""After this many failures in a row a zone is not asked again in this round."""

SILENT = "does not answer"
REFUSING = "answers with an error code: it does not serve this resolver"
EMPTY = "does not list the test entry that every zone must list (RFC 5782, 5)"
WILD = "lists the test entry that no zone may list (RFC 5782, 5): it would list everything"


@dataclass(frozen=True)
class Listing:
    """What a zone said about an address."""

    address: Address
    zone: Zone
    listed: bool


@dataclass
class ZoneState:
    """How a zone does in this round, for addresses of one IP version. trouble: why it is of no use, or ''."""

    trouble: str = ""
    failures: int = 0
    results: Counter[Result] = field(default_factory=Counter)

    @property
    def usable(self) -> bool:
        """Whether the zone is still asked."""
        return not self.trouble and self.failures < PATIENCE

    def add(self, result: Result) -> None:
        """Take note of a look-up."""
        self.results[result] += 1
        self.failures = self.failures + 1 if result is Result.FAILED else 0

    def said(self) -> str:
        """What is to be logged about the zone after the round; '' for nothing."""
        if self.trouble:
            return self.trouble
        if self.results[Result.ERROR]:
            return REFUSING
        return SILENT if self.results[Result.FAILED] else ""


class Round:
    """Asks every zone about every address, CONCURRENCY questions at a time.

    standings: by zone and IP version, of the versions that came up. skipped: look-ups in usable zones that
    there was no time or patience for.
    """

    def __init__(self, resolver: dns.asyncresolver.Resolver, zones: Sequence[Zone]) -> None:
        self.standings: dict[tuple[Zone, int], ZoneState] = {}
        self.skipped = 0
        self._resolver = resolver
        self._zones = zones
        self._turns = asyncio.Semaphore(CONCURRENCY)

    async def look_up(self, addresses: Iterable[Address]) -> list[Listing]:
        """Look a chunk of addresses up. Where no answer is returned, nothing is known."""
        asked = set(addresses)
        await self._test({address.version for address in asked})
        deadline = asyncio.get_running_loop().time() + CHUNK_SECONDS
        async with asyncio.TaskGroup() as tasks:
            questions = [
                tasks.create_task(self._ask(address, zone, deadline))
                for address in asked
                for zone in self._zones
                if not self.standings[zone, address.version].trouble
            ]
        return [answer for question in questions if (answer := question.result()) is not None]

    async def _ask(self, address: Address, zone: Zone, deadline: float) -> Listing | None:
        standing = self.standings[zone, address.version]
        async with self._turns:
            if not standing.usable or asyncio.get_running_loop().time() > deadline:
                self.skipped += 1
                return None
            result = await look_up(self._resolver, address, zone.name)
        standing.add(result)
        if result in (Result.ERROR, Result.FAILED):
            return None
        return Listing(address, zone, result is Result.LISTED)

    async def _test(self, versions: set[int]) -> None:
        """Test each zone once a round for each IP version."""
        untested = [
            key for zone in self._zones for version in versions if (key := (zone, version)) not in self.standings
        ]
        troubles = await asyncio.gather(*(self._trouble(*key) for key in untested))
        for key, trouble in zip(untested, troubles, strict=True):
            self.standings[key] = ZoneState(trouble)

    async def _trouble(self, zone: Zone, version: int) -> str:
        present, absent = TEST_ENTRIES[version]
        async with self._turns:
            positive = await look_up(self._resolver, present, zone.name)
            if positive is Result.FAILED:
                return SILENT
            negative = await look_up(self._resolver, absent, zone.name)
        if negative is Result.FAILED:
            return SILENT
        if Result.ERROR in (positive, negative):
            return REFUSING
        if positive is Result.NOT_LISTED:
            return EMPTY
        return WILD if negative is Result.LISTED else ""
