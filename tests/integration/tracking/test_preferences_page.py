"""The preferences page on tracking-service's own port: by hand, and by a browser without script."""

import html
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from postmeter.shared.apis.privacy.preferences import PREFERENCES_PATH
from postmeter.shared.stream.records import Consent
from postmeter.tracking.html.instrumentation import Instrument
from postmeter.tracking.preferences.texts import TEXTS, VERSION, wanted_language
from tests import browser as browsers
from tests.acceptance.dashboard_visits import AXE, RULES, barriers_of
from tests.integration.tracking_service import FOREIGN_KEYS, KEYS, WORKSPACE, Service, new_message, once
from tests.integration.tracking_writes import MESSAGE


@pytest.fixture(scope="module")
def service(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("preferences")
    running = Service(redis_server, folder / "spool")
    yield running
    assert running.terminate() == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsers.running() as running:
        yield running


def ask(service: Service, path: str, body: bytes | None = None, /, **headers: str) -> tuple[int, Any, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{service.port}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, html.unescape(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.code, error.headers, html.unescape(error.read().decode())


def target(message: bytes) -> str:
    url = urllib.parse.urlsplit(Instrument(KEYS, "http://t.example.net").preferences_url(WORKSPACE, message))
    assert url.path.startswith(PREFERENCES_PATH)
    return url.path


def chosen(service: Service, message: bytes) -> list[Consent]:
    return [one for one in once(service.redis_url) if isinstance(one, Consent) and one.message == message]


def test_to_look_changes_nothing_and_to_choose_does(service: Service) -> None:
    message = new_message()
    for _ in range(3):
        status, headers, text = ask(service, target(message))
        assert status == 200
    assert "checked" not in text, "nothing is chosen beforehand"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Set-Cookie" not in headers
    assert "<script" not in text
    assert chosen(service, message) == []
    status, _, text = ask(service, target(message) + "?lang=it", b"opens=denied&clicks=granted")
    assert status == 200
    assert TEXTS["it"].saved in text
    assert TEXTS["it"].forgotten in text, "said to everybody, known or not"
    (one,) = chosen(service, message)
    assert (one.opens, one.clicks, one.to_hash, one.by) == (2, 1, "", "recipient")
    assert (one.method, one.text_version) == ("preferences_page", f"{VERSION}/it")
    status, _, _ = ask(service, target(message), b"clicks=denied")
    assert status == 200
    assert (chosen(service, message)[1].opens, chosen(service, message)[1].clicks) == (None, 2)


@pytest.mark.parametrize("body", [b"opens=denied&opens=granted", b"opens=granted&opens=denied&clicks=x"])
def test_a_form_that_says_both_refuses(service: Service, body: bytes) -> None:
    message = new_message()
    assert ask(service, target(message), body)[0] == 200
    (one,) = chosen(service, message)
    assert (one.opens, one.clicks) == (2, None)


def test_registration_hands_out_the_address_and_no_link_to_it_is_tracked(service: Service) -> None:
    made = service.post("/v1/messages", MESSAGE, service.principal()).json()["data"]
    page = urllib.parse.urlsplit(made["preferences_url"]).path
    assert page == target(uuid.UUID(made["id"]).bytes)
    assert ask(service, page)[0] == 200
    mail = {"id": made["id"], "html": f'<a href="{made["preferences_url"]}">Privacy</a>'}
    again = service.post("/v1/messages", MESSAGE | mail, service.principal()).json()["data"]
    assert (again["links"], again["untracked"][0]["reason"]) == ([], "ours")


@pytest.mark.parametrize(
    "body",
    [b"", b"opens=", b"opens=unknown", b"opens=allow&clicks=\xff", b"List-Unsubscribe=One-Click", b"&" * 9000, b"{}"],
)
def test_a_form_without_a_choice_saves_nothing(service: Service, body: bytes) -> None:
    message = new_message()
    status, _, text = ask(service, target(message), body)
    assert status == 400
    assert TEXTS["en"].nothing in text
    assert chosen(service, message) == []


def test_other_links_are_not_this_one(service: Service) -> None:
    message = new_message()
    tokens = (
        FOREIGN_KEYS.sign_preferences(WORKSPACE, message),
        KEYS.sign_unsubscribe(WORKSPACE, message),
        KEYS.sign_open(WORKSPACE, message),
        "x",
        "x" * 5000,
        "%00",
    )
    for token in tokens:
        for body in (None, b"opens=denied"):
            status, _, text = ask(service, PREFERENCES_PATH + token, body, **{"Accept-Language": "es"})
            assert (status, TEXTS["es"].broken in text, "<form" in text) == (404, True, False)
    assert chosen(service, message) == []


@pytest.mark.parametrize("language", TEXTS)
def test_each_language_says_everything(service: Service, language: str) -> None:
    message = new_message()
    status, headers, text = ask(service, target(message), **{"Accept-Language": f"xx, {language}-CH;q=0.9, en;q=0.1"})
    texts = TEXTS[language]
    assert (status, headers["Content-Language"]) == (200, language)
    assert f'<html lang="{language}">' in text
    for said in (texts.title, texts.intro, texts.before, texts.opens, texts.clicks, texts.allow, texts.refuse):
        assert said in text
    for other, words in TEXTS.items():
        assert f'lang="{other}" hreflang="{other}"' in text
        assert words.name in text
        if other != language:
            assert not {getattr(words, name) for name in ("title", "intro", "saved", "broken")} & {
                getattr(texts, name) for name in ("title", "intro", "saved", "broken")
            }


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "en"),
        ("ja", "en"),
        ("de", "de"),
        ("DE-at", "de"),
        ("ja, fr;q=0.5, it;q=0.8", "it"),
        ("de;q=0, fr;q=0.1", "fr"),
        ("fr;q=x, es", "es"),
        ("fr;q=0.5,es;q=0.5", "fr"),
        (";;,,=", "en"),
        ("ja," * 5000 + "de", "en"),
        ("de;q=" + "9" * 5000 + ",fr", "fr"),
    ],
)
def test_the_most_wanted_language_is_taken(header: str, expected: str) -> None:
    assert wanted_language(header, TEXTS, "en") == expected


def barriers(browser: Browser, url: str, language: str, scheme: Any) -> list[Any]:
    context = browser.new_context(locale=language, color_scheme=scheme, bypass_csp=True)
    try:
        page = context.new_page()
        page.goto(url)
        page.get_by_label(TEXTS[language].refuse).first.check()
        page.get_by_role("button").click()
        expect(page.get_by_role("status")).to_be_visible()
        page.evaluate(AXE)
        return barriers_of(page, {"type": "tag", "values": [*RULES, "best-practice"]})
    finally:
        context.close()


def test_a_reader_without_script_chooses_by_keyboard(service: Service, browser: Browser) -> None:
    message = new_message()
    context = browser.new_context(locale="de-DE", java_script_enabled=False, viewport={"width": 320, "height": 640})
    page: Page = context.new_page()
    page.goto(f"http://127.0.0.1:{service.port}{target(message)}")
    texts = TEXTS["de"]
    expect(page.get_by_role("heading", level=1)).to_have_text(texts.title)
    expect(page.get_by_role("radio", checked=True)).to_have_count(0)
    questions = [page.get_by_role("group", name=name) for name in (texts.opens, texts.clicks)]
    questions[0].get_by_label(texts.refuse).focus()
    page.keyboard.press("Space")
    questions[1].get_by_label(texts.allow).focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    told = page.get_by_role("status")
    expect(told).to_contain_text(f"{texts.opens}: {texts.refused}")
    expect(told).to_contain_text(f"{texts.clicks}: {texts.allowed}")
    expect(questions[0].get_by_label(texts.refuse)).to_be_checked()
    expect(questions[1].get_by_label(texts.allow)).to_be_checked()
    page.get_by_role("link", name="Français").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(TEXTS["fr"].title)
    assert context.cookies() == []
    context.close()
    (one,) = chosen(service, message)
    assert (one.opens, one.clicks, one.text_version) == (2, 1, f"{VERSION}/de")


@pytest.mark.parametrize("language", TEXTS)
def test_nothing_stands_in_anybody_s_way(service: Service, browser: Browser, language: str) -> None:
    url = f"http://127.0.0.1:{service.port}{target(new_message())}"
    assert barriers(browser, url, language, "dark" if language == "en" else "light") == []
