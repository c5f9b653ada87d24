"""Tokens of an OpenID provider: the good one is taken, and twenty others are refused (ADR 0042)."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import KeySet, RSAKey

from postmeter.gateway.people.oidc import id_tokens
from tests.integration.identity_provider import CLIENT, EC, ISSUER, NONCE, RSA, token


def unsigned(**header: Any) -> str:
    body = token().split(".")[1]
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{head}.{body}."


def judged(given: str, algorithms: tuple[str, ...] = ("RS256", "ES256", "HS256", "none")) -> dict[str, Any] | None:
    keys = id_tokens.Keys({**KeySet([RSA, EC]).as_dict(private=False)})
    return keys.claims(given, "the access token", [*algorithms], ISSUER, CLIENT, NONCE)


def test_a_good_token_is_taken() -> None:
    for given in (token(), token(EC, "ES256", "ec"), token(aud=[CLIENT]), token(aud=[CLIENT, "x"], azp=CLIENT)):
        claims = judged(given)
        assert claims is not None
        assert claims["email"] == "a@b.example"
    assert judged(token(RSAKey.generate_key(2048), kid="new")) is None, "of a key that is asked for again"


def by_the_public_key() -> str:
    """As if what everybody may read were a secret that both share."""
    head, body, _ = token().split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa"}').rstrip(b"=").decode()
    mac = hmac.digest(RSA.as_pem(private=False), f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


BAD: dict[str, Callable[[], str]] = {
    "another issuer": lambda: token(iss="https://evil.example"),
    "no issuer": lambda: token(iss=None),
    "for another client": lambda: token(aud="another"),
    "for another client, made by us": lambda: token(aud="another", azp=CLIENT),
    "for several, made for another": lambda: token(aud=[CLIENT, "x"], azp="x"),
    "for several, made for nobody": lambda: token(aud=["x", CLIENT], azp=None),
    "for nobody": lambda: token(aud=None),
    "another nonce": lambda: token(nonce="another"),
    "no nonce": lambda: token(nonce=None),
    "expired": lambda: token(exp=int(time.time()) - 120),
    "without an end": lambda: token(exp=None),
    "of tomorrow": lambda: token(iat=int(time.time()) + 86400, nbf=int(time.time()) + 86400),
    "about nobody": lambda: token(sub=None),
    "another access token": lambda: token(at_hash="AAAA"),
    "signed by another key of that name": lambda: token(RSAKey.generate_key(2048)),
    "signed with the public key": by_the_public_key,
    "signed by nobody": lambda: unsigned(alg="none"),
    "signed by nobody, with a name": lambda: unsigned(alg="none", kid="rsa"),
    "an algorithm that is none": lambda: unsigned(alg="RS999", kid="rsa"),
    "no header": lambda: unsigned(),
    "no token": lambda: "",
    "three dots": lambda: "...",
    "no text": lambda: "\0é",
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_token_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="not good"):
        judged(BAD[kind]())


def test_an_algorithm_that_the_provider_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="not good"):
        judged(token(EC, "ES256", "ec"), ("RS256",))
