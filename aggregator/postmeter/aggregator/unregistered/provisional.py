"""Messages that nobody has registered: made from what a provider's webhook tells of them (ADR 0020).

Whoever adds to such a message holds its lock from the beginning, for a registration may come at any time and take
all that was counted of it away: it is held, or it is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.cohorts import Cohorts
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.fold.states import Flag, Key
from postmeter.aggregator.store import messages
from postmeter.aggregator.store.messages import LockedMessage, Name, columns
from postmeter.shared.privacy.levels import Ceilings
from postmeter.shared.storage import uuid7
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import Series
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.records import Event, Registration

QUERIES = Queries("postmeter.aggregator.unregistered", "provisional.sql")

Drafts = dict[Name, Registration]
"""Messages that a flush may have to make, by their providers' names."""


async def drafts(connection: Connection, events: Iterable[Event], horizon: Horizon) -> Drafts:
    """What the messages would be that webhooks tell of and nobody knows: as the earliest event of each says."""
    told = [
        ((event.workspace, event.provider, event.provider_message), event)
        for event in events
        if event.mail is not None and not event.message and event.provider_message
    ]
    known = await messages.find_named(connection, (name for name, _ in told))
    first: dict[Name, Event] = {}
    for name, event in told:
        if known.of(name, told_domain(event)) is None:
            earlier = first.get(name)
            if earlier is None or (event.at, event.type) < (earlier.at, earlier.type):
                first[name] = event
    return {name: _draft(event, horizon) for name, event in first.items()}


def told_domain(event: Event) -> str:
    """The sender's domain as a webhook gave it with the event; "" where it did not."""
    return event.mail.from_domain if event.mail is not None else ""


def _draft(event: Event, horizon: Horizon) -> Registration:
    mail = event.mail
    assert mail is not None
    at = horizon.place(event.at, event.received)
    return Registration(
        at=event.received,
        workspace=event.workspace,
        message=uuid7.new(at // 1000).bytes,
        created=at,
        campaign=mail.campaign,
        campaign_name="",
        from_address=mail.from_address,
        from_domain=mail.from_domain,
        to_hash=mail.to_hash,
        to_domain=mail.to_domain,
        subject=mail.subject,
        provider=event.provider,
        provider_account="",
        provider_message=event.provider_message,
        template=mail.template,
        tags=mail.tags,
        mailbox_provider=mail.mailbox_provider,
        tracks_opens=False,
        tracks_clicks=False,
    )


async def make(
    connection: Connection,
    wanted: list[Registration],
    series: dict[Series, int],
    horizon: Horizon,
    cohorts: Cohorts,
    said: Mapping[int, Ceilings],
) -> dict[Key, LockedMessage]:
    """Make messages from drafts; they are looked at again, for a registration may be on its way."""
    if not wanted:
        return {}
    nobody = messages.Repeaters()  # the ids are new ones
    made, _ = await messages.register(connection, wanted, series, horizon, cohorts, said, nobody, Flag.PROVISIONAL)
    await connection.execute(QUERIES["watch"], *columns(made))
    created = {(r.workspace, r.message): horizon.place(r.created, r.at) for r in wanted}
    return {key: LockedMessage(made[key].series, made[key].flags, at) for key, at in created.items()}


async def antedate(
    connection: Connection, held: dict[Key, LockedMessage], earliest: dict[Key, int], cohorts: Cohorts
) -> None:
    """Set the messages' creation to the earliest event that is reported of each."""
    rows = []
    for key, at in earliest.items():
        message = held[key]
        if at < message.created:
            cohorts.add(key[0], message.created, message.series, message.state, -1)
            cohorts.add(key[0], at, message.series, message.state, 1)
            rows.append((key[0], UUID(key[1]), at))
    if rows:
        await connection.execute(QUERIES["antedate"], *zip(*rows, strict=True))


async def notice(connection: Connection, names: list[Name]) -> None:
    """Messages have just been registered: what was made of them before is to be moved."""
    if not names:
        return
    # Looking for each name takes a look into every partition; most providers have nothing that waits for one.
    providers = sorted({name[:2] for name in names})
    rows = await connection.fetch(QUERIES["with_unregistered"], *zip(*providers, strict=True))
    having = {(row["workspace"], row["provider"]) for row in rows}
    if having and (told := sorted(name for name in names if name[:2] in having)):
        await connection.execute(QUERIES["notice"], *zip(*told, strict=True))
