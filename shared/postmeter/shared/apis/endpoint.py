"""What one route is: the row of the endpoint table."""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import Annotated, Any

import msgspec

from postmeter.shared.apis.codes import Code
from postmeter.shared.apis.document import NATIVE, Document


class Service(StrEnum):
    """Who answers behind the gateway. GATEWAY: the gateway itself."""

    GATEWAY = "gateway"
    TRACKING = "tracking"
    QUERY = "query"


class Limit(StrEnum):
    """Classes of endpoints that share a limit per minute and workspace; settings give the numbers."""

    READ = "read"
    WRITE = "write"
    CAMPAIGN = "campaign"
    OVERVIEW = "overview"
    DELIVERABILITY = "deliverability"
    EXPORT = "export"


class Caching(Enum):
    """How long a good answer of query-service may be kept: until its workspace's version changes, or the clock passes
    what the answer depends on (ADR 0046).
    """

    NEVER = auto()
    """No version tells that it changes, or the request does something."""
    UNTIL_CHANGED = auto()
    BY_DAY = auto()
    BY_QUARTER_HOUR = auto()
    BY_SECOND = auto()
    BY_SECOND_WITHOUT_RANGE = auto()
    """By the second, unless the query, or the body of a POST, has both `from` and `to`."""


ANY_MEDIA = "*/*"
"""Among an endpoint's media types: the body is read as what it is, not as what it is called."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One route. `path` is in aiohttp's form; `roles` empty means any role. `scope` None means any caller, and where
    there is no limit either anybody at all.

    limit: the class that it is limited by; None: not limited. timeout: seconds that the gateway waits for the
    service. max_body: bytes, after inflation; 0: no body. body_media: what media types the body may have.
    repeatable: a POST that changes nothing. parameters, body, answer: the msgspec structs of the query string, the
    body and the good answer (`status`), from which the OpenAPI document is made; answer None: no JSON, but `media`.
    failures: statuses of errors to expect beside those that follow from the rest. streams: the answer goes on until one
    side ends it; timeout: seconds without a byte of it. caching: of a row of query-service. wrong_value: status and
    code of an error that names a field, where not the document's own.
    """

    method: str
    path: str
    document: Document
    service: Service
    summary: str
    scope: str | None = None
    roles: tuple[str, ...] = ()
    limit: Limit | None = None
    timeout: float = 10.0
    max_body: int = 0
    body_media: tuple[str, ...] = ("application/json",)
    repeatable: bool = False
    parameters: Any = None
    body: Any = None
    answer: Any = None
    status: int = 200
    media: str = "application/json"
    failures: tuple[int, ...] = ()
    streams: bool = False
    caching: Caching | None = None
    wrong_value: tuple[int, Code] | None = None

    @property
    def has_tag(self) -> bool:
        """Whether its successful answer has an ETag, and a client that has it already gets 304."""
        return self.method == "GET" and self.caching not in (None, Caching.NEVER)

    @property
    def refusal(self) -> tuple[int, Code]:
        """Status and code for a value that is wrong: the documents have one code for whatever a caller sends."""
        return self.wrong_value or (400, self.document.wrong_value)

    @property
    def is_public(self) -> bool:
        """Whether no caller is asked for."""
        return self.scope is None and self.limit is None


def one_of(*values: str) -> msgspec.Meta:
    """Says in the OpenAPI document which values a text takes; its reader checks that, with an error of its own."""
    return msgspec.Meta(extra_json_schema={"enum": list(values)})


def described(text: str, **schema: Any) -> msgspec.Meta:
    """Describes a field in the OpenAPI document."""
    return msgspec.Meta(description=text, extra_json_schema=schema or None)


READ_LATER = "x-read-later"
"""By this name a schema says which struct stands there; the OpenAPI document has that struct's in its place."""
READ_LATER_STRUCTS: dict[str, Any] = {}
"""These structs, by what schemas call them."""


def read_later(kind: Any) -> msgspec.Meta:
    """Says of a msgspec.Raw which struct it is: each is decoded apart, so that a bad one is told by itself."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    READ_LATER_STRUCTS[name] = kind
    return msgspec.Meta(extra_json_schema={READ_LATER: name})


Timestamp = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
Day = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date"})]


def native(method: str, path: str, summary: str, answer: Any = None, **rest: Any) -> Endpoint:
    """A row of the native API: limited as a read if it is a GET, else as a write, unless `limit` is given."""
    rest.setdefault("limit", Limit.READ if method == "GET" else Limit.WRITE)
    return Endpoint(method=method, path=path, document=NATIVE, summary=summary, answer=answer, **rest)
