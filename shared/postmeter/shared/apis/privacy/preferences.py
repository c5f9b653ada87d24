"""The preferences page: endpoints. Its URL stands in mails, for their readers."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from postmeter.shared.apis.endpoint import Service, described, native, one_of

PREFERENCES_PATH = "/v1/preferences/"
_Choice = Annotated[str | UnsetType, one_of("granted", "denied")]


class PreferencesParameters(Struct):
    """Query of the page."""

    lang: Annotated[str | None, described("Default: by Accept-Language.", enum=["en", "de", "fr", "it", "es"])] = None


class PreferencesForm(Struct):
    """What a reader chooses, one of these at least."""

    opens: _Choice = UNSET
    clicks: _Choice = UNSET


ENDPOINTS = (
    native(
        "GET",
        PREFERENCES_PATH + "{token}",
        "The reader's page: what may be recorded of them. Changes nothing",
        service=Service.TRACKING,
        limit=None,
        parameters=PreferencesParameters,
        media="text/html",
    ),
    native(
        "POST",
        PREFERENCES_PATH + "{token}",
        "What a reader chooses on their page",
        service=Service.TRACKING,
        limit=None,
        max_body=16 * 1024,
        parameters=PreferencesParameters,
        body=PreferencesForm,
        body_media=("application/x-www-form-urlencoded",),
        media="text/html",
    ),
)
