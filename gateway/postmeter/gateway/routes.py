"""The endpoint table as a router: raw path and method to endpoint, nothing decoded, nothing normalised."""

from __future__ import annotations

import re

from postmeter.shared.endpoints import ENDPOINTS, Endpoint
from postmeter.shared.errors import RequestError


class Routes:
    """Which endpoint a request is for."""

    def __init__(self, endpoints: tuple[Endpoint, ...] = ENDPOINTS) -> None:
        self._exact: dict[str, dict[str, Endpoint]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Endpoint]]] = []
        patterns: dict[str, dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            table = patterns if "{" in endpoint.path else self._exact
            table.setdefault(endpoint.path, {})[endpoint.method] = endpoint
        for path, methods in patterns.items():
            parts = re.split(r"\{\w+\}", path)
            self._patterns.append((re.compile("[^/]+".join(map(re.escape, parts))), methods))

    def find(self, method: str, path: str) -> Endpoint:
        """The endpoint; HEAD goes where GET goes. Raises RequestError 404 or 405."""
        methods = self._exact.get(path)
        if methods is None:
            methods = next((found for pattern, found in self._patterns if pattern.fullmatch(path)), None)
        if methods is None:
            raise RequestError(404, "NOT_FOUND", "There is nothing at this path.")
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            allowed = ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
            raise RequestError(405, "METHOD_NOT_ALLOWED", f"This path takes {allowed}.", None, {"Allow": allowed})
        return endpoint
