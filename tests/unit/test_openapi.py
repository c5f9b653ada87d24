"""The OpenAPI document: valid, complete, and made of what the endpoint table says."""

from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest

from postmeter.gateway.openapi import document
from postmeter.gateway.openapi.schemas import Schemas
from postmeter.query.engine import vocabulary
from postmeter.shared.apis.document import Document
from postmeter.shared.apis.documents import vectis
from postmeter.shared.apis.documents.exports import DOWNLOAD_PATH, STATUS_PATH
from postmeter.shared.apis.endpoint import Caching, Endpoint, Service, described, one_of
from postmeter.shared.apis.table import DOCUMENTS, ENDPOINTS
from postmeter.shared.errors import RequestError
from postmeter.shared.storage import rollups

MADE = document.build()


def test_it_is_valid_openapi_3_1() -> None:
    # Imported here: its formats take two seconds, and each process of the tests reads this module.
    from openapi_spec_validator import OpenAPIV31SpecValidator

    assert MADE["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(MADE).iter_errors()) == []


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
def test_every_route_is_in_it_as_the_table_has_it(endpoint: Endpoint) -> None:
    operation = MADE["paths"][endpoint.path][endpoint.method.lower()]
    responses = operation["responses"]
    assert str(endpoint.status) in responses
    assert ("401" in responses and "403" in responses) == (not endpoint.is_public or {401, 403} <= {*endpoint.failures})
    assert {str(status) for status in endpoint.failures} <= set(responses)
    assert "503" in responses or endpoint.is_public, "callers cannot be known while Postgres is away"
    assert operation["security"] == (
        [] if endpoint.is_public else [{"bearer": [endpoint.scope] if endpoint.scope else []}, {"session": []}]
    )
    assert ("429" in responses) == (endpoint.limit is not None)
    # Of what no version of the workspace tells nobody can say that it is still the same.
    assert (endpoint.caching is None) == (endpoint.service is not Service.QUERY)
    has_tag = endpoint.method == "GET" and endpoint.caching not in (None, Caching.NEVER)
    assert ("304" in responses) == has_tag
    told = {"RateLimit-Policy", "RateLimit", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}
    limited = told & set(responses[str(endpoint.status)].get("headers", {}))
    assert limited == (told if endpoint.limit is not None else set())
    assert ("requestBody" in operation) == (endpoint.max_body > 0)
    given = {(p["in"], p["name"]) for p in operation.get("parameters", [])}
    fields = msgspec.structs.fields(endpoint.parameters) if endpoint.parameters else ()
    in_path = {("path", part[1:-1]) for part in endpoint.path.split("/") if part.startswith("{")}
    conditions = {("header", "If-None-Match")} if has_tag else set()
    assert given == in_path | {("query", field.encode_name) for field in fields} | conditions
    content = responses[str(endpoint.status)].get("content", {})
    assert list(content) == ([] if endpoint.status in (204, 302) else [endpoint.media])
    assert bool(content.get(endpoint.media)) == (endpoint.answer is not None)


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("get", STATUS_PATH, {"422"}),  # EXPORT_FAILED
        ("get", DOWNLOAD_PATH, {"403", "410"}),
        ("post", "/v1/events", {"409"}),
        ("post", "/v1/webhooks/{provider}/{source}", {"401"}),
        ("post", "/api/v1/track/event", {"422"}),
        ("post", "/api/v1/track/purchase", {"409", "422"}),
        ("post", "/mail/v1/track/purchase", {"409", "422"}),
    ],
)
def test_it_has_the_errors_that_only_some_endpoints_give(method: str, path: str, statuses: set[str]) -> None:
    assert statuses <= set(MADE["paths"][path][method]["responses"])


def test_a_list_of_messages_says_which_were_rejected() -> None:
    content = MADE["paths"]["/v1/messages"]["post"]["responses"]["201"]["content"]["application/json"]
    one, several = (part["$ref"].rpartition("/")[2] for part in content["schema"]["anyOf"])
    assert set(MADE["components"]["schemas"][one]["properties"]) == {"data"}
    assert set(MADE["components"]["schemas"][several]["required"]) == {"data", "rejected"}


def test_a_parameter_that_takes_any_value_has_no_list_of_them() -> None:
    period, _ = MADE["paths"]["/api/v1/mail/stats"]["get"]["parameters"]
    assert (period["schema"], "7d" in period["description"]) == ({"type": "string", "default": "7d"}, True)


def test_there_is_nothing_else_in_it() -> None:
    routes = {(method.upper(), path) for path, methods in MADE["paths"].items() for method in methods}
    assert routes == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    names = [made["operationId"] for methods in MADE["paths"].values() for made in methods.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", DOCUMENTS, ids=lambda one: one.name)
def test_the_error_schema_is_the_envelope_that_is_written(kind: Document) -> None:
    schemas = Schemas(kind)
    reference = schemas.of(kind.error)["$ref"].rpartition("/")[2]
    written = msgspec.json.decode(kind.error_body(RequestError(400, "INVALID_FIELD", "words"), "the-request"))
    assert list(written) == list(schemas.components[reference]["properties"])
    assert set(schemas.components[reference]["required"]) == set(written)


class Parameters(msgspec.Struct):
    word: Annotated[str | None, one_of("a", "b"), described("Which.")] = None
    number: Annotated[str, described("How many.", type="integer", minimum=1)] = "30"
    needed: str = msgspec.field(name="theNeeded", default="")


class Body(msgspec.Struct):
    rate: Decimal
    maybe: Decimal | None
    word: Annotated[str | None, one_of("a")] = None


class Other(msgspec.Struct):
    x: int


def test_parameters_are_never_null_and_have_the_type_that_they_are_read_as() -> None:
    schemas = Schemas(vectis.DOCUMENT)
    made = {field.encode_name: schemas.of_parameter(field) for field in msgspec.structs.fields(Parameters)}
    assert made == {
        "word": {"type": "string", "enum": ["a", "b"], "description": "Which."},
        "number": {"type": "integer", "minimum": 1, "default": 30, "description": "How many."},
        "theNeeded": {"type": "string", "default": ""},
    }


def test_decimals_are_numbers_and_null_is_among_the_values_where_it_may_be() -> None:
    schemas = Schemas(vectis.DOCUMENT)
    assert schemas.of(Body | Other) == {
        "anyOf": [{"$ref": "#/components/schemas/VectisBody"}, {"$ref": "#/components/schemas/VectisOther"}]
    }
    properties: dict[str, Any] = schemas.components["VectisBody"]["properties"]
    assert properties["rate"] == {"type": "number"}
    assert {"type": "number"} in properties["maybe"]["anyOf"]
    assert properties["word"]["enum"] == ["a", None]


def test_two_structs_of_one_name_are_told() -> None:
    schemas = Schemas(vectis.DOCUMENT)
    schemas.of(msgspec.defstruct("Same", [("a", int)]))
    with pytest.raises(ValueError, match="Same"):
        schemas.of(msgspec.defstruct("Same", [("b", int)]))


def test_it_names_every_metric_and_dimension_that_can_be_asked_for() -> None:
    asked = MADE["components"]["schemas"]["NativeQueryBody"]["properties"]
    assert asked["metrics"]["items"]["enum"] == list(rollups.METRICS)
    assert asked["dimensions"]["items"]["enum"] == list(vocabulary.DIMENSIONS)
