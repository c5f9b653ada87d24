"""What each service may do in Postgres: its own role has these rights and no others. None may alter or drop a table.

The owner of the tables gives them, after each migration, to the roles that are there. Roles are made by local mode, or
by whoever runs Postgres (docs/operating.md, ADR 0029): they belong to the server, not to a database.
"""

from __future__ import annotations

from postmeter.shared.storage import partitions
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import ACTIVITY, CONVERSIONS, CREATED, LINKS, SENT, SUM_TIERS
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.shared.storage", "rights.sql")
_ROLLUPS = tuple(tier.table for rollup in (ACTIVITY, CREATED, SENT, LINKS, CONVERSIONS) for tier in rollup.tiers)
_COUNTED = (
    "domain", "campaign", "confined_campaign", "series", "message", "engagement", "event", *_ROLLUPS, "link",
    "bounce_reason_1d", "purchase", "custom_event", "live_total", "user_agent", "activity_day",
    *(tier.table for tier in SUM_TIERS),
)  # fmt: skip
_PRIVATE = (
    "recipient_choice", "consent", "anonymous_source", "last_open", "erasure", "erasure_message", "erased",
    "erased_clicks", "audit", "retention_done",
)  # fmt: skip
_READ = "SELECT"
_KEEP = "SELECT, INSERT"
_WRITE = "SELECT, INSERT, UPDATE, DELETE"
FUNCTIONS = (
    "postmeter_make_partition(text, text, text, text, text), postmeter_drop_partition(text, text),"
    " postmeter_raise_versions(int[])"
)
"""What the aggregator may call of the owner's."""

RIGHTS: dict[str, dict[str, tuple[str, ...]]] = {
    "gateway": {
        _READ: ("migration", "workspace", "webhook_source"),
        _KEEP: ("fingerprint", "api_key", "audit", "erasure"),
        "SELECT, INSERT, UPDATE": ("verdict_setting", "privacy_setting"),
        "SELECT, INSERT, DELETE": ("sending_ip",),
        "UPDATE (revoked_at)": ("api_key",),
        _WRITE: ("user_account", "one_time_link", "session", "privacy_domain"),
    },
    "tracking": {
        _READ: ("workspace", "privacy_setting", "privacy_domain", "recipient_choice", "mail"),
        "SELECT, INSERT, UPDATE": ("webhook_source",),
        _KEEP: ("fingerprint", "audit"),
    },
    "query": {
        _READ: (
            "migration",
            "fingerprint",
            "workspace",
            "sending_ip",
            "answer_version",
            "subject",
            "subject_excess",
            "history",
            "mail",
            "privacy_setting",
            "privacy_domain",
            "recipient_choice",
            "consent",
            "last_open",
            "erasure",
            "waiting",
            "dead_letter",
            *_COUNTED,
        ),
        "SELECT (id, workspace, revoked_at)": ("api_key",),
        "SELECT (id, workspace, domains, disabled_at)": ("user_account",),
        _KEEP: ("audit",),
        _WRITE: ("export",),
    },
    "aggregator": {
        _READ: ("migration", "workspace", "verdict_setting", "history", "mail", "privacy_domain"),
        _KEEP: ("privacy_setting",),
        "SELECT (id, workspace, provider, engagement, revoked_at)": ("webhook_source",),
        _WRITE: (*_COUNTED, "shard", "aggregator", "dedup", "dead_letter", "waiting", "unregistered", *_PRIVATE),
        "SELECT, UPDATE": ("sending_ip", "slot", "export"),
        "SELECT, DELETE": ("subject",),
    },
}
"""By service: what it may do with which tables. The aggregator may also call FUNCTIONS."""


def role(service: str) -> str:
    """The name of a service's role."""
    return f"postmeter_{service}"


async def give(connection: Connection, *, take: bool = True) -> list[str]:
    """Give every role that is there what is its own. Returns these roles. Run by the owner.

    take: take the rest away, which services of the version before may need as long as they run.
    """
    rows = await connection.fetch(_QUERIES["roles"], [role(service) for service in RIGHTS])
    there = [row["rolname"] for row in rows]
    schema = await connection.fetchval("SELECT quote_ident(current_schema())")
    async with connection.transaction():
        for service, rights in RIGHTS.items():
            if role(service) not in there:
                continue
            if take:
                await connection.execute(_QUERIES["take"].format(role=role(service), schema=schema))
            await connection.execute(_QUERIES["enter"].format(role=role(service), schema=schema))
            for right, tables in rights.items():
                await connection.execute(f"GRANT {right} ON {', '.join(tables)} TO {role(service)}")
        if role("aggregator") in there:
            for table in await partitions.leaving(connection):
                await connection.execute(f"GRANT {_WRITE} ON {table} TO {role('aggregator')}")
            await connection.execute(f"GRANT EXECUTE ON FUNCTION {FUNCTIONS} TO {role('aggregator')}")
    return there
