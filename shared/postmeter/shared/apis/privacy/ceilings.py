"""What may be kept of a workspace's recipients: endpoints of its ceilings."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from postmeter.shared.apis.endpoint import Limit, Service, described, native, one_of
from postmeter.shared.privacy.levels import CLICK_LEVELS, OPEN_LEVELS

PATH = "/v1/privacy"
ADMINS = ("super_admin", "admin")
MOST_DOMAINS = 1000
MOST_MONTHS = 1200
DENIED = ("off", "anonymous")
"""The levels that may hold for recipients who have refused."""
_OpenLevel = Annotated[str, one_of(*OPEN_LEVELS)]
_ClickLevel = Annotated[str, one_of(*CLICK_LEVELS)]
_DeniedLevel = Annotated[str, one_of(*DENIED)]
_Months = Annotated[
    int | UnsetType | None, described("null: as long as the installation keeps it.", minimum=1, maximum=MOST_MONTHS)
]


class LevelsChange(Struct, forbid_unknown_fields=True):
    """Levels of opens and of clicks; what is left out stays as it is, of a domain it is `full`."""

    opens: _OpenLevel | UnsetType = UNSET
    clicks: _ClickLevel | UnsetType = UNSET


class DeniedChange(Struct, forbid_unknown_fields=True):
    """The same for recipients who have refused."""

    opens: _DeniedLevel | UnsetType = UNSET
    clicks: _DeniedLevel | UnsetType = UNSET


class RetentionChange(Struct, forbid_unknown_fields=True):
    """Months; what is left out stays as it is."""

    history_months: _Months = UNSET
    messages_months: _Months = UNSET
    contacts_months: _Months = UNSET
    consent_months: _Months = UNSET


class PrivacyChange(Struct, forbid_unknown_fields=True):
    """Body of PUT /v1/privacy; what is left out stays as it is. domains: all of them, in place of those before.

    opens and clicks act on mail that is out as well; domains, unknown and denied on mail and choices from then on.
    """

    opens: _OpenLevel | UnsetType = UNSET
    clicks: _ClickLevel | UnsetType = UNSET
    domains: Annotated[
        dict[str, LevelsChange] | UnsetType, described("By sending domain.", maxProperties=MOST_DOMAINS)
    ] = UNSET
    unknown: LevelsChange | UnsetType = UNSET
    denied: DeniedChange | UnsetType = UNSET
    retention: RetentionChange | UnsetType = UNSET


class Levels(Struct):
    """Levels of opens and of clicks."""

    opens: _OpenLevel
    clicks: _ClickLevel


class Retention(Struct):
    """Months; null: as long as the installation keeps it."""

    history_months: int | None
    messages_months: int | None
    contacts_months: int | None
    consent_months: int | None


class Privacy(Struct):
    """GET and PUT /v1/privacy: what is kept at most. opens, clicks: of all mail. domains: of mail of these.

    unknown, denied: of recipients who have not chosen, or refused.
    """

    opens: _OpenLevel
    clicks: _ClickLevel
    domains: dict[str, Levels]
    unknown: Levels
    denied: Levels
    retention: Retention


ENDPOINTS = (
    native(
        "GET",
        PATH,
        "What may be kept of recipients",
        Privacy,
        service=Service.GATEWAY,
        scope="privacy",
    ),
    native(
        "PUT",
        PATH,
        "Set what may be kept of recipients",
        Privacy,
        service=Service.GATEWAY,
        scope="privacy",
        roles=ADMINS,
        limit=Limit.WRITE,
        max_body=512 * 1024,
        body=PrivacyChange,
    ),
)
