"""An OpenID provider that a test plays: its keys, its tokens, and what it answers; and a gateway that knows it."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from postmeter.gateway.people.oidc.provider import Provider
from postmeter.shared.auth.secret import Secret
from tests.integration.people import PeopleGateway, people_gateway
from tests.integration.running_gateway import service
from tests.integration.stopped_clock import Clock
from tests.product import free_port

CLIENT, SECRET = "postmeter", "of the client:+ %"


@asynccontextmanager
async def at(dsn: str, issuer: str, **more: Any) -> AsyncIterator[PeopleGateway]:
    port = free_port()
    settings = {
        "port": port,
        "public_gateway_url": f"http://127.0.0.1:{port}",
        "oidc_issuer": issuer,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": Secret(SECRET),
    }
    async with people_gateway(dsn, **settings, **more) as place:
        yield place


RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
ISSUER, NONCE = "https://id.example", "the nonce"
GOOD: dict[str, Any] = {"iss": ISSUER, "sub": "1", "aud": CLIENT, "nonce": NONCE, "email": "a@b.example"}


def token(key: Any = RSA, alg: str = "RS256", kid: str = "rsa", **changes: Any) -> str:
    now = int(time.time())
    claims = {**GOOD, "iat": now, "exp": now + 300, **changes}
    return jwt.encode({"alg": alg, "kid": kid}, {n: v for n, v in claims.items() if v is not None}, key, [alg])


@dataclass
class Played:
    """A provider that answers what a test says."""

    url: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    keys: Any = None
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: Any = None
    tokens: Callable[[], web.Response] | None = None
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        match request.path:
            case "/.well-known/openid-configuration":
                names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
                about = {name: f"{self.url}/{name}" for name in names} | {"issuer": self.url}
                return web.json_response(about | self.metadata)
            case "/jwks_uri":
                return web.json_response(KeySet([RSA]).as_dict(private=False) if self.keys is None else self.keys)
            case "/token_endpoint":
                if self.tokens is not None:
                    return self.tokens()
                made = token(iss=self.url, email_verified=True, **self.claims)
                return web.json_response({"id_token": made, "access_token": "the access token"})
            case _:
                assert request.headers["Authorization"] == "Bearer the access token"
                return web.json_response(self.userinfo)


@asynccontextmanager
async def played() -> AsyncIterator[tuple[Played, Provider, Clock]]:
    acting, clock = Played(), Clock()
    async with service(acting.answer) as url:
        acting.url = url
        asking = Provider(url, CLIENT, None, clock)
        try:
            yield acting, asking, clock
        finally:
            await asking.close()
