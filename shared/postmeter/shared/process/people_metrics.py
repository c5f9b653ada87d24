"""Metrics of people who sign in; see metrics.py."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from postmeter.shared.process.metrics import counter

WAYS = ("password", "link", "api_key", "oidc")


class PeopleMetrics:
    """gateway."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.sign_ins = counter(
            to, "postmeter_sign_ins_total",
            "Tries to sign in, by way (password, link, api_key, oidc) and outcome: signed_in; refused (wrong, used,"
            " closed); limited (too many tries of the account or the address); unavailable (too many at once, or a"
            " store or provider that does not answer).",
            way=WAYS, outcome=("signed_in", "refused", "limited", "unavailable"),
        )  # fmt: skip
