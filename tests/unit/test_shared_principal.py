"""The sealed principal between gateway and services (ADR 0007)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared import principal as p
from postmeter.shared import sealed, sources
from postmeter.shared.errors import RequestError
from postmeter.shared.secret import Secret

SECRET = Secret("one")
WHO = p.Principal(key_id="k", workspace=7, workspace_id="w", role="member", scopes=["track"], domains=["a.example"])


def test_what_is_sealed_comes_back() -> None:
    opened = p.unseal(p.seal(WHO, SECRET), SECRET)
    assert (opened.workspace, opened.role, opened.scopes, opened.domains) == (7, "member", ["track"], ["a.example"])


def refused(header: str | None, secret: Secret = SECRET) -> bool:
    with pytest.raises(RequestError) as caught:
        p.unseal(header, secret)
    return caught.value.status == 401


@given(st.one_of(st.none(), st.text(), st.binary().map(lambda b: base64.urlsafe_b64encode(b).decode() + ".AAAA")))
def test_anything_else_is_refused(header: str | None) -> None:
    assert refused(header)


def test_another_deployment_is_refused() -> None:
    assert refused(p.seal(WHO, Secret("two")))


def test_a_changed_body_is_refused() -> None:
    body, _, mac = p.seal(WHO, SECRET).partition(".")
    changed = base64.urlsafe_b64encode(base64.urlsafe_b64decode(body).replace(b'"workspace":7', b'"workspace":8'))
    assert refused(f"{changed.decode()}.{mac}")


def test_an_old_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    header = p.seal(WHO, SECRET)
    later = sealed.time.time() + sealed.LIFETIME + 2
    monkeypatch.setattr(sealed.time, "time", lambda: later)
    assert refused(header)


def test_a_header_of_another_kind_is_refused() -> None:
    source = sources.Source(id="src_x", workspace=7, provider="ses", secret="", options={})
    assert refused(sealed.seal(source, SECRET))
