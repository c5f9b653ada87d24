"""Sessions: signing in and out, and who is signed in."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from msgspec import Struct

from postmeter.shared.apis.endpoint import Limit, Service, Timestamp, described, native, one_of

PATH = "/session"
WAYS_PATH = "/session/ways"
OWN_PATH = "/sessions"
ONE_PATH = "/sessions/{id}"
LINK_PATH = "/session/link"
OIDC_PATH = "/session/oidc"
OIDC_CALLBACK_PATH = "/session/oidc/callback"
MAX_BODY = 16 * 1024


class KeySignIn(Struct, forbid_unknown_fields=True):
    """Body of POST /session: with an API key."""

    api_key: str


class PasswordSignIn(Struct, forbid_unknown_fields=True):
    """Body of POST /session: with a password."""

    email: str
    password: str
    workspace: Annotated[
        str | None, described("Where one email is in several workspaces: which. Else the one where it was first.")
    ] = None
    new_password: Annotated[str | None, described("Changes the password; the user's other sessions end.")] = None


class LinkSignIn(Struct, forbid_unknown_fields=True):
    """Body of POST /session: with a one-time link, the part behind `=`."""

    link: str
    password: Annotated[
        str | None, described("The new one: with an invitation and a reset needed, else not taken.")
    ] = None


class LinkQuestion(Struct, forbid_unknown_fields=True):
    """Body of POST /session/link: a one-time link, the part behind `=`."""

    link: str


class GoodLink(Struct):
    """A one-time link that can be used. email, workspace: whose account it is for."""

    purpose: Annotated[str, one_of("sign-in", "invitation", "reset")]
    email: str
    workspace: str


class GoodLinkAnswer(Struct):
    """POST /session/link."""

    data: GoodLink


class Session(Struct):
    """Who asks. email: null for an API key. role: of the user, or of the key."""

    email: str | None
    role: str
    workspace: str
    scopes: list[str]


class SessionAnswer(Struct):
    """GET /session."""

    data: Session


class OwnSession(Struct):
    """One of the caller's sessions. seen_at: its last use, to the minute. browser, system: families of what began it;
    null: not known. current: whether it is the one that asks.
    """

    id: str
    created_at: Timestamp
    seen_at: Timestamp
    expires_at: Timestamp
    browser: str | None
    system: str | None
    current: bool


class OwnSessionsAnswer(Struct):
    """GET /sessions, the one that was used last first."""

    data: list[OwnSession]


class Oidc(Struct):
    """An OpenID provider. label: what people call it. path: where a browser begins."""

    label: str
    path: str


class Ways(Struct):
    """Ways to sign in, beside a password. oidc: null where none is configured."""

    oidc: Oidc | None


class WaysAnswer(Struct):
    """GET /session/ways."""

    data: Ways


class BeginParameters(Struct):
    """Query of GET /session/oidc."""

    workspace: Annotated[str | None, described("Where one email is in several workspaces: which.")] = None


_endpoint = partial(native, service=Service.GATEWAY, limit=None)


ENDPOINTS = (
    _endpoint(
        "POST",
        PATH,
        "Sign in: the answer sets the cookie `postmeter_session`",
        max_body=MAX_BODY,
        body=KeySignIn | PasswordSignIn | LinkSignIn,
        status=204,
        failures=(401, 403, 503),
    ),
    _endpoint("GET", PATH, "Who is signed in", answer=SessionAnswer, failures=(401, 503)),
    _endpoint("DELETE", PATH, "Sign out: the session of the cookie ends", status=204, failures=(403, 503)),
    _endpoint(
        "GET",
        OWN_PATH,
        "Your sessions: those of the user, or those that were begun with the key",
        limit=Limit.READ,
        answer=OwnSessionsAnswer,
        failures=(503,),
    ),
    _endpoint("DELETE", ONE_PATH, "End one of your sessions", limit=Limit.WRITE, status=204, failures=(503,)),
    _endpoint("DELETE", OWN_PATH, "Sign out everywhere", limit=Limit.WRITE, status=204, failures=(503,)),
    _endpoint(
        "POST",
        LINK_PATH,
        "What a one-time link is for, and for whose account; asking does not use it up",
        max_body=MAX_BODY,
        body=LinkQuestion,
        answer=GoodLinkAnswer,
        failures=(401, 403, 503),
    ),
    _endpoint("GET", WAYS_PATH, "Ways to sign in other than a password", answer=WaysAnswer),
    _endpoint("GET", OIDC_PATH, "Sign in at the OpenID provider", status=302, parameters=BeginParameters),
    _endpoint("GET", OIDC_CALLBACK_PATH, "Where that provider sends the browser back to", status=302),
)
