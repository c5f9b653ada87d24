"""One endpoint as an OpenAPI operation."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import msgspec

from postmeter.gateway.openapi.schemas import Schemas
from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.apis.endpoint import Endpoint, Service
from postmeter.shared.apis.mail.unsubscribe import UNSUBSCRIBE_PATH
from postmeter.shared.apis.privacy.preferences import PREFERENCES_PATH

Part = dict[str, Any]
BEARER = "bearer"
SESSION = "session"
LIMIT_FIELDS = {
    "RateLimit-Policy": "The class of this endpoint with its requests (`q`) per seconds (`w`), a structured field.",
    "RateLimit": "What could come at once now (`r`), and the seconds (`t`) until the whole limit is back.",
}
"""Structured fields: texts."""
LIMIT_NUMBERS = {
    "RateLimit-Limit": "Requests per minute of the workspace in this endpoint's class.",
    "RateLimit-Remaining": "Requests that could come at once now.",
    "RateLimit-Reset": "Seconds until the whole limit is back.",
}
TAG_HEADERS = {
    "ETag": "Of the answer's content, weak: to be sent back in `If-None-Match`.",
    "Cache-Control": "`private, no-cache`: clients may keep it, and ask each time whether it is still good.",
}
LIMIT_HEADERS = LIMIT_FIELDS | LIMIT_NUMBERS


def operation(endpoint: Endpoint, schemas: Schemas) -> Part:
    """The operation object; its structs are added to `schemas`."""
    made: Part = {
        "operationId": _name(endpoint),
        "summary": endpoint.summary,
        "tags": [endpoint.document.name],
        "security": [] if endpoint.is_public else [{BEARER: [endpoint.scope] if endpoint.scope else []}, {SESSION: []}],
        "responses": _responses(endpoint, schemas),
    }
    if description := _description(endpoint):
        made["description"] = description
    if parameters := [*_path_parameters(endpoint), *_query_parameters(endpoint, schemas), *_conditions(endpoint)]:
        made["parameters"] = parameters
    if endpoint.max_body:
        made["requestBody"] = _body(endpoint, schemas)
    return made


def _name(endpoint: Endpoint) -> str:
    words = re.sub(r"\W+", "_", f"{endpoint.method.lower()}{endpoint.path}").strip("_")
    return words + "_" if endpoint.path.endswith("/") else words


def _description(endpoint: Endpoint) -> str:
    said = []
    if endpoint.scope is not None:
        said.append(f"Needs a key with the scope `{endpoint.scope}`.")
    elif not endpoint.is_public:
        said.append("Needs a key or a session, whatever its rights.")
    if endpoint.roles:
        said.append(f"Needs a key with the role {' or '.join(f'`{role}`' for role in endpoint.roles)}.")
    if endpoint.limit is not None:
        said.append(f"Counts against the limit `{endpoint.limit.value}`.")
    return " ".join(said)


def _path_parameters(endpoint: Endpoint) -> list[Part]:
    names = re.findall(r"\{(\w+)\}", endpoint.path)
    text = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": text} for name in names]


def _query_parameters(endpoint: Endpoint, schemas: Schemas) -> list[Part]:
    if endpoint.parameters is None:
        return []
    made = []
    for field in msgspec.structs.fields(endpoint.parameters):
        schema = schemas.of_parameter(field)
        part: Part = {"name": field.encode_name, "in": "query", "required": field.required, "schema": schema}
        if description := schema.pop("description", None):
            part["description"] = description
        made.append(part)
    return made


def _conditions(endpoint: Endpoint) -> list[Part]:
    if not endpoint.has_tag:
        return []
    text = "The `ETag` of the answer that the caller has; 304 while it is the same."
    return [{"name": "If-None-Match", "in": "header", "description": text, "schema": {"type": "string"}}]


def _body(endpoint: Endpoint, schemas: Schemas) -> Part:
    size = f"At most {endpoint.max_body // 1024} KiB; gzip is taken, and its inflated size counts."
    if endpoint.body is None:
        return {"required": True, "description": size, "content": {"*/*": {}}}
    first, *others = endpoint.body_media
    content: Part = {first: {"schema": schemas.of(endpoint.body)}}
    for media in others:
        lines = {"type": "string", "description": "One JSON object per line."}
        content[media] = {"schema": lines} if media.endswith("ndjson") else content[first]
    return {"required": True, "description": size, "content": content}


def _responses(endpoint: Endpoint, schemas: Schemas) -> Part:
    good: Part = {"description": HTTPStatus(endpoint.status).phrase}
    if endpoint.limit is not None:
        good["headers"] = _headers(*LIMIT_HEADERS, *(TAG_HEADERS if endpoint.has_tag else ()))
    if endpoint.status == HTTPStatus.FOUND:
        good["headers"] = {"Location": {"description": "Where the link leads.", "schema": {"type": "string"}}}
    elif endpoint.status != HTTPStatus.NO_CONTENT:
        good["content"] = {endpoint.media: {} if endpoint.answer is None else {"schema": schemas.of(endpoint.answer)}}
    if endpoint.path.startswith((OPEN_PATH, CLICK_PATH, UNSUBSCRIBE_PATH, PREFERENCES_PATH)):
        # People see these: a page says what is wrong. Only what is not a hit at all gets the document's envelope.
        other = {"description": "What is wrong, as a page.", "content": {"text/html": {}, **_error(endpoint, schemas)}}
        return {str(endpoint.status): good, "default": other}
    made = {str(endpoint.status): good}
    if endpoint.has_tag:
        same = {"description": "What the caller has is still the answer.", "headers": good["headers"]}
        made[str(HTTPStatus.NOT_MODIFIED.value)] = schemas.response("Same", same)
    for status in _failures(endpoint):
        made[str(status.value)] = schemas.response(status.phrase, _failure(status, _error(endpoint, schemas)))
    other = {"description": "Any other error, in the same envelope.", "content": _error(endpoint, schemas)}
    made["default"] = schemas.response("Other", other)
    return made


def _error(endpoint: Endpoint, schemas: Schemas) -> Part:
    return {"application/json": {"schema": schemas.of(endpoint.document.error)}}


def _failure(status: HTTPStatus, content: Part) -> Part:
    made: Part = {"description": status.phrase, "content": content}
    if status is HTTPStatus.UNAUTHORIZED:
        made["headers"] = _headers("WWW-Authenticate")
    elif status is HTTPStatus.TOO_MANY_REQUESTS:
        made["headers"] = _headers(*LIMIT_HEADERS, "Retry-After")
    return made


def _headers(*names: str) -> Part:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _failures(endpoint: Endpoint) -> list[HTTPStatus]:
    """The statuses that a caller should expect; others are rare."""
    found = []
    if endpoint.parameters is not None or endpoint.max_body:
        found.append(HTTPStatus.BAD_REQUEST)
    if not endpoint.is_public:
        # 503: while Postgres is away nobody can be known.
        found += [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE]
    if "{" in endpoint.path:
        found.append(HTTPStatus.NOT_FOUND)
    if endpoint.max_body:
        found += [HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE]
    if endpoint.limit is not None:
        found.append(HTTPStatus.TOO_MANY_REQUESTS)
    if endpoint.service is not Service.GATEWAY:
        found += [HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT]
    elif endpoint.method != "GET":
        found.append(HTTPStatus.GATEWAY_TIMEOUT)  # nobody knows whether it was done
    return sorted({*found, *map(HTTPStatus, endpoint.failures)})
