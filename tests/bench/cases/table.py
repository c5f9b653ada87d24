"""The example requests of every read endpoint."""

from __future__ import annotations

from postmeter.shared.apis.endpoint import Service
from postmeter.shared.apis.table import ENDPOINTS
from tests.bench.cases import krafter, misar, native, optail, vectis, workspaces
from tests.bench.cases.case import Case
from tests.bench.dataset import Dataset

LEFT_OUT = {
    ("GET", "/v1/live"): "a stream without an end",
    ("GET", "/v1/workspace"): "the workspace's name and zone; reads no events",
    ("GET", "/v1/domains"): "reads no events",
    ("GET", "/v1/audit"): "who changed what; reads no events",
    ("GET", "/v1/recipients/consent"): "one recipient's choices; reads no events",
    ("GET", "/v1/exports"): "the latest jobs; reads no events",
    ("GET", workspaces.BASE + "/analytics/exports/{exportId}"): "says how far a job is; reads no events",
    ("GET", workspaces.BASE + "/analytics/exports/{exportId}/download"): "sends a file",
}
"""Read endpoints without a request, and why."""


def cases(data: Dataset) -> list[Case]:
    """All requests; what depends on the data set is filled in.

    Raises SystemExit that names every read endpoint without a request, and every request without an endpoint.
    """
    found = [
        *vectis.cases(),
        *optail.cases(data),
        *workspaces.cases(data),
        *misar.cases(data),
        *krafter.cases(),
        *native.cases(data.message),
    ]
    reads = {
        (endpoint.method, endpoint.path)
        for endpoint in ENDPOINTS
        if endpoint.service is Service.QUERY and (endpoint.method == "GET" or endpoint.repeatable)
    }
    asked = {case.endpoint for case in found}
    missing, unknown = sorted(reads - asked - LEFT_OUT.keys()), sorted(asked - reads)
    if missing or unknown:
        raise SystemExit(f"read endpoints without a request: {missing}; requests without an endpoint: {unknown}")
    return found
