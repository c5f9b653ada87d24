"""ID tokens of an OpenID provider, judged by Authlib and joserfc. Loaded where a provider is configured only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""None of which a client's secret, or nothing, could sign with."""
LEEWAY = 60
"""Seconds that the provider's clock may be off."""
_WRONG = (JoseError, ValueError, TypeError, KeyError, AttributeError)


class Keys:
    """The provider's published keys. Raises ValueError for what are not keys."""

    def __init__(self, published: dict[str, Any]) -> None:
        try:
            self._keys = KeySet.import_key_set(published)  # type: ignore[arg-type]
        except _WRONG as error:
            raise ValueError(f"its keys cannot be read: {error!r}") from None

    def claims(
        self, id_token: str, access_token: str, algorithms: Sequence[str], issuer: str, client_id: str, nonce: str
    ) -> dict[str, Any] | None:
        """What a token claims that is good; None where its key is not among these. Raises ValueError for a bad one.

        Good is what the issuer has signed for this client and this nonce, and has not expired.
        """
        registry = JWSRegistry(algorithms=[n for n in algorithms if n in ALGORITHMS], strict_check_header=False)
        options: Any = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client_id}}
        params = {"nonce": nonce, "client_id": client_id, "access_token": access_token}
        try:
            token = jwt.decode(id_token, self._keys, registry=registry)
            claims = CodeIDToken(token.claims, token.header, options, params)
            claims.validate(leeway=LEEWAY)
        except InvalidKeyIdError:
            return None
        except _WRONG as error:
            raise ValueError(f"the ID token is not good: {error!r}") from None
        return dict(claims)
