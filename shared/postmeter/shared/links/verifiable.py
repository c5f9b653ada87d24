"""Whether links that were mailed can still be verified: a look for Advice."""

from __future__ import annotations

from postmeter.shared.auth import fingerprints
from postmeter.shared.links.tokens import KeyRing
from postmeter.shared.storage.postgres import Pool

_KEYS = fingerprints.of_token_key(0).removesuffix("0")


async def verifiable(pool: Pool, ring: KeyRing, *, signs: bool) -> str | None:
    """Which keys that have signed links the ring lacks. signs: its first key does, from now on."""
    if signs:
        await fingerprints.keep(pool, ring.signing, ring.fingerprints[ring.signing])
    lost = [
        f"{one.name} ({fingerprints.shown(one.value)}, since {one.since:%Y-%m-%d})"
        for one in (await fingerprints.kept(pool)).values()
        if one.name.startswith(_KEYS) and ring.fingerprints.get(one.name) != one.value
    ]
    if not lost:
        return None
    return (
        f"POSTMETER_TOKEN_KEYS lacks keys that have signed links, or has others under their ids: {', '.join(lost)}."
        " Links of these lead nowhere. Put each back, behind the first key; where none of its links is to work any"
        f" more: `postmeter secret forget {lost[0].partition(' ')[0]}`"
    )
