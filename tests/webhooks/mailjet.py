"""What Mailjet tells: events with the fields that its documentation names."""

from typing import Any

from tests.webhooks.deliveries import OUR_ID

AT = 1_700_000_004


def event(name: str, **more: Any) -> dict[str, Any]:
    return {
        "event": name,
        "time": AT,
        "MessageID": 576460752303424001,
        "Message_GUID": "0d9f7a3c-2f1e-4a77-9a55-6f1b2c3d4e5f",
        "email": "reader@example.org",
        "mj_campaign_id": 7,
        "mj_contact_id": 9,
        "customcampaign": "spring",
        "CustomID": OUR_ID,
        "Payload": "",
        **more,
    }
