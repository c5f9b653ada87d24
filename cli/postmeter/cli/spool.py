"""The command `postmeter spool`: what waits on a disk for Redis."""

import asyncio
from pathlib import Path

import click

from postmeter.shared.process import logs, settings


class _TryAgain(click.ClickException):
    """Redis is away: sysexits' EX_TEMPFAIL, so that a script or a Job knows that another try may do."""

    exit_code = 75


@click.group(name="spool")
def spool_commands() -> None:
    """Spools: hits on tracking-service's disk that wait for Redis."""


@spool_commands.command(name="drain")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def drain_spool(folder: Path) -> None:
    """Move what waits in DIR to Redis. No process may work on it any more.

    DIR is what POSTMETER_SPOOL_DIR named. POSTMETER_REDIS_URL and POSTMETER_SHARDS are those of tracking-service. What
    is in Redis is deleted from DIR. It may be ended at any time and run again: nothing counts twice.

    Exit status 0: DIR is empty. 1: it cannot be done, the message says why. 75: Redis does not take it; run it again.
    """
    # Imported here so that other commands do not load what only this one needs.
    from postmeter.tracking.durable import orphan

    redis = settings.load(settings.AppendSettings)
    moved = orphan.Drained()
    with orphan.taken(folder) as locks:
        logs.configure("spool drain", "auto", "warning")
        try:
            asyncio.run(orphan.drain(locks, redis, moved))
        except orphan.RedisAway as away:
            raise _TryAgain(f"{away}. {moved} were moved; run it again for the rest: nothing counts twice") from away
    if moved.oldest > orphan.REMEMBERED_DAYS:
        click.echo(
            f"the oldest had waited for {moved.oldest:.0f} days: of what was in Redis before, the counting remembers"
            f" {orphan.REMEMBERED_DAYS} days; a batch that is older may count twice",
            err=True,
        )
    if moved.unread:
        raise click.ClickException("; ".join((f"{moved} were moved, the rest is left", *moved.unread)))
    click.echo(f"{moved} moved to Redis; nothing is left in {folder}")
