"""Users: endpoints to invite, look at, change and remove the people of a workspace, as the command `postmeter user`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Struct

from postmeter.shared.apis.endpoint import Timestamp, described, one_of
from postmeter.shared.apis.people.keys import endpoint

PATH = "/v1/users"
ONE_PATH = "/v1/users/{id}"
ROLES = ("admin", "member", "viewer")
_MAX_BODY = 64 * 1024
_DOMAINS = "Confines the user to these; null: all of the workspace."
Domains = Annotated[list[str], msgspec.Meta(min_length=1, max_length=1000)]


class NewUser(Struct, forbid_unknown_fields=True):
    """Body of POST /v1/users."""

    email: Annotated[str, msgspec.Meta(max_length=254)]
    role: Annotated[str, one_of(*ROLES)]
    domains: Annotated[Domains | None, described(_DOMAINS)] = None


class UserChange(Struct, forbid_unknown_fields=True):
    """Body of PATCH /v1/users/{id}; what is left out stays as it is."""

    role: Annotated[str | msgspec.UnsetType, one_of(*ROLES)] = msgspec.UNSET
    domains: Annotated[Domains | msgspec.UnsetType | None, described(_DOMAINS)] = msgspec.UNSET
    disabled: Annotated[bool | msgspec.UnsetType, described("Kept out, and signed out.")] = msgspec.UNSET
    reset: Annotated[bool, described("Make a link to choose a password; one of before is void.")] = False


class User(Struct):
    """A user. has_password: false while the invitation is not taken."""

    id: str
    email: str
    role: str
    domains: list[str] | None
    disabled: bool
    has_password: bool
    created_at: Timestamp
    signed_in_at: Timestamp | None


class LinkedUser(User):
    """A user that was just made or changed. link: to be given to that person, shown this once; null: none was made."""

    link: str | None


class RemovedUser(Struct):
    """A user that is gone, with all sessions and links."""

    id: str


class LinkedUserAnswer(Struct):
    """POST /v1/users, PATCH /v1/users/{id}."""

    data: LinkedUser


class UsersAnswer(Struct):
    """GET /v1/users, by email."""

    data: list[User]


class RemovedUserAnswer(Struct):
    """DELETE /v1/users/{id}."""

    data: RemovedUser


ENDPOINTS = (
    endpoint(
        "POST",
        PATH,
        "Invite a user, with at most your own rights; get the link to give to that person",
        LinkedUserAnswer,
        max_body=_MAX_BODY,
        body=NewUser,
        status=201,
        failures=(409,),
    ),
    endpoint("GET", PATH, "Users of the workspace", UsersAnswer),
    endpoint(
        "PATCH",
        ONE_PATH,
        "Change, disable or enable a user, or make a link to choose a new password",
        LinkedUserAnswer,
        max_body=_MAX_BODY,
        body=UserChange,
        failures=(409,),
    ),
    endpoint("DELETE", ONE_PATH, "Remove a user", RemovedUserAnswer, failures=(409,)),
)
