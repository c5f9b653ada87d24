"""/v1/users and /v1/keys: who may let whom in, and that nobody gives more than he has (ADR 0042)."""

import asyncio
import uuid
from typing import Any

import pytest

from postmeter.gateway.keys import registry
from postmeter.gateway.people import users
from postmeter.shared.auth.api_keys import SCOPES
from tests.integration.people import PASSWORD, PeopleGateway, Seen
from tests.integration.running_gateway import bearer
from tests.product import PATIENCE

NEW = "a password for the new one"
pytestmark = pytest.mark.usefixtures("hurried")


async def admin(place: PeopleGateway, **changes: Any) -> str:
    """The cookie of a new administrator."""
    email = f"{uuid.uuid4().hex}@shop.example"
    await place.user(email, **changes)
    return await place.sign_in(email=email, password=PASSWORD)


async def invited(place: PeopleGateway, cookie: str, **body: Any) -> Any:
    seen = await place.ask("POST", "/v1/users", {"email": "bob@shop.example", "role": "member"} | body, cookie)
    assert seen.status == 201, seen.body
    return seen.body["data"]


async def test_a_person_is_invited_and_comes_in(place: PeopleGateway) -> None:
    cookie = await admin(place)
    bob = await invited(place, cookie, email="Bob@Shop.example", domains=["Shop.example", "b.example"])
    base, _, token = bob["link"].partition("/login#invitation=")
    assert base == place.url
    assert {**bob, "id": "", "created_at": "", "link": ""} == {
        "id": "",
        "email": "bob@shop.example",
        "role": "member",
        "domains": ["b.example", "shop.example"],
        "disabled": False,
        "has_password": False,
        "created_at": "",
        "signed_in_at": None,
        "link": "",
    }
    session = await place.sign_in(link=token, password=NEW)
    assert (await place.ask("GET", "/session", cookie=session)).body["data"]["email"] == "bob@shop.example"
    found = (await place.ask("GET", "/v1/users", cookie=cookie)).body["data"]
    assert [(one["has_password"], one["signed_in_at"] is not None) for one in found if one["id"] == bob["id"]] == [
        (True, True)
    ]
    assert not {"link", "password"} & {name for one in found for name in one}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "member"}, "email"),
        ({"email": "bob", "role": "member"}, "email"),
        ({"email": "a@b@", "role": "member"}, "email"),
        ({"email": "\u212aarl@shop.example", "role": "member"}, "email"),
        ({"email": "\uff41da@shop.example", "role": "member"}, "email"),
        ({"email": "a\u200bda@shop.example", "role": "member"}, "email"),
        ({"email": "a\u202eda@shop.example", "role": "member"}, "email"),
        ({"email": "b\0b@shop.example", "role": "member"}, "email"),
        ({"email": "x" * 255 + "@shop.example", "role": "member"}, "email"),
        ({"email": "bob@shop.example", "role": "king"}, "role"),
        ({"email": "bob@shop.example", "role": "member", "domains": []}, "domains"),
        ({"email": "bob@shop.example", "role": "member", "domains": ["https://a"]}, "domains"),
        ({"email": "bob@shop.example", "role": "member", "domains": [f"{n:062}.a" for n in range(500)]}, "domains"),
        ({"email": "bob@shop.example", "role": "member", "password": NEW}, "password"),
    ],
)
async def test_what_is_not_a_user_is_refused_by_field(place: PeopleGateway, body: dict[str, Any], field: str) -> None:
    seen = await place.ask("POST", "/v1/users", body, await admin(place))
    assert (seen.status, seen.body["error"]["code"], seen.body["error"]["field"]) == (400, "INVALID_FIELD", field)


async def test_an_email_is_once_in_a_workspace_and_may_be_in_another(place: PeopleGateway) -> None:
    cookie = await admin(place)
    await invited(place, cookie)
    again = await place.ask("POST", "/v1/users", {"email": "BOB@shop.example", "role": "viewer"}, cookie)
    assert (again.status, again.body["error"]["code"]) == (409, "CONFLICT")
    await place.here.workspace("theirs")
    await invited(place, await admin(place, workspace="theirs"))


async def test_a_change_holds_for_the_open_session(place: PeopleGateway) -> None:
    cookie = await admin(place)
    bob = await invited(place, cookie)
    session = await place.sign_in(link=bob["link"].partition("=")[2], password=NEW)
    path = f"/v1/users/{bob['id']}"
    changed = await place.ask("PATCH", path, {"role": "viewer", "domains": ["shop.example"]}, cookie)
    assert (changed.status, changed.body["data"]["role"], changed.body["data"]["link"]) == (200, "viewer", None)
    told = await until(place, session, lambda seen: seen.body["data"]["role"] == "viewer")
    assert told.body["data"]["scopes"] == ["analytics"]
    assert (await place.ask("GET", "/api/v1/analytics", cookie=session)).status == 200
    assert place.principal().confined_to == ("shop.example",)
    await place.ask("PATCH", path, {"domains": None, "disabled": True}, cookie)
    assert (await until(place, session, lambda seen: seen.status != 200)).status == 401
    refused = await place.ask("PATCH", path, {"reset": True}, cookie)
    assert (refused.status, refused.body["error"]["code"]) == (409, "CONFLICT")
    back = (await place.ask("PATCH", path, {"disabled": False, "reset": True}, cookie)).body["data"]
    assert (back["disabled"], back["role"], back["domains"]) == (False, "viewer", None)
    assert "/login#reset=" in back["link"]
    assert (await place.ask("GET", "/session", cookie=session)).status == 401, "what was ended stays ended"
    await place.sign_in(link=back["link"].partition("=")[2], password=NEW)


async def until(place: PeopleGateway, cookie: str, is_so: Any) -> Seen:
    async with asyncio.timeout(PATIENCE):
        while not is_so(seen := await place.ask("GET", "/session", cookie=cookie)):
            pass
    return seen


async def test_who_is_removed_is_gone_with_session_and_links(place: PeopleGateway) -> None:
    cookie = await admin(place)
    bob = await invited(place, cookie)
    session = await place.sign_in(link=bob["link"].partition("=")[2], password=NEW)
    path = f"/v1/users/{bob['id']}"
    link = (await place.ask("PATCH", path, {"reset": True}, cookie)).body["data"]["link"].partition("=")[2]
    assert (await place.ask("DELETE", path, cookie=cookie)).body == {"data": {"id": bob["id"]}}
    assert (await until(place, session, lambda seen: seen.status != 200)).status == 401
    assert (await place.ask("POST", "/session", {"link": link, "password": NEW})).status == 401
    assert (await place.ask("DELETE", path, cookie=cookie)).status == 404
    for table in ("session", "one_time_link"):
        assert await place.here.pool.fetchval(f"SELECT count(*) FROM {table}") == (table == "session"), table


async def test_nobody_locks_himself_out(place: PeopleGateway) -> None:
    cookie = await admin(place)
    (me,) = (await place.ask("GET", "/v1/users", cookie=cookie)).body["data"]
    path = f"/v1/users/{me['id']}"
    for body in ({"disabled": True}, {"role": "viewer"}, {"domains": ["shop.example"]}):
        assert (await place.ask("PATCH", path, body, cookie)).status == 409
    assert (await place.ask("DELETE", path, cookie=cookie)).status == 409
    assert (await place.ask("PATCH", path, {"reset": True}, cookie)).status == 200


USERS, KEYS = ("GET", "/v1/users"), ("GET", "/v1/keys")


@pytest.mark.parametrize(
    ("role", "scopes", "domains", "status"),
    [
        ("admin", ("access",), None, 200),
        ("super_admin", ("access",), None, 200),
        ("domain_admin", ("access",), ["shop.example"], 200),
        ("admin", ("analytics", "track", "mail:read"), None, 403),
        ("member", SCOPES, None, 403),
    ],
)
async def test_it_takes_scope_and_role(
    place: PeopleGateway, role: str, scopes: tuple[str, ...], domains: Any, status: int
) -> None:
    key = bearer(await place.here.key(place.workspace, role, scopes, domains))
    for method, path in (USERS, KEYS):
        assert (await place.ask(method, path, **key)).status == status
        assert (await place.ask(method, path)).status == 401


@pytest.mark.parametrize("role", ["member", "viewer"])
@pytest.mark.parametrize("domains", [None, ["shop.example"]])
async def test_only_administrators_let_in(place: PeopleGateway, role: str, domains: Any) -> None:
    cookie = await admin(place, role=role, domains=domains)
    me = await place.here.pool.fetchval("SELECT id FROM user_account")
    for method, path, body in (
        (*USERS, None),
        (*KEYS, None),
        ("POST", "/v1/users", {"email": "bob@shop.example", "role": "viewer"}),
        ("PATCH", f"/v1/users/{me}", {"role": "admin", "domains": None}),
        ("POST", "/v1/keys", {"role": "member", "scopes": ["analytics"]}),
        ("DELETE", "/v1/keys/0123456789abcdef", None),
    ):
        assert (await place.ask(method, path, body, cookie)).status == 403, (method, path)
    assert await place.here.pool.fetchval("SELECT count(*) FROM user_account") == 1


ALL = list(SCOPES)
HIS = ["shop.example"]


@pytest.mark.parametrize(
    ("role", "scopes", "domains", "wanted", "status"),
    [
        ("admin", ALL, None, {"role": "admin", "scopes": ALL}, 201),
        ("admin", ALL, None, {"role": "super_admin", "scopes": ["analytics"]}, 403),
        ("super_admin", ALL, None, {"role": "super_admin", "scopes": ALL}, 201),
        ("admin", ["access", "track"], None, {"role": "member", "scopes": ["track"]}, 201),
        ("admin", ["access", "track"], None, {"role": "member", "scopes": ["analytics"]}, 403),
        ("domain_admin", ALL, HIS, {"role": "domain_admin", "scopes": ["track"], "domains": HIS}, 201),
        ("domain_admin", ALL, HIS, {"role": "domain_admin", "scopes": ["track"], "domains": ["SHOP.example."]}, 201),
        ("domain_admin", ALL, HIS, {"role": "domain_admin", "scopes": ["track"], "domains": [*HIS, "b.example"]}, 403),
        ("domain_admin", ALL, HIS, {"role": "member", "scopes": ["track"]}, 403),
        ("domain_admin", ALL, HIS, {"role": "domain_admin", "scopes": ["track"]}, 400),
        ("domain_admin", ALL, [], {"role": "domain_admin", "scopes": ["track"], "domains": HIS}, 403),
        ("admin", ALL, None, {"role": "member", "scopes": []}, 400),
        ("admin", ALL, None, {"role": "member", "scopes": ["all"]}, 400),
        ("admin", ALL, None, {"role": "king", "scopes": ["track"]}, 400),
        ("admin", ALL, None, {"role": "member", "scopes": ["track"], "domains": HIS}, 400),
        ("admin", ALL, None, {"role": "member", "scopes": ["track"], "name": "a\0b"}, 400),
        ("admin", ALL, None, {"role": "member", "scopes": ["track"], "key": "pm_x"}, 400),
    ],
)
async def test_no_key_has_more_rights_than_who_makes_it(
    place: PeopleGateway, role: str, scopes: list[str], domains: Any, wanted: dict[str, Any], status: int
) -> None:
    key = bearer(await place.here.key(place.workspace, role, tuple(scopes), domains))
    seen = await place.ask("POST", "/v1/keys", wanted, **key)
    assert seen.status == status, seen.body
    assert await place.here.pool.fetchval("SELECT count(*) FROM api_key") == (2 if status == 201 else 1)
    if status == 201:
        made = bearer(seen.body["data"]["key"])
        told = (await place.ask("GET", "/session", **made)).body["data"]
        assert (told["role"], told["scopes"]) == (wanted["role"], wanted["scopes"])


@pytest.mark.parametrize(
    ("role", "scopes", "domains", "wanted", "status"),
    [
        ("admin", ALL, None, {"role": "admin"}, 201),
        ("admin", ["access", "analytics"], None, {"role": "viewer"}, 201),
        ("admin", ["access", "analytics"], None, {"role": "member"}, 403),
        ("admin", ["access"], None, {"role": "viewer"}, 403),
        ("domain_admin", ALL, HIS, {"role": "admin", "domains": HIS}, 201),
        ("domain_admin", ALL, HIS, {"role": "viewer"}, 403),
        ("domain_admin", ALL, HIS, {"role": "viewer", "domains": ["b.example"]}, 403),
    ],
)
async def test_no_user_has_more_rights_than_who_invites(
    place: PeopleGateway, role: str, scopes: list[str], domains: Any, wanted: dict[str, Any], status: int
) -> None:
    key = bearer(await place.here.key(place.workspace, role, tuple(scopes), domains))
    seen = await place.ask("POST", "/v1/users", {"email": "bob@shop.example"} | wanted, **key)
    assert seen.status == status, seen.body
    assert await place.here.pool.fetchval("SELECT count(*) FROM user_account") == (status == 201)


async def test_who_has_less_changes_nothing_of_who_has_more(place: PeopleGateway) -> None:
    """A link to choose a password is the account itself: it is made by those only who have all that it has."""
    _, ada = await place.user(role="admin")
    strong = await place.here.key(place.workspace, "super_admin", SCOPES)
    weak = bearer(await place.here.key(place.workspace, "admin", ("access", "analytics")))
    for body in ({"reset": True}, {"disabled": True}, {"role": "viewer"}):
        assert (await place.ask("PATCH", f"/v1/users/{ada}", body, **weak)).status == 403
    assert (await place.ask("DELETE", f"/v1/users/{ada}", **weak)).status == 403
    cookie = await admin(place)
    strong_id = strong.split("_")[1]
    assert (await place.ask("DELETE", f"/v1/keys/{strong_id}", cookie=cookie)).status == 403
    assert (await place.ask("GET", "/session", **bearer(strong))).status == 200
    assert await place.here.pool.fetchval("SELECT count(*) FROM one_time_link") == 0


async def test_a_confined_administrator_sees_nobody_else(place: PeopleGateway) -> None:
    _, mine = await place.user("mine@shop.example", "member", HIS)
    others = [
        (await place.user("whole@shop.example", "viewer"))[1],
        (await place.user("more@shop.example", "viewer", [*HIS, "b.example"]))[1],
        (await place.user("other@shop.example", "viewer", ["b.example"]))[1],
    ]
    cookie = await admin(place, domains=HIS)
    found = (await place.ask(*USERS, cookie=cookie)).body["data"]
    assert {mine} < {one["id"] for one in found}
    assert not {one["id"] for one in found} & {*others}
    for user in (*others, str(uuid.uuid4()), "x", "%00"):
        for method, body in (("PATCH", {"disabled": True}), ("DELETE", None)):
            assert (await place.ask(method, f"/v1/users/{user}", body, cookie)).status == 404
    for role, domains in (("member", None), ("domain_admin", ["b.example"])):
        key_id = (await place.here.key(place.workspace, role, ("track",), domains)).split("_")[1]
        assert (await place.ask("DELETE", f"/v1/keys/{key_id}", cookie=cookie)).status == 404
    assert (await place.ask(*KEYS, cookie=cookie)).body == {"data": []}
    raised = await place.ask("PATCH", f"/v1/users/{mine}", {"domains": None}, cookie)
    assert raised.status == 403
    assert (await place.ask("PATCH", f"/v1/users/{mine}", {"role": "admin"}, cookie)).status == 200


async def test_a_key_is_shown_once_listed_and_revoked(place: PeopleGateway) -> None:
    cookie = await admin(place)
    body = {"role": "member", "scopes": ["track", "track", "analytics"], "name": "The shop's server"}
    made = (await place.ask("POST", "/v1/keys", body, cookie)).body["data"]
    assert (made["name"], made["scopes"], made["domains"]) == ("The shop's server", ["track", "analytics"], None)
    key = made.pop("key")
    assert (await place.ask(*KEYS, cookie=cookie)).body == {"data": [made]}
    assert (await place.ask("GET", "/session", **bearer(key))).status == 200
    path = f"/v1/keys/{made['id']}"
    gone = await place.ask("DELETE", path, cookie=cookie)
    assert (gone.status, gone.body["data"]["id"]) == (200, made["id"])
    async with asyncio.timeout(PATIENCE):
        while (await place.ask("GET", "/session", **bearer(key))).status == 200:
            pass
    assert (await place.ask(*KEYS, cookie=cookie)).body == {"data": []}
    assert (await place.ask("DELETE", path, cookie=cookie)).status == 404


async def test_another_tenant_s_people_and_keys_do_not_exist(place: PeopleGateway) -> None:
    await place.here.workspace("theirs")
    theirs = await admin(place, workspace="theirs")
    _, ada = await place.user()
    key_id = (await place.here.key(place.workspace, "member")).split("_")[1]
    for method, path, body in (
        ("PATCH", f"/v1/users/{ada}", {"reset": True}),
        ("DELETE", f"/v1/users/{ada}", None),
        ("DELETE", f"/v1/keys/{key_id}", None),
    ):
        seen = await place.ask(method, path, body, theirs)
        nobody = await place.ask(method, f"{path.rpartition('/')[0]}/{uuid.uuid4()}", body, theirs)
        assert (seen.status, seen.body) == (nobody.status, nobody.body)
        assert seen.status == 404
    assert len((await place.ask(*USERS, cookie=theirs)).body["data"]) == 1
    assert (await place.ask(*KEYS, cookie=theirs)).body == {"data": []}


async def test_keys_and_users_have_so_many_domains_together(
    place: PeopleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are listed at once: a thousand keys of a thousand domains each would be 60 MB."""
    for module in (users, registry):
        monkeypatch.setattr(module, "MOST_DOMAINS", 3)
    cookie = await admin(place)
    for domains, status in ((["a.example", "b.example"], 201), (["c.example", "d.example"], 409), (["c.example"], 201)):
        body = {"role": "domain_admin", "scopes": ["track"], "domains": domains}
        assert (await place.ask("POST", "/v1/keys", body, cookie)).status == status
    bob = await invited(place, cookie, domains=["a.example", "b.example"])
    body = {"email": "eve@shop.example", "role": "member", "domains": ["c.example", "d.example"]}
    assert (await place.ask("POST", "/v1/users", body, cookie)).status == 400
    await invited(place, cookie, email="eve@shop.example", domains=["c.example"])
    more = {"domains": ["a.example", "b.example", "c.example"]}
    refused = await place.ask("PATCH", f"/v1/users/{bob['id']}", more, cookie)
    assert (refused.status, refused.body["error"]["field"]) == (400, "domains")
    for module in (users, registry):
        monkeypatch.setattr(module, "MOST_DOMAINS", 0)  # what they have is of before there was a bound
    for change in ({"domains": ["b.example"]}, {"disabled": True}, {"domains": None}):
        assert (await place.ask("PATCH", f"/v1/users/{bob['id']}", change, cookie)).status == 200
    assert (await place.ask("POST", "/v1/keys", {"role": "member", "scopes": ["track"]}, cookie)).status == 201
    await place.user("rob@shop.example", "member")
