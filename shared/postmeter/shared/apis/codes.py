"""Error codes: a closed list; docs/api/errors.md says what each means.

Those that a published document names keep its names.
"""

from __future__ import annotations

from typing import Literal, get_args

Code = Literal[
    "BAD_GATEWAY",
    "BAD_REQUEST",
    "CAMPAIGN_NOT_FOUND",
    "CONFLICT",
    "DOMAIN_NOT_FOUND",
    "EXPECTATION_FAILED",
    "EXPORT_FAILED",
    "EXPORT_NOT_FOUND",
    "EXPORT_TOO_LARGE",
    "FORBIDDEN",
    "GATEWAY_TIMEOUT",
    "HEADERS_TOO_LARGE",
    "IDEMPOTENCY_CONFLICT",
    "INTERNAL_ERROR",
    "INVALID_BODY",
    "INVALID_CURSOR",
    "INVALID_DOMAIN_ID",
    "INVALID_FIELD",
    "INVALID_GRANULARITY",
    "INVALID_JSON",
    "INVALID_LINK",
    "INVALID_PARAMETER",
    "INVALID_PERIOD",
    "INVALID_TIME_RANGE",
    "LINK_EXPIRED",
    "METHOD_NOT_ALLOWED",
    "NOT_FOUND",
    "ORDER_CONFLICT",
    "PAYLOAD_TOO_LARGE",
    "QUERY_TIMEOUT",
    "RATE_LIMITED",
    "REQUEST_TIMEOUT",
    "RESULT_TOO_LARGE",
    "TOO_MANY_CONNECTIONS",
    "TOO_MANY_EXPORTS",
    "TOO_MANY_ITEMS",
    "TOO_MANY_LINKS",
    "TOO_MANY_SENDING_IPS",
    "TOO_MANY_SOURCES",
    "UNAUTHORIZED",
    "UNAVAILABLE",
    "UNREADABLE",
    "UNSUPPORTED_MEDIA_TYPE",
    "URI_TOO_LONG",
    "WEBHOOK_REFUSED",
    "WORKSPACE_NOT_FOUND",
]
CODES: tuple[Code, ...] = get_args(Code)
