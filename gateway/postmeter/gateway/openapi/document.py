"""The OpenAPI 3.1 document, made from the endpoint table and the structs that its rows name (ADR 0015)."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from postmeter.gateway.openapi.operations import BEARER, LIMIT_FIELDS, LIMIT_NUMBERS, SESSION, TAG_HEADERS, operation
from postmeter.gateway.openapi.schemas import Schemas
from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.apis.table import DOCUMENTS, ENDPOINTS

VERSION = "3.1.0"
_INFO = """Email tracking and analytics that you run yourself. Public analytics APIs and one of Postmeter's own,
answered from the same counts; each keeps the paths, shapes and errors of its document.

Send an API key as `Authorization: Bearer KEY`. HEAD is answered wherever GET is. Fields may be added to answers."""
_KEY = "An API key of one workspace: `postmeter key create`. The scopes it needs stand at each endpoint."

_SESSION = (
    "The cookie that POST /session gives: the rights of the user, or of the key, that signed in. Over https its name is"
    " `__Host-postmeter_session`."
)


def build(endpoints: tuple[Endpoint, ...] = ENDPOINTS) -> dict[str, Any]:
    """The whole document."""
    schemas = {document: Schemas(document) for document in DOCUMENTS}
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        made = operation(endpoint, schemas[endpoint.document])
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = made
    texts = LIMIT_FIELDS | TAG_HEADERS
    return {
        "openapi": VERSION,
        "info": {
            "title": "Postmeter",
            "version": importlib.metadata.version("postmeter"),
            "description": _INFO,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": document.name, "description": document.about} for document in DOCUMENTS],
        "paths": paths,
        "components": {
            "securitySchemes": {
                BEARER: {"type": "http", "scheme": "bearer", "description": _KEY},
                SESSION: {"type": "apiKey", "in": "cookie", "name": "postmeter_session", "description": _SESSION},
            },
            "headers": {
                **{name: {"description": text, "schema": {"type": "string"}} for name, text in texts.items()},
                **{name: _header(text) for name, text in LIMIT_NUMBERS.items()},
                "Retry-After": _header("Seconds until the next request is let through."),
                "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
            },
            "responses": {name: made for each in schemas.values() for name, made in sorted(each.responses.items())},
            "schemas": {name: schema for each in schemas.values() for name, schema in sorted(each.components.items())},
        },
    }


def _header(text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "integer", "minimum": 0}}
