"""An OpenID provider: what it says of itself, and who its tokens say has signed in there.

What an operator configures is trusted. What comes back is not: it is bounded, and must be signed by the provider's
published keys, be meant for us, and answer our nonce (id_tokens.py).
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from yarl import URL

from postmeter.gateway.settings import is_endpoint
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import PostmeterError
from postmeter.shared.text.quoting import quoted

if TYPE_CHECKING:
    from postmeter.gateway.people.oidc.id_tokens import Keys

REMEMBERED_SECONDS = 3600.0
KEYS_SECONDS = 30.0
"""How soon the keys may be fetched again if a token names one that is not known."""
SECONDS = 10.0
MOST = 1 << 20
"""Bytes of an answer."""


T = TypeVar("T")


class NotSignedIn(PostmeterError):
    """The provider does not say who it is, or not in a way that can be believed. The message is for the log."""


class ProviderAway(PostmeterError):
    """The provider does not answer as one. The message is for the log."""


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """Of OpenID Connect Discovery, what is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str
    access_token: str = ""


class Provider:
    """issuer: its URL. secret: None for a client that PKCE alone protects. now: a clock that never goes back."""

    def __init__(
        self, issuer: str, client_id: str, secret: Secret | None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._secret = secret
        self._now = now
        self._metadata: tuple[Metadata, float] | None = None
        self._keys: tuple[Keys, float] | None = None
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=SECONDS)
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def authorization_url(self, redirect_uri: str, state: str, nonce: str, challenge: str) -> str:
        """Where the browser is sent. challenge: of PKCE, by S256. Raises ProviderAway."""
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = (await self._known()).authorization_endpoint
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def email(self, code: str, redirect_uri: str, nonce: str, verifier: str, issuer: str | None) -> str:
        """The email, verified by the provider, of the person who got `code` there.

        issuer: what came along with the code, where it did (RFC 9207). Raises NotSignedIn, ProviderAway.
        """
        if issuer not in (None, self._issuer):
            raise NotSignedIn("the answer is another provider's")
        about = await self._known()
        tokens = await self._tokens(about, code, redirect_uri, verifier)
        claims = await self._claims(about, tokens, nonce)
        if "email" not in claims and about.userinfo_endpoint and tokens.access_token:
            headers = {"Authorization": f"Bearer {tokens.access_token}"}
            found = _decoded(await self._ask("GET", about.userinfo_endpoint, headers=headers), dict[str, Any])
            if found.get("sub") != claims["sub"]:
                raise NotSignedIn("userinfo is about somebody else than the ID token")
            claims = found
        email = claims.get("email")
        if not isinstance(email, str) or claims.get("email_verified") is not True:
            raise NotSignedIn("the provider vouches for no email (email, email_verified)")
        return email

    async def _tokens(self, about: Metadata, code: str, redirect_uri: str, verifier: str) -> _Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": self._client_id,
        }
        headers = {}
        if self._secret is not None and "client_secret_basic" in about.token_endpoint_auth_methods_supported:
            pair = f"{quote(self._client_id, safe='')}:{quote(self._secret.reveal(), safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        elif self._secret is not None:
            form["client_secret"] = self._secret.reveal()
        return _decoded(await self._ask("POST", about.token_endpoint, data=form, headers=headers), _Tokens)

    async def _claims(self, about: Metadata, tokens: _Tokens, nonce: str) -> dict[str, Any]:
        algorithms = about.id_token_signing_alg_values_supported
        asked = (tokens.id_token, tokens.access_token, algorithms, self._issuer, self._client_id, nonce)
        try:
            claims = (await self._published(about, REMEMBERED_SECONDS)).claims(*asked)
            if claims is None:  # the provider has changed its keys
                claims = (await self._published(about, KEYS_SECONDS)).claims(*asked)
        except ValueError as error:
            raise NotSignedIn(str(error)) from None
        if claims is None:
            raise NotSignedIn("the ID token names a key that the provider does not publish")
        return claims

    async def _known(self) -> Metadata:
        if self._metadata is None or self._now() - self._metadata[1] > REMEMBERED_SECONDS:
            url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
            found = _decoded(await self._ask("GET", url), Metadata)
            if found.issuer != self._issuer:
                raise ProviderAway("what is at POSTMETER_OIDC_ISSUER calls itself by another name")
            needed = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
            for endpoint in (*needed, *filter(None, [found.userinfo_endpoint])):
                if not is_endpoint(endpoint, self._issuer):
                    raise ProviderAway(f"it names {quoted(endpoint)}, which is not https, or on this machine")
            self._metadata = found, self._now()
        return self._metadata[0]

    async def _published(self, about: Metadata, good_for: float) -> Keys:
        if self._keys is None or self._now() - self._keys[1] > good_for:
            # Imported here: it takes time and memory that a gateway without a provider has a better use for.
            from postmeter.gateway.people.oidc import id_tokens

            found = _decoded(await self._ask("GET", about.jwks_uri), dict[str, Any])
            try:
                self._keys = id_tokens.Keys(found), self._now()
            except ValueError as error:
                raise ProviderAway(str(error)) from None
        return self._keys[0]

    async def _ask(self, method: str, url: str, **options: Any) -> bytes:
        try:
            async with self._session.request(method, URL(url), allow_redirects=False, **options) as answer:
                body = await answer.content.read(MOST)
                while len(body) < MOST and (piece := await answer.content.read(MOST - len(body))):
                    body += piece
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise ProviderAway(f"{method} {url}: {error!r}") from None
        if 400 <= answer.status < 500 and method == "POST":
            raise NotSignedIn(f"{method} {url}: {answer.status} {body[:200]!r}")
        if answer.status != 200:
            raise ProviderAway(f"{method} {url}: {answer.status}")
        return body


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderAway(f"an answer is not what it should be: {error}") from None
