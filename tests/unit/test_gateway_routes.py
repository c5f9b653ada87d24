"""Raw paths to endpoints (hostile-input.md 25), request ids."""

import pytest

from postmeter.gateway.routes import Routes
from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Endpoint, Service
from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.errors import RequestError
from postmeter.shared.http import request_ids
from postmeter.shared.links import hits


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
def test_every_endpoint_of_the_table_is_found(endpoint: Endpoint) -> None:
    assert Routes().find(endpoint.method, endpoint.path.replace("{token}", "AbC_-")) is endpoint


@pytest.mark.parametrize(
    "path",
    [
        "",
        "//",
        "/docs//",
        "*",
        "/api/v1/analytics/",
        "//api/v1/analytics",
        "/api//v1/analytics",
        "/api/v1/../v1/analytics",
        "/api/v1/%2e%2e/v1/analytics",
        "/api/v1/%61nalytics",
        "/API/v1/analytics",
        "/api/v1/analytics%00",
        "/api/v1/analytics;x",
        "http://evil.example/api/v1/analytics",
        "/api/v1/track/open/a/b",
        "/api/v1/track/open/../../analytics",
        "/v1/query\\",
        "/metrics",
        "/healthz",
    ],
)
def test_no_other_spelling_is_found(path: str) -> None:
    assert not hits.is_at(path)
    with pytest.raises(RequestError) as refused:
        Routes().find("GET", path)
    assert (refused.value.status, refused.value.code) == (404, "NOT_FOUND")


def test_another_method_is_told_which_are_allowed() -> None:
    for method, path, allowed in (
        ("POST", "/api/v1/analytics", "GET, HEAD"),
        ("OPTIONS", "/api/v1/analytics", "GET, HEAD"),
        ("GET", "/v1/query", "POST"),
        ("HEAD", "/v1/query", "POST"),
        ("DELETE", "/api/v1/track/open/x", "GET, HEAD"),
    ):
        with pytest.raises(RequestError) as refused:
            Routes().find(method, path)
        assert (refused.value.status, refused.value.headers) == (405, {"Allow": allowed})


def test_a_placeholder_is_one_segment() -> None:
    template = Endpoint(method="GET", path="/a/{b}/c.d/{e}", document=NATIVE, service=Service.QUERY, summary="")
    routes = Routes((template,))
    assert routes.find("HEAD", "/a/x/c.d/y") is template
    for path in ("/a/x/cXd/y", "/a//c.d/y", "/a/x/c.d/", "/a/x/y/c.d/z", "/a/x/c.d/y/z"):
        with pytest.raises(RequestError):
            routes.find("GET", path)


@pytest.mark.parametrize("token", ["", "x", "%2e%2e", "a" * 10_000])
def test_any_token_of_one_segment_is_a_hit(token: str) -> None:
    assert hits.is_at(f"/api/v1/track/open/{token}")
    assert hits.is_at(f"/api/v1/track/click/{token}")


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 65, "é", "a\nb", '"', "{}"])
def test_a_request_id_that_could_do_harm_is_replaced(given: str | None) -> None:
    assert request_ids.of(given) not in (given, request_ids.of(given))


def test_a_sane_request_id_is_kept() -> None:
    assert request_ids.of("0192abc0-def1:7.x_Y") == "0192abc0-def1:7.x_Y"
