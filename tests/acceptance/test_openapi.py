"""The running product against its own OpenAPI document: every endpoint's real answers, and what schemathesis tries.

The tests go over the endpoint table: a new endpoint is asked as soon as it stands there.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from postmeter.shared.apis.documents.vectis import OPEN_PATH
from postmeter.shared.apis.endpoint import Endpoint, Limit
from postmeter.shared.apis.people import session
from postmeter.shared.apis.table import ENDPOINTS
from tests.acceptance.changed_bodies import EXACT, changed
from tests.acceptance.described_product import DescribedProduct, filled
from tests.product import running


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DescribedProduct]:
    with pytest.MonkeyPatch.context() as patch:
        # These tests ask more often than one workspace may.
        patch.setenv("POSTMETER_RATE_LIMITS", ",".join(f"{kind}=1000000" for kind in Limit))
        with running(tmp_path_factory.mktemp("openapi")) as product:
            yield filled(product)


WHOLE = [endpoint for endpoint in ENDPOINTS if not endpoint.streams]
"""What has an end; the others are asked by test_live.py."""
every = pytest.mark.parametrize("endpoint", WHOLE, ids=lambda e: f"{e.method} {e.path}")


@every
def test_a_good_answer_is_what_the_document_says(world: DescribedProduct, endpoint: Endpoint) -> None:
    answer = world.ask(endpoint.method, world.path(endpoint), json=world.body(endpoint))
    assert answer.status_code == endpoint.status, answer.text
    world.conforms(endpoint, answer)


@every
def test_so_is_an_error(world: DescribedProduct, endpoint: Endpoint) -> None:
    """Of the gateway: without a key. Of the service: about nothing that exists, and for a NUL or no JSON."""
    if not endpoint.is_public:
        refused = world.ask(endpoint.method, world.path(endpoint), json=world.body(endpoint), key=False)
        assert refused.status_code == 401
        world.conforms(endpoint, refused)
    errors = 0
    nowhere = endpoint.path.replace("{", "").replace("}", "")
    nuls = "&".join(f"{name}=%00" for name in names(world, endpoint))
    for path, body in (
        (nowhere, None),
        (f"{world.path(endpoint)}?{nuls}", None),
        (world.path(endpoint), b"{no json"),
    ):
        answer = world.ask(endpoint.method, path, data=body)
        assert answer.status_code < 500, answer.text
        world.conforms(endpoint, answer)
        errors += answer.status_code >= 400
    asks_for_something = "{" in endpoint.path or endpoint.parameters is not None or endpoint.body is not None
    # A pixel is shown whatever its token is, and a person at an OpenID provider is led back to /login.
    assert errors or not asks_for_something or endpoint.path.startswith((OPEN_PATH, session.OIDC_PATH))


def names(world: DescribedProduct, endpoint: Endpoint) -> list[str]:
    return [p["name"] for p in world.operation(endpoint).get("parameters", ()) if p["in"] == "query"]


@every
def test_so_is_the_answer_to_each_value_that_a_parameter_takes(world: DescribedProduct, endpoint: Endpoint) -> None:
    for parameter in world.operation(endpoint).get("parameters", ()):
        for value in parameter["schema"].get("enum", ()):
            given = {"params": {parameter["name"]: value}, "json": world.body(endpoint)}
            answer = world.ask(endpoint.method, world.path(endpoint), **given)
            # `custom` alone lacks its dates.
            assert answer.status_code == endpoint.status or value == "custom", answer.text
            world.conforms(endpoint, answer)


@pytest.mark.parametrize("endpoint", [one for one in WHOLE if one.body], ids=lambda e: f"{e.method} {e.path}")
def test_a_body_is_taken_as_the_document_says(world: DescribedProduct, endpoint: Endpoint) -> None:
    """Fields that it does not name, or does, values of other types: what it forbids is refused, the rest is taken."""
    import jsonschema

    world.ids[endpoint.path] = world.made(endpoint.path) or world.ids.get(endpoint.path, "")
    for schema in world.bodies(endpoint):
        kind = jsonschema.Draft202012Validator({"components": world.document["components"], **schema})
        for what, body in changed(world.made_of(schema), world.resolved(schema["$ref"])["properties"]):
            answer = world.ask(endpoint.method, world.path(endpoint), json=body)
            refused = answer.status_code in (400, 422) or '"rejected":[{' in answer.text
            may = kind.is_valid(body)  # what other text or number may stand there, no schema says
            assert refused != may or (may and not what.endswith(EXACT)), f"{what}: {answer.status_code} {answer.text}"


def test_so_is_one_domain_s_series(world: DescribedProduct) -> None:
    endpoint = next(e for e in ENDPOINTS if e.path == "/api/v1/analytics")
    domains = world.ask("GET", "/api/v1/analytics").json()["data"]["domains"]
    for granularity in ("hourly", "daily"):
        params = {"domain_id": domains[0]["domain_id"], "granularity": granularity}
        answer = world.ask("GET", "/api/v1/analytics", params=params)
        assert answer.json()["data"]["granularity"] == granularity
        world.conforms(endpoint, answer)


def test_so_is_the_answer_to_a_list_of_which_some_are_rejected(world: DescribedProduct) -> None:
    endpoint = next(e for e in ENDPOINTS if (e.method, e.path) == ("POST", "/v1/messages"))
    good = {"from_address": "a@shop.example", "to": "b@c.example"}
    answer = world.ask("POST", "/v1/messages", json={"messages": [good, {**good, "from_address": "nobody"}]})
    assert (answer.status_code, [one["index"] for one in answer.json()["rejected"]]) == (201, [1])
    world.conforms(endpoint, answer)


def test_any_period_of_krafter_s_is_answered(world: DescribedProduct) -> None:
    endpoint = next(e for e in ENDPOINTS if e.path == "/api/v1/mail/stats")
    answer = world.ask("GET", endpoint.path, params={"period": "a year"})
    assert (answer.status_code, answer.json()["data"]["period"]) == (200, "7d")
    world.conforms(endpoint, answer)


CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


def test_schemathesis_finds_nothing(world: DescribedProduct, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    lines = [f'"path.{name}" = "{world.values[name]}"' for name in ("workspaceId", "campaignId", "exportId", "file")]
    config.write_text("[parameters]\n" + "\n".join(lines) + "\n")
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run"]
    command += [world.product.ready["gateway"] + "/openapi.json"]
    command += ["-H", f"Authorization: {world.product.headers['Authorization']}"]
    # The cases at the schema's boundaries; tests/fuzz makes up more.
    command += ["--phases", "coverage", "--generation-deterministic"]
    command += ["--checks", ",".join(CHECKS), "--continue-on-failure", "--no-shrink", "--no-color", "--warnings", "off"]
    command += [part for one in ENDPOINTS if one.streams for part in ("--exclude-path", one.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, env={**os.environ})
    assert done.returncode == 0, done.stdout
    # It leaves out the document that it read.
    assert f"Tested: {len(WHOLE) - 1}\n" in done.stdout, done.stdout
