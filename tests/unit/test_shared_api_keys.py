"""API keys, named queries and the endpoint table."""

import itertools
from importlib import resources

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.documents import vectis
from postmeter.shared.apis.table import ENDPOINTS, document_of
from postmeter.shared.auth import api_keys
from postmeter.shared.auth.secret import Secret
from postmeter.shared.storage.rollups import TIERS


def test_a_key_names_its_id_and_is_stored_only_as_a_digest() -> None:
    key_id, key = api_keys.new()
    assert api_keys.id_of(key) == key_id
    assert api_keys.digest(key, Secret("a")) != api_keys.digest(key, Secret("b"))
    assert key.encode() not in api_keys.digest(key, Secret("a"))


def test_what_is_not_a_key_has_no_id() -> None:
    _, key = api_keys.new()
    assert [api_keys.id_of(k) for k in ("", "pm_", key[:-1], key + "x", key.replace("pm_", "xx_"))] == [None] * 5


def test_routes_are_distinct_and_private_unless_they_are_tracking_urls() -> None:
    assert len({(e.method, e.path) for e in ENDPOINTS}) == len(ENDPOINTS)
    assert {e.path.rsplit("/", 1)[0] for e in ENDPOINTS if e.is_public} == {
        "/api/v1/track/open",
        "/api/v1/track/click",
        "/api/v1/track/unsubscribe",
        "/v1/preferences",
        "/api/v1/workspaces/{workspaceId}/analytics/exports/{exportId}",
        "/v1/webhooks/{provider}",  # signed by the provider
        "",  # /openapi.json, /docs and /session
        "/session",
        "/session/oidc",
        "/docs",
    }


def test_an_unknown_path_answers_in_its_documents_envelope() -> None:
    assert (document_of("/api/v1/nothing"), document_of("/v1/nothing")) == (vectis.DOCUMENT, NATIVE)


def test_every_tier_is_a_table() -> None:
    schema = resources.files("postmeter.shared.storage").joinpath("migrations/0001_schema.sql").read_text()
    assert [t.table for t in TIERS if f"CREATE TABLE {t.table} " not in schema] == []
    assert all(wide.seconds % fine.seconds == 0 for fine, wide in itertools.pairwise(TIERS))
