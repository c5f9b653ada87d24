"""Lists of registrations: what is done with all of them at once leaves hits their turns."""

import asyncio

import msgspec

from postmeter.tracking.writes import message_body


async def test_hits_have_their_turns_while_the_recipients_of_a_list_are_looked_for() -> None:
    turns = 0

    async def hits() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    long = "x" * 30_000
    items = [msgspec.Raw(b'{"html": "%s", "to": "r%d@mail.example"}' % (long.encode(), n)) for n in range(300)]
    others = asyncio.create_task(hits())
    found = await message_body.recipient_hashes([*items, msgspec.Raw(b'{"to": 5}')])
    others.cancel()
    assert len(found) == 300
    assert turns >= len(items) // message_body.HASHED_AT_ONCE
