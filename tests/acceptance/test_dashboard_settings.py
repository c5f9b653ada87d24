"""The dashboard's Settings in a real Chromium: what is done there the API sees, and nothing is offered in vain."""

import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.acceptance.dashboard_visits import AXE, FOREIGN, RULES, barriers_of, until_focused
from tests.acceptance.settings_visits import ALL, PASSWORD, SettingsVisits, of, said, secret, setting, unfold
from tests.acceptance.told_history import HOSTILE, MARKUP
from tests.product import PATIENCE, Product, running, wait_for


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("settings")) as product:
        yield product


@pytest.fixture
def office(product: Product, browser: Browser) -> Iterator[SettingsVisits]:
    made = SettingsVisits(product, browser)
    yield made
    made.close()


def test_a_key_is_made_shown_once_and_revoked(office: SettingsVisits) -> None:
    page = office.page()
    keys = setting(page, "API keys")
    form = unfold(keys, "New key")
    form.get_by_label("Name").fill("nightly report")
    form.get_by_label("Role").select_option("member")
    form.get_by_label("send and track").check()
    form.get_by_role("button", name="Make the key").click()
    key = secret(keys, "Key")
    assert office.ask("GET", "/v1/workspace", key=key)["id"] == office.product.ready["workspace"]
    (made,) = [one for one in office.ask("GET", "/v1/keys") if one["name"] == "nightly report"]
    assert (made["role"], sorted(made["scopes"])) == ("member", ["analytics", "track"])
    assert key not in page.url
    assert key not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, history.state])")
    keys.get_by_role("button", name="I have it").click()
    assert key not in page.content()
    keys.get_by_role("button", name="Revoke: nightly report").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("is refused (401) within seconds")
    dialog.get_by_role("button", name="Leave it as it is").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert made in office.ask("GET", "/v1/keys")
    keys.get_by_role("button", name="Revoke: nightly report").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(said(keys)).to_have_text("“nightly report” is revoked.")
    expect(said(keys)).to_be_focused()
    assert made not in office.ask("GET", "/v1/keys")
    expect(keys.get_by_role("button", name="Revoke: nightly report")).to_have_count(0)


def test_what_is_wrong_stands_at_its_field(office: SettingsVisits) -> None:
    page = office.page()
    keys = setting(page, "API keys")
    form = unfold(keys, "New key")
    form.get_by_label("Role").select_option("domain_admin")
    form.get_by_label("Domains").fill("not_a domain!")
    form.get_by_role("button", name="Make the key").click()
    expect(form.get_by_label("Domains")).to_be_focused()
    expect(form.get_by_label("Domains")).to_have_accessible_description(re.compile("not a domain name"))
    expect(form.get_by_label("Domains")).to_have_value("not_a domain!")
    form.get_by_label("read numbers").uncheck()
    form.get_by_role("button", name="Make the key").click()
    expect(form.locator("fieldset .wrong")).to_have_text("Choose at least one.")
    users = setting(page, "Users")
    form = unfold(users, "Invite somebody")
    form.get_by_role("button", name="Make the invitation").click()
    expect(form.get_by_label("Email")).to_be_focused()
    assert form.get_by_label("Email").evaluate("field => field.validity.valueMissing")  # which the browser says
    form.get_by_label("Email").fill("nobody")
    form.get_by_role("button", name="Make the invitation").click()
    expect(form.get_by_label("Email")).to_have_accessible_description(re.compile("'nobody' is not an email address"))
    ips = setting(page, "Sending IPs")
    form = unfold(ips, "Add IPs")
    form.get_by_label("Public addresses").fill("9.9.9.9, 10.0.0.1")
    form.get_by_role("button", name="Add").click()
    expect(form.get_by_label("Public addresses")).to_have_accessible_description(re.compile("'10.0.0.1' is not public"))
    verdicts = setting(page, "Scanners’ clicks")
    verdicts.get_by_label("Different links of a burst").fill("1")
    verdicts.get_by_role("button", name="Save").click()
    expect(verdicts.get_by_label("Different links of a burst")).to_be_focused()
    expect(verdicts.locator(".wrong")).to_contain_text("2 to 100, or 0")
    expect(verdicts.get_by_label("Different links of a burst")).to_have_value("1")
    assert office.ask("GET", "/v1/sending-ips") == []


def test_somebody_is_invited_changed_kept_out_and_removed(office: SettingsVisits) -> None:
    page = office.page()
    users = setting(page, "Users")
    form = unfold(users, "Invite somebody")
    form.get_by_label("Email").fill("Bob@Shop.example")
    form.get_by_label("Domains").fill("shop.example, news.shop.example")
    form.get_by_role("button", name="Make the invitation").click()
    link = secret(users, "Link")
    comes = {"link": link.partition("=")[2], "password": PASSWORD}
    assert (
        requests.post(office.url + "/session", json=comes, headers={"Origin": office.url}, timeout=60).status_code
        == 204
    )
    bob = of(office, "bob@shop.example")
    assert (bob["role"], bob["domains"]) == ("viewer", ["news.shop.example", "shop.example"])
    users.get_by_role("button", name="Change: bob@shop.example").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Role").select_option("member")
    dialog.get_by_label("Domains").fill("")
    dialog.get_by_role("button", name="Save").click()
    expect(said(users)).to_have_text("bob@shop.example is changed.")
    bob = of(office, "bob@shop.example")
    assert (bob["role"], bob["domains"]) == ("member", None)
    users.get_by_role("button", name="Password link: bob@shop.example").click()
    expect(users.locator(".secret")).to_contain_text("asks for a new password")
    assert secret(users, "Link").partition("=")[2] != comes["link"]
    users.get_by_role("button", name="Disable: bob@shop.example").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(said(users)).to_have_text("bob@shop.example is disabled.")
    assert of(office, "bob@shop.example")["disabled"]
    users.get_by_role("button", name="Enable: bob@shop.example").click()
    expect(said(users)).to_have_text("bob@shop.example may come in again.")
    assert not of(office, "bob@shop.example")["disabled"]
    users.get_by_role("button", name="Remove: bob@shop.example").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(said(users)).to_have_text("bob@shop.example is removed.")
    assert "bob@shop.example" not in [one["email"] for one in office.ask("GET", "/v1/users")]


def test_a_webhook_is_made_tells_what_it_brought_and_is_revoked(office: SettingsVisits) -> None:
    page = office.page()
    sources = setting(page, "Webhooks")
    form = unfold(sources, "New webhook")
    form.get_by_label("Name").fill("shop")
    form.get_by_role("button", name="Make the webhook").click()
    url, password = secret(sources, "URL for the provider’s webhook"), secret(sources, "Secret")
    told = requests.post(url, json={"Email": "somebody@person.example"}, auth=("postmeter", password), timeout=60)
    assert told.status_code == 200, told.text
    assert requests.post(url, json={}, auth=("postmeter", "other"), timeout=60).status_code == 401
    page.reload()
    expect(sources).to_contain_text("Last error")
    assert password not in page.content()
    sources.get_by_role("button", name="What it brought: Postmark · shop").click()
    expect(page).to_have_url(re.compile("source=src_"))
    expect(sources.locator(".detail")).to_contain_text("it does not say what happened")
    expect(sources.locator(".detail")).to_contain_text("user name and password")
    assert "somebody@" not in sources.inner_text()
    sources.get_by_role("button", name="Change: Postmark · shop").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("the shop")
    dialog.get_by_label("Whose opens and clicks count").select_option("provider")
    dialog.get_by_label("Make a new secret").check()
    dialog.get_by_role("button", name="Save").click()
    assert secret(sources, "Secret") not in ("", password)
    (source,) = office.ask("GET", "/v1/sources")
    assert (source["name"], source["engagement"]) == ("the shop", "provider")
    sources.get_by_role("button", name="Revoke: Postmark · the shop").click()
    expect(page.get_by_role("dialog")).to_contain_text("Its URL stops working within seconds")
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(said(sources)).to_have_text("Postmark · the shop is revoked.")
    assert office.ask("GET", "/v1/sources") == []


def test_thresholds_and_ips_are_set(office: SettingsVisits) -> None:
    page = office.page()
    verdicts = setting(page, "Scanners’ clicks")
    verdicts.get_by_label("Seconds after the delivery").fill("2")
    verdicts.get_by_label("Clicks of a burst").fill("0")
    verdicts.get_by_role("button", name="Save").click()
    expect(said(verdicts)).to_contain_text("Saved.")
    found = office.ask("GET", "/v1/verdicts")
    assert (found["early_seconds"], found["burst_clicks"], found["burst_links"]) == (2, 0, 4)
    ips = setting(page, "Sending IPs")
    form = unfold(ips, "Add IPs")
    form.get_by_label("Public addresses").fill("9.9.9.9 2a00:1450::8a")
    form.get_by_role("button", name="Add").click()
    expect(said(ips)).to_contain_text("Added: 9.9.9.9, 2a00:1450::8a")
    assert {one["ip"] for one in office.ask("GET", "/v1/sending-ips")} == {"9.9.9.9", "2a00:1450::8a"}
    ips.get_by_role("button", name="Remove: 2a00:1450::8a").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(said(ips)).to_have_text("2a00:1450::8a is removed.")
    assert [one["ip"] for one in office.ask("GET", "/v1/sending-ips")] == ["9.9.9.9"]


def test_an_export_is_ordered_made_and_downloaded(office: SettingsVisits) -> None:
    message = {"from_address": "news@shop.example", "to": "a@c.example", "subject": "One"}
    office.ask("POST", "/v1/messages", message)
    wait_for("the domain", lambda: office.ask("GET", "/v1/domains"))
    page = office.page()
    expect(setting(page, "Sending domains").locator("tbody tr")).to_have_count(1)
    exports = setting(page, "Exports")
    form = unfold(exports, "Order an export")
    form.get_by_label("Format").select_option("json")
    form.get_by_role("button", name="Order").click()
    expect(said(exports)).to_contain_text("Ordered: Messages")
    with page.expect_download(timeout=PATIENCE * 1000) as download:
        exports.get_by_role("link", name=re.compile("Download")).click(timeout=PATIENCE * 1000)
    assert '"news@shop.example"' in download.value.path().read_text()
    for offered in (["CSV", "JSON", "Excel (xlsx)", "Parquet"], ["CSV", "JSON", "Excel (xlsx)"]):
        expect(form.get_by_label("Format").locator("option")).to_have_text(offered)
        page.route("**/v1/exports", lambda route: route.fulfill(json={"data": [], "formats": ["csv", "json", "xlsx"]}))
        page.reload()
        unfold(setting(page, "Exports"), "Order an export")


@pytest.mark.parametrize(
    ("rights", "seen"),
    [
        (("member", "analytics"), ["Scanners’ clicks", "Sending domains", "Sending IPs", "Exports", "Your account"]),
        (("member", "track"), ["Your account"]),
        (
            ("domain_admin", *ALL),
            ["API keys", "Users", "Scanners’ clicks", "Sending domains", "Exports", "Your account"],
        ),
        (
            ("admin", *ALL),
            [
                "API keys",
                "Webhooks",
                "Users",
                "Scanners’ clicks",
                "Sending domains",
                "Sending IPs",
                "Exports",
                "Your account",
            ],
        ),
    ],
    ids=["viewer", "sender", "of a domain", "admin"],
)
def test_nobody_is_shown_what_would_be_refused(
    office: SettingsVisits, rights: tuple[str, ...], seen: list[str]
) -> None:
    role, *scopes = rights
    domains = {"domains": ["shop.example"]} if role == "domain_admin" else {}
    page = office.page({"api_key": office.key(role, *scopes, **domains)})
    assert [one.get_attribute("aria-label") for one in page.locator("main section").all()] == seen
    assert page.get_by_role("alert").count() == 0
    if role in ("member", "domain_admin"):
        assert page.get_by_role("button", name="Save").count() == 0
        assert page.get_by_text("Add IPs").count() == 0
    if domains:
        page.get_by_role("link", name="Live", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("You look after some domains only")
    if role == "admin":
        # The first key is of a super_admin: an administrator may not end it.
        mine = page.get_by_role("button", name=re.compile("^Revoke: key ")).count()
        assert mine == sum(one["role"] != "super_admin" and not one["name"] for one in office.ask("GET", "/v1/keys"))


def test_a_person_knows_the_own_account(office: SettingsVisits) -> None:
    link = office.ask("POST", "/v1/users", {"email": "eve@shop.example", "role": "admin"})["link"]
    page = office.page({"link": link.partition("=")[2], "password": PASSWORD})
    expect(setting(page, "Your account")).to_contain_text("eve@shop.example")
    row = setting(page, "Users").locator("li", has_text="eve@shop.example")
    expect(row).to_contain_text("(you)")
    assert row.get_by_role("button").all_inner_texts() == ["Password link"]
    comes = {"email": "eve@shop.example", "password": PASSWORD}
    elsewhere = requests.Session()
    assert elsewhere.post(office.url + "/session", json=comes, timeout=60).status_code == 204
    account = setting(page, "Your account")
    form = unfold(account, "Change the password")
    form.get_by_label("Present password").fill("another password")
    form.get_by_label("New password").fill("what nobody knows")
    form.get_by_role("button", name="Change it").click()
    expect(form.get_by_label("Present password")).to_be_focused()
    expect(form.get_by_label("Present password")).to_have_accessible_description(
        re.compile("not your present password")
    )
    form.get_by_label("Present password").fill(PASSWORD)
    form.get_by_role("button", name="Change it").click()
    expect(said(account)).to_contain_text("The password is changed.")
    wait_for("the other session's end", lambda: elsewhere.get(office.url + "/session", timeout=60).status_code == 401)
    assert page.reload() is not None
    expect(account).to_contain_text("eve@shop.example")
    # Where she is signed in: by this browser, and elsewhere, which she ends; then everywhere.
    comes["password"] = "what nobody knows"
    chrome = {"User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/139.0.0.0"}
    assert elsewhere.post(office.url + "/session", json=comes, headers=chrome, timeout=60).status_code == 204
    page.reload()
    expect(account.locator("li")).to_have_count(2)
    expect(account.locator("li", has_text="this browser").get_by_role("button")).to_have_count(0)
    account.get_by_role("button", name="Sign out there: Chrome on Windows").click()
    page.get_by_role("dialog").get_by_role("button", name="Sign out there").click()
    expect(said(account)).to_have_text("Signed out there: Chrome on Windows.")
    expect(account.locator("li")).to_have_count(1)
    assert elsewhere.get(office.url + "/session", timeout=60).status_code == 401
    account.get_by_role("button", name="Sign out everywhere").click()
    page.get_by_role("dialog").get_by_role("button", name="Sign out everywhere").click()
    expect(page).to_have_url(re.compile("/login"))
    assert page.context.cookies() == []


def test_a_right_that_was_lost_is_said_where_it_is_missed(office: SettingsVisits) -> None:
    invited = office.ask("POST", "/v1/users", {"email": "kim@shop.example", "role": "admin"})
    page = office.page({"link": invited["link"].partition("=")[2], "password": PASSWORD})
    form = unfold(setting(page, "API keys"), "New key")
    office.ask("PATCH", f"/v1/users/{invited['id']}", {"role": "viewer"})
    cookie = {"Cookie": "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())}
    wait_for("the change", lambda: requests.get(office.url + "/v1/keys", headers=cookie, timeout=60).status_code == 403)
    form.get_by_role("button", name="Make the key").click()
    expect(form.get_by_role("alert")).to_contain_text("You may not do this.")
    expect(form.get_by_role("alert")).to_contain_text("the scope access")


def test_markup_in_names_is_text_and_nothing_stands_in_anybody_s_way(office: SettingsVisits) -> None:
    office.key("member", "track", name=MARKUP)
    office.ask("POST", "/v1/sources", {"provider": "postmark", "name": MARKUP})
    hostile = office.ask("POST", "/v1/users", {"email": f"{HOSTILE.replace(' ', '')}@c.example", "role": "viewer"})
    page = office.page()
    sources = setting(page, "Webhooks")
    sources.get_by_role("button", name="What it brought").first.click()
    expect(sources.locator(".detail h4").first).to_be_visible()
    for title in ("New key", "New webhook", "Invite somebody", "Add IPs", "Order an export"):
        page.locator("summary", has_text=title).click()
    page.evaluate(AXE)
    assert barriers_of(page, {"type": "tag", "values": RULES}) == []
    page.emulate_media(color_scheme="dark")
    assert barriers_of(page, {"type": "rule", "values": ["color-contrast"]}) == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator(FOREIGN).count() == 0
    assert "stolen" not in page.title()
    text = page.locator("main").inner_text()
    assert text.count(MARKUP) >= 2
    assert hostile["email"] in text
    page.get_by_role("button", name="Revoke: " + MARKUP).first.click()
    expect(page.get_by_role("dialog")).to_contain_text(MARKUP)
    page.evaluate(AXE)
    assert barriers_of(page, {"type": "tag", "values": RULES}) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_all_of_it_works_by_the_keyboard(office: SettingsVisits) -> None:
    office.key("member", "track", name="by keyboard")
    page = office.page()
    until_focused(page, "[aria-label='Revoke: by keyboard']")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.activeElement.matches(\"[aria-label='Revoke: by keyboard']\")")
    until_focused(page, "#keys summary")
    page.keyboard.press("Enter")
    until_focused(page, "#keys-name")
    page.keyboard.type("typed")
    page.keyboard.press("Enter")
    key = secret(setting(page, "API keys"), "Key")
    assert office.ask("GET", "/v1/workspace", key=key)
    until_focused(page, ".secret > button")
    page.keyboard.press("Enter")
    expect(page.locator(".secret")).to_have_count(0)
