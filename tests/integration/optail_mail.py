"""What the tests of Optail's messages share: the moment that they are read at, and the document's message."""

from datetime import UTC, date, datetime, timedelta

from postmeter.shared.stream.events import State
from tests.integration.stored_messages import Mail, an_id

NOW = datetime(2025, 2, 10, 10, 20, 30, tzinfo=UTC)
AT = datetime(2025, 1, 15, 10, tzinfo=UTC)
FIRST = date(2024, 12, 1)


def the_document_s() -> Mail:
    return Mail(
        AT,
        State.DELIVERED,
        domain="yourdomain.com",
        subject="Welcome!",
        tags=("welcome",),
        provider_account="pa-uuid",
        provider_message="provider-id",
        to_hash="a" * 64,
        sent_at=AT + timedelta(seconds=1.9),
        delivered_at=AT + timedelta(seconds=3),
        id=an_id(AT),
    )
