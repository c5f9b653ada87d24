"""The ways to the dashboard and out of it, and what a new workspace is told."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Route, expect

from tests.acceptance.dashboard_visits import Visit, Visiting
from tests.acceptance.told_history import MARKUP, ToldHistory
from tests.browser import PATIENCE


def test_whoever_was_signed_out_is_asked_to_sign_in_again(world: ToldHistory, visiting: Visiting) -> None:
    visit = visiting()
    # All that Refresh asks for is refused, and the last of it may be told of after the page is gone.
    visit.expected = r"status of 401 .* /v1/"
    page = visit.to("/campaigns?period=90d")
    assert page.evaluate("fetch('/session', {method: 'DELETE'}).then((answer) => answer.status)") == 204
    page.get_by_role("button", name="Refresh").click()
    expect(page).to_have_url(re.compile(r"/login\?next=%2Fcampaigns%3Fperiod%3D90d"))
    page.get_by_label("Password").wait_for()


def test_who_signs_out_leaves_once_whatever_is_refused_meanwhile(world: ToldHistory, visiting: Visiting) -> None:
    visit = visiting()
    visit.expected = r"status of 401 .* /v1/"
    page = visit.to("/campaigns")
    held: list[Route] = []
    page.route("**/session", lambda route: held.append(route))
    with page.expect_request("**/session"):
        page.get_by_role("button", name="Sign out").click()
    assert page.context.request.delete(world.url + "/session").status == 204
    with page.expect_response("**/v1/query") as refused:
        page.get_by_role("button", name="Refresh").click()
    assert refused.value.status == 401
    expect(page.get_by_role("alert")).to_be_visible()
    assert urlsplit(page.url).path == "/campaigns"
    held[0].fulfill(status=204)
    expect(page).to_have_url(world.url + "/login")


def test_a_workspace_without_mail_is_told_how_to_begin(world: ToldHistory, browser: Browser) -> None:
    command(world, "workspace", "create", "new", "--name", "New", "--timezone", "Asia/Kathmandu")
    key = command(world, "key", "create", "--workspace", "new", "--role", "member", "--scope", "analytics").split()[-1]
    context = browser.new_context(locale="en-GB")
    context.request.post(world.url + "/session", data={"api_key": key})
    visit = Visit(world.url, context.new_page())
    assert "/v1/messages" in visit.to("/").locator(".empty code").inner_text()
    assert "Asia/Kathmandu" in visit.page.locator(".title").inner_text()
    assert "/v1/campaigns/" in visit.to("/campaigns").locator(".empty code").inner_text()
    visit.was_quiet()
    context.close()


def command(world: ToldHistory, *words: str) -> str:
    program = [str(Path(sys.executable).with_name("postmeter")), *words, "--data", str(world.product.data)]
    return subprocess.run(program, check=True, capture_output=True, text=True).stdout


def test_an_identity_provider_is_offered_and_what_became_of_it_is_told(world: ToldHistory, browser: Browser) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    ways = {"data": {"oidc": {"label": MARKUP, "path": "/session/oidc"}}}
    page.route("**/session/ways", lambda route: route.fulfill(json=ways))
    page.goto(world.url + "/login?next=/campaigns/june#oidc=unknown")
    expect(page.get_by_role("alert")).to_contain_text("Nobody was invited")
    page.get_by_role("link", name=f"Sign in with {MARKUP}").click()
    # No provider is configured here, so the gateway sends the browser straight back.
    expect(page.get_by_role("alert")).to_contain_text("No provider is set up here.")
    # As if the provider had vouched for somebody: the callback leads to /, where they came from is not forgotten.
    context.request.post(world.url + "/session", data={"api_key": world.product.ready["api_key"]})
    page.goto(world.url + "/")
    expect(page.locator("h1")).to_have_text("June news")
    context.close()


def test_a_one_time_link_signs_in_by_a_button(world: ToldHistory, browser: Browser) -> None:
    link = world.product.ready["dashboard"]
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(link)
    page.get_by_role("button", name="Sign in").wait_for()
    expect(page.locator("main")).to_contain_text("For admin@localhost")
    assert context.cookies() == []  # to look at the page is not to use the link
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("h1")).to_have_text("Overview")
    page.goto("about:blank")
    page.goto(link)
    expect(page.get_by_role("alert")).to_contain_text("does not work any more")
    expect(page.get_by_role("button")).to_have_count(0)
    context.close()


def test_who_is_not_signed_in_comes_back_to_where_it_was(world: ToldHistory, browser: Browser) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(world.url + "/campaigns/june?who=people")
    expect(page).to_have_url(re.compile("/login"))
    page.get_by_text("Sign in with an API key").click()
    page.get_by_label("API key").fill("pm_nothing")
    page.locator("details").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not known")
    page.get_by_label("API key").fill(world.product.ready["api_key"])
    page.locator("details").get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/campaigns/june\\?who=people"))
    expect(page.locator("h1")).to_have_text("June news")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/login"))
    page.go_back()
    expect(page).to_have_url(re.compile("/login"))
    page.goto(world.url + "/login?next=//evil.example/")
    assert page.evaluate("location.host") == urlsplit(world.url).netloc
    context.close()
