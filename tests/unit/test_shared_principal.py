"""The sealed headers between gateway and services (ADR 0007, 0029)."""

import base64
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.auth import api_keys, principal, sealed
from postmeter.shared.auth.principal import Principal, authorize
from postmeter.shared.auth.sealed import LIFETIME, TOLERANCE, Seals
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError
from postmeter.shared.http import refusals
from postmeter.shared.storage import sources

SECRET = Secret("one")
WHO = Principal(key_id="k", workspace=7, workspace_id="w", role="member", scopes=["track"], domains=["a.example"])
REQUEST = ("POST", "/v1/events?a=1")


def header(method: str = REQUEST[0], target: str = REQUEST[1], secret: Secret = SECRET) -> str:
    return sealed.seal(principal.HEADER, WHO, secret, method, target)


def opened(
    value: str | None, method: str = REQUEST[0], target: str = REQUEST[1], seals: Seals | None = None, **options: Any
) -> Principal:
    headers = {} if value is None else {principal.HEADER: value}
    return (seals or Seals(SECRET)).open(principal.HEADER, Principal, headers, method, target, **options)


def refused(value: str | None, method: str = REQUEST[0], target: str = REQUEST[1], seals: Seals | None = None) -> bool:
    with pytest.raises(RequestError) as caught:
        opened(value, method, target, seals)
    return caught.value.status == 401


@given(st.sampled_from(["GET", "POST"]), st.text(st.characters(exclude_characters="\0")))
def test_what_is_sealed_for_a_request_comes_back_with_it(method: str, target: str) -> None:
    target = target.encode("utf-8", "replace").decode()
    assert opened(header(method, target), method, target) == WHO


def _anything(body: bytes) -> str:
    return f"{sealed.VERSION}.{base64.urlsafe_b64encode(body).decode()}.AAAA"


@given(st.one_of(st.none(), st.text(), st.binary().map(_anything)))
def test_anything_else_is_refused(value: str | None) -> None:
    assert refused(value)


def test_another_deployment_is_refused() -> None:
    assert refused(header(secret=Secret("two")))


@given(st.data())
def test_a_changed_character_is_refused(data: st.DataObject) -> None:
    value = header()
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.characters(categories=["L", "N"]).filter(lambda c: c != value[at]))
    changed = value[:at] + other + value[at + 1 :]
    # The last character before padding has bits that mean nothing.
    if value[at + 1 : at + 2] != "=":
        assert refused(changed)


@pytest.mark.parametrize(
    "request_", [("GET", REQUEST[1]), ("POST", "/v1/events"), ("POST", "/v1/messages?a=1"), ("POST", "/v1/events?a=2")]
)
def test_of_another_request_it_is_refused(request_: tuple[str, str]) -> None:
    assert refused(header(), *request_)


def test_parts_of_a_request_do_not_run_into_each_other() -> None:
    assert refused(header("POST", "/a"), "POS", "T/a")


def test_it_is_good_for_its_time_and_for_no_longer_one() -> None:
    made = time.time()
    value = header()
    assert opened(value, seals=Seals(SECRET, lambda: made + LIFETIME - 1)) == WHO
    assert refused(value, seals=Seals(SECRET, lambda: made + LIFETIME + 1))
    assert opened(value, seals=Seals(SECRET, lambda: made - TOLERANCE)) == WHO
    assert refused(value, seals=Seals(SECRET, lambda: made - TOLERANCE - 2)), "good for longer than any is"


def test_a_write_is_taken_once_and_a_read_again() -> None:
    seals, write, read = Seals(SECRET), header(), header("GET", "/v1/campaigns")
    assert opened(write, seals=seals) == WHO
    assert refused(write, seals=seals)
    assert opened(header(), seals=seals) == WHO, "the same request asked anew"
    for _ in range(2):
        assert opened(read, "GET", "/v1/campaigns", seals=seals) == WHO
        assert opened(other := header(), seals=seals, repeatable=True) == opened(other, seals=seals, repeatable=True)
    assert refused(write, seals=seals), "after others, too"


def test_what_was_spent_is_forgotten_when_it_is_worth_nothing() -> None:
    now = time.time()
    seals = Seals(SECRET, lambda: now)
    for _ in range(100):
        opened(header(), seals=seals)
    now += LIFETIME + 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: now)
        opened(header(), seals=seals)
    assert len(seals._spent) == 1


@pytest.mark.parametrize(
    ("role", "domains", "confined_to"),
    [
        ("admin", None, None),
        ("member", ["B.example", "a.example", "b.example"], ("a.example", "b.example")),
        ("domain_admin", ["a.example"], ("a.example",)),
        ("domain_admin", None, ()),
        ("domain_admin", [], ()),
    ],
)
def test_who_is_confined_sees_his_domains_and_without_any_nothing(
    role: str, domains: list[str] | None, confined_to: tuple[str, ...] | None
) -> None:
    assert structs.replace(WHO, role=role, domains=domains).confined_to == confined_to


def test_a_scope_alone_is_not_enough_where_a_row_names_roles() -> None:
    endpoint = next(one for one in ENDPOINTS if one.roles and one.scope == "track")
    authorize(endpoint, structs.replace(WHO, role=endpoint.roles[0]))
    for who in (structs.replace(WHO, role="domain_admin"), structs.replace(WHO, role=endpoint.roles[0], scopes=[])):
        with pytest.raises(RequestError) as caught:
            authorize(endpoint, who)
        assert caught.value.status == 403


def test_a_header_of_another_kind_is_refused() -> None:
    source = sources.SealedSource(id="src_x", workspace=7, provider="ses", secret="", options={})
    assert refused(sealed.seal(sources.HEADER, source, SECRET, *REQUEST))
    # Not by its form: a source's header holds whatever it likes.
    assert refused(sealed.seal(sources.HEADER, WHO, SECRET, *REQUEST))


@pytest.mark.parametrize("size", [1, 20, 253])
def test_whoever_is_confined_to_many_domains_fits_into_a_head(size: int) -> None:
    """Else whatever a key asks of tracking-service is a 431."""
    most = principal.DOMAINS_CHARS // (size + 3)
    domains = ["d" * size] * most
    assert principal.fits(domains)
    assert not principal.fits([*domains, "d" * size])
    who = structs.replace(WHO, domains=domains, scopes=list(api_keys.SCOPES), request_id="r" * 64)
    assert len(sealed.seal(principal.HEADER, who, SECRET, *REQUEST)) < refusals.FIELDS_LIMIT - 12_000
