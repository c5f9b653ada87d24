"""What recipients choose, told by the API and by a file, counted by the aggregator, and shown with its proof."""

import asyncio
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner, Result

from postmeter.cli.main import main
from postmeter.shared.apis.privacy.preferences import PREFERENCES_PATH
from postmeter.shared.privacy import recipients
from postmeter.shared.stream.records import Consent
from tests.aggregation import Bench, bench, registration
from tests.integration.running_gateway import bearer, gateway
from tests.integration.running_query import query_service, workspaces
from tests.integration.tracking_service import KEYS, SHARDS, WORKSPACE, Service, batches, once
from tests.integration.tracking_writes import error
from tests.roles import of_service
from tests.waiting import until

HASH = "ab" * 32
CHOICE = {"to_hash": HASH, "opens": "denied"}
PATH = "/v1/recipients/consent"
CHECKED = r'name="(\w+)" value="(\w+)" checked'


@pytest.fixture(scope="module")
def service(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("tracking")
    running = Service(redis_server, folder / "spool")
    yield running
    assert running.terminate() == 0


def put(service: Service, body: object, **who: Any) -> Any:
    return service.post(PATH, body, service.principal(**{"scopes": ("privacy",)} | who), method="PUT")


def told(service: Service, to_hash: str) -> list[Consent]:
    return [one for one in once(service.redis_url) if isinstance(one, Consent) and one.to_hash == to_hash]


def test_a_choice_is_in_the_stream_when_it_is_answered(service: Service) -> None:
    proof = {"method": "double opt-in", "text_version": "2026-07", "source": "https://shop.example/signup"}
    given = {"to": "Ada <Ada@Mail.example>", "opens": "granted", "clicks": "denied", "at": "2019-05-04T10:00:00+02:00"}
    reply = put(service, given | proof)
    assert (reply.status, reply.json()) == (202, {"accepted": 1, "rejected": []})
    (one,) = told(service, recipients.hash_of("ada@mail.example"))
    assert (one.opens, one.clicks, one.message, one.by) == (1, 2, b"", "key:k")
    assert (one.method, one.text_version, one.source) == tuple(proof.values())
    assert one.at == datetime(2019, 5, 4, 8, tzinfo=UTC).timestamp() * 1_000_000, "proofs may be old"


def test_a_time_ahead_is_the_moment_of_receipt(service: Service) -> None:
    """So that who refuses after a grant that was dated ahead has refused."""
    ahead = (datetime.now(UTC) + timedelta(minutes=59)).isoformat()
    for choice in ({"opens": "granted", "at": ahead}, {"opens": "denied"}):
        assert put(service, choice | {"to": "soon@mail.example"}).status == 202
    grant, refusal = told(service, recipients.hash_of("soon@mail.example"))
    assert grant.at == grant.received
    assert grant.at <= refusal.at


def test_of_a_list_the_good_ones_are_taken_and_the_others_named(service: Service) -> None:
    people = [{"to_hash": f"{n:064x}", "opens": "granted"} for n in range(5)]
    people[1] |= {"opens": "maybe"}
    people[3] |= {"at": "2999-01-01T00:00:00Z"}
    reply = put(service, {"recipients": people})
    assert (reply.status, reply.json()["accepted"]) == (202, 3)
    assert [(one["index"], one["field"]) for one in reply.json()["rejected"]] == [(1, "opens"), (3, "at")]
    assert [len(told(service, one["to_hash"])) for one in people] == [1, 0, 1, 0, 1]
    chosen = told(service, f"{2:064x}")
    shards = {shard for shard, _, found in batches(service.redis_url) for one in found if one in chosen}
    assert len(shards) == 1
    none = put(service, {"recipients": [{"opens": "granted"}, {"to_hash": HASH}]})
    assert (none.status, error(none)["field"], len(none.json()["rejected"])) == (400, "recipients[0].to", 2)
    odd = put(service, {"recipients": [7]})
    assert (odd.status, error(odd)["field"]) == (400, "recipients[0]")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (CHOICE | {"to": "ada@mail.example"}, "to"),
        ({"opens": "denied"}, "to"),
        ({"to": "nobody", "opens": "denied"}, "to"),
        ({"to_hash": "xy", "opens": "denied"}, "to_hash"),
        ({"to_hash": "\u0660" * 64, "opens": "denied"}, "to_hash"),
        ({"to_hash": HASH}, "opens"),
        (CHOICE | {"clicks": "perhaps" * 10_000}, "clicks"),
        (CHOICE | {"method": "m" * 101}, "method"),
        (CHOICE | {"source": "\0"}, "source"),
        (CHOICE | {"text_version": 7}, "text_version"),
        (CHOICE | {"at": "yesterday"}, "at"),
        (CHOICE | {"at": "1969-12-31T23:59:59Z"}, "at"),
        (CHOICE | {"views": "denied"}, "views"),
        ({"recipients": [CHOICE] * 1001}, "recipients"),
        ({"recipients": CHOICE}, "recipients"),
        ([CHOICE], None),
    ],
)
def test_what_makes_no_sense_is_refused(service: Service, body: Any, field: str | None) -> None:
    before = len(told(service, HASH))
    reply = put(service, body)
    assert (reply.status, error(reply).get("field")) == (400, field), reply.body
    assert len(error(reply)["message"]) < 500
    assert len(told(service, HASH)) == before


def test_who_may(service: Service) -> None:
    for who in ({"scopes": ("track",)}, {"role": "member"}, {"role": "domain_admin", "domains": ["shop.example"]}):
        assert put(service, CHOICE, **who).status == 403
    assert put(service, CHOICE, role="super_admin").status == 202


class Commands:
    def __init__(self, at: Bench) -> None:
        self._environ = {"POSTMETER_POSTGRES_DSN": at.dsn, "POSTMETER_REDIS_URL": at.settings.redis_url.reveal()}

    def __call__(self, *arguments: str, text: str = "") -> Result:
        return CliRunner().invoke(main, arguments, input=text, env=self._environ)


FILE = """to,opens,clicks,method,text_version,at,source
ada@mail.example,granted,denied,form,v1,2020-01-01T00:00:00Z,import
"Bob <bob@mail.example>",denied,,,,,
nobody,granted,,,,,
eve@mail.example,sometimes,,,,,

eve@mail.example,granted
"""


async def test_a_file_is_brought_in_once_and_each_sees_its_own(postgres_dsn: str, redis_url: str) -> None:
    async with (
        bench(postgres_dsn, redis_url) as at,
        workspaces(postgres_dsn) as here,
        query_service(here, redis_url, datetime.now(UTC)) as query,
        gateway(postgres_dsn, query_url=query) as url,
        aiohttp.ClientSession() as session,
        at.aggregator(),
    ):
        ours, theirs = await here.workspace("ours"), await here.workspace("theirs")
        command = Commands(at)
        arguments = ("consent", "import", "--workspace", "ours", "-")
        for _ in range(2):
            seen = await asyncio.to_thread(lambda: command(*arguments, text=FILE))
            assert seen.exit_code == 1
            assert "choices taken: 2" in seen.output
            assert "line 4: to: not an email address: 'nobody,granted,,,,,'" in seen.output
            assert "line 5: opens: takes unknown, granted, denied, not 'sometimes'" in seen.output
            assert "line 7: has 2 values instead of 7" in seen.output
        await at.counted()
        ada = recipients.hash_of("ada@mail.example")

        async def shown(workspace: int, query: str, **rights: Any) -> tuple[int, Any]:
            key = await here.key(workspace, **{"role": "member", "scopes": ("privacy",)} | rights)
            async with session.get(f"{url}{PATH}?{query}", headers=bearer(key)) as answer:
                return answer.status, await answer.json()

        status, body = await shown(ours, f"to_hash={ada.upper()}")
        assert status == 200
        (proof,) = body["data"].pop("history")
        assert body["data"] == {"opens": "granted", "clicks": "denied"}
        assert proof.pop("recorded_at")
        assert proof == {
            "opens": "granted",
            "clicks": "denied",
            "method": "form",
            "text_version": "v1",
            "source": "import",
            "at": "2020-01-01T00:00:00Z",
            "recorded_by": "command",
        }
        bob = (await shown(ours, f"to_hash={recipients.hash_of('bob@mail.example')}"))[1]["data"]
        assert (bob["opens"], bob["clicks"], bob["history"][0]["clicks"]) == ("denied", "unknown", None)
        nothing = {"data": {"opens": "unknown", "clicks": "unknown", "history": []}}
        assert await shown(theirs, f"to_hash={ada}") == (200, nothing)
        assert (await shown(ours, f"to_hash={ada}", role="domain_admin", domains=["a.example"]))[0] == 403
        assert (await shown(ours, f"to_hash={ada}", scopes=("analytics",)))[0] == 403
        for wrong in ("", "to_hash=", "to_hash=xyz", f"to_hash={ada}&to_hash={ada}"):
            assert (await shown(ours, wrong))[0] == 400, wrong


async def test_the_same_values_under_other_names_are_other_choices(postgres_dsn: str, redis_url: str) -> None:
    async with bench(postgres_dsn, redis_url) as at, at.aggregator():
        await at.db.execute("INSERT INTO workspace (id, name, timezone) VALUES ('ours', 'Ours', 'UTC')")
        command = Commands(at)
        for columns in ("to,opens,clicks", "to,clicks,opens"):
            text = f"{columns}\nada@mail.example,granted,denied\n"
            seen = await asyncio.to_thread(command, "consent", "import", "--workspace", "ours", "-", text=text)
            assert seen.exit_code == 0, seen.output
        await at.counted()
        kept = await at.db.fetch("SELECT opens, clicks FROM consent ORDER BY opens")
    assert [tuple(row) for row in kept] == [(1, 2), (2, 1)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the first line names the columns"),
        ("to,views\n", "the first line names the columns"),
        ("to,to,opens\n", "the first line names the columns"),
        ('to,opens\n"ada@mail.example,granted\n', "what follows was not read"),
        ("to,opens\n" + "x" * 200_000 + ",granted\n", "what follows was not read"),
        ("to,opens\nada@mail.example\udcff,granted\n", "line 2: to: "),
    ],
)
async def test_a_file_that_is_none(postgres_dsn: str, redis_url: str, text: str, says: str) -> None:
    async with bench(postgres_dsn, redis_url) as at:
        await at.db.execute("INSERT INTO workspace (id, name, timezone) VALUES ('ours', 'Ours', 'UTC')")
        data = text.encode(errors="surrogateescape")
        runner = CliRunner()
        environ = {"POSTMETER_POSTGRES_DSN": at.dsn, "POSTMETER_REDIS_URL": redis_url}
        arguments = ["consent", "import", "--workspace", "ours", "-"]
        seen = await asyncio.to_thread(lambda: runner.invoke(main, arguments, input=data, env=environ))
        assert seen.exit_code == 1
        assert says in " ".join(seen.output.split())
        assert len(seen.output) < 2000


async def test_what_is_chosen_on_the_page_is_shown_there(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    message = uuid.uuid4().bytes
    made = registration(1, message=message, workspace=WORKSPACE)
    page = PREFERENCES_PATH + KEYS.sign_preferences(WORKSPACE, message)
    async with bench(postgres_dsn, redis_url) as at, at.aggregator(shards=SHARDS), aiohttp.ClientSession() as session:
        dsn = of_service(postgres_dsn, "tracking")
        service = await asyncio.to_thread(lambda: Service(redis_url, tmp_path / "spool", postgres_dsn=dsn))
        try:
            url = f"http://127.0.0.1:{service.port}{page}"
            await at.streams.append(0, made)
            await at.counted()
            async with session.post(url, data={"opens": "denied"}) as answer:
                assert answer.status == 200
            await at.counted()

            async def shown() -> bool:
                async with session.get(url) as answer:
                    return re.findall(CHECKED, await answer.text()) == [("opens", "denied")]

            await until(shown)
            assert await at.value("SELECT opens FROM recipient_choice WHERE to_hash = $1", made.to_hash) == 2
        finally:
            await asyncio.to_thread(service.terminate)
