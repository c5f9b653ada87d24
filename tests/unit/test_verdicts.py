"""Verdicts of single hits: user agents, prefetches, networks."""

from importlib import resources
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.verdicts.agent_names import AgentNames
from postmeter.aggregator.verdicts.agents import FROZEN_AGENT
from postmeter.aggregator.verdicts.judge import Judge
from postmeter.aggregator.verdicts.keeper import ListKeeper
from postmeter.aggregator.verdicts.networks import SHIPPED, Networks, NetworksError, number_4
from postmeter.shared.stream.events import EventType, Verdict
from tests.integration.running_query import listening

OPEN, CLICK = EventType.OPENED, EventType.CLICKED
HUMAN, PROXY, MACHINE = Verdict.HUMAN, Verdict.PROXY, Verdict.MACHINE
CHROME = b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
GMAIL = b"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = b"YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
GOOGLE_IP, SCANNER_IP, HOME_IP = "66.249.84.1", "67.231.150.9", "203.0.113.5"
NAMES = AgentNames.shipped()
judge = Judge(Networks.shipped, lambda: NAMES)


def keeper_of(place: str, counters: AggregatorMetrics) -> ListKeeper[Networks]:
    return ListKeeper(Networks.shipped(), Networks.read, place, 3600.0, counters.networks_refreshes)


@pytest.mark.parametrize(
    ("kind", "agent", "prefetch", "ip", "verdict", "why"),
    [
        (OPEN, CHROME, False, HOME_IP, HUMAN, None),
        (CLICK, CHROME, False, HOME_IP, HUMAN, None),
        (OPEN, b"", False, "", HUMAN, None),
        (OPEN, b"curl/8.5.0", False, HOME_IP, HUMAN, None),
        (OPEN, b"Thunderbird", False, "not an address", HUMAN, None),
        (OPEN, CHROME, True, HOME_IP, MACHINE, "prefetch"),
        (OPEN, GMAIL, False, GOOGLE_IP, PROXY, "google_image_proxy"),
        (OPEN, GMAIL, True, GOOGLE_IP, MACHINE, "prefetch"),
        (CLICK, GMAIL, False, GOOGLE_IP, MACHINE, "google_image_proxy"),
        (OPEN, YAHOO, False, HOME_IP, PROXY, "yahoo_mail_proxy"),
        (OPEN, b"Mozilla/5.0", False, "17.58.0.1", PROXY, "apple_mpp"),
        (CLICK, b"Mozilla/5.0", False, "17.58.0.1", HUMAN, None),
        (OPEN, b"Mozilla/5.0 ", False, "17.58.0.1", HUMAN, None),
        (OPEN, FROZEN_AGENT, False, GOOGLE_IP, MACHINE, "gmail_prefetch"),
        (OPEN, FROZEN_AGENT, False, HOME_IP, HUMAN, None),
        (CLICK, FROZEN_AGENT, False, GOOGLE_IP, HUMAN, None),
        (CLICK, CHROME, False, GOOGLE_IP, HUMAN, None),
        (OPEN, CHROME, False, GOOGLE_IP, HUMAN, None),
        (CLICK, CHROME, False, SCANNER_IP, MACHINE, "network:proofpoint"),
        (OPEN, CHROME, False, f"::ffff:{SCANNER_IP}", MACHINE, "network:proofpoint"),
        (OPEN, CHROME, False, "67.231.143.255", HUMAN, None),
        (OPEN, CHROME, False, "67.231.144.0", MACHINE, "network:proofpoint"),
        (OPEN, CHROME, False, "67.231.159.255", MACHINE, "network:proofpoint"),
        (OPEN, CHROME, False, "67.231.160.0", HUMAN, None),
        (CLICK, b"Mozilla/5.0 (compatible; bingbot/2.0)", False, "", MACHINE, "agent:crawler"),
        (CLICK, b"BARRACUDA Sentinel (EE)", False, HOME_IP, MACHINE, "agent:scanner"),
        (CLICK, b"Microsoft Office Existence Discovery", False, HOME_IP, MACHINE, "agent:scanner"),
        (OPEN, b"Mozilla/5.0 HeadlessChrome/126.0", False, HOME_IP, HUMAN, None),
        (OPEN, b"Cubot Note 7 Build/Mozilla", False, HOME_IP, HUMAN, None),
    ],
)  # fmt: skip
def test_a_hit_is_judged(
    kind: EventType, agent: bytes, prefetch: bool, ip: str, verdict: Verdict, why: str | None
) -> None:
    for _ in range(2):  # a remembered judgement is the same one
        assert judge(kind, agent, prefetch, ip) == (verdict, why)


@given(st.sampled_from([OPEN, CLICK]), st.binary(max_size=512), st.booleans(), st.text(max_size=45))
def test_any_hit_gets_a_verdict_that_its_kind_may_have(kind: EventType, agent: bytes, prefetch: bool, ip: str) -> None:
    verdict, why = judge(kind, agent, prefetch, ip)
    assert verdict is not PROXY or kind is OPEN
    assert (why is None) == (verdict is HUMAN)


BLOCKS = ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "192.0.2.0/25", "2001:db8::/32", "2001:db8:1::/48", "::/0")


@given(
    st.lists(st.sampled_from(BLOCKS), unique=True, max_size=len(BLOCKS)),
    st.one_of(
        st.ip_addresses(v=4), st.ip_addresses(network="10.0.0.0/14"), st.ip_addresses(network="192.0.2.0/24"),
        st.ip_addresses(network="2001:db8::/46"),
    ),
)  # fmt: skip
def test_the_smallest_block_that_holds_an_address_names_it(blocks: list[str], address: object) -> None:
    networks = Networks.read("\n".join(f"n{number} {block}" for number, block in enumerate(blocks)))
    holding = [
        (ip_network(block).prefixlen + (96 if "." in block else 0), f"n{number}")
        for number, block in enumerate(blocks)
        if address in ip_network(block) or block == "::/0"
    ]
    assert networks.of(str(address), number_4(str(address))) == (max(holding)[1] if holding else None)


@pytest.mark.parametrize(
    ("ip", "name"),
    [
        (GOOGLE_IP, "google"),
        ("172.253.112.9", "google"),
        (SCANNER_IP, "proofpoint"),
        ("91.209.104.3", "proofpoint"),
        ("51.163.158.7", "mimecast"),
        ("170.10.129.7", "mimecast"),
        ("209.222.82.1", "barracuda"),
        ("68.232.140.1", "cisco"),
        ("150.70.230.1", "trendmicro"),
        ("18.185.115.130", "trendmicro"),
        ("18.185.115.200", "barracuda"),
        ("94.100.136.1", "hornetsecurity"),
        ("35.174.145.124", "checkpoint"),
        ("104.47.1.1", "microsoft"),
        ("2a01:111:f403:8000::1", "microsoft"),
        # People: Exchange Online, Zscaler, Apple and its relay, a cloud, the neighbour of a scanner, at home.
        ("40.96.0.1", None),
        ("52.96.0.1", None),
        ("165.225.0.1", None),
        ("17.58.0.1", None),
        ("104.28.0.1", None),
        ("172.225.0.1", None),
        ("20.51.0.1", None),
        ("35.174.145.125", None),
        ("207.211.31.200", None),
        (HOME_IP, None),
        ("2a00:1450:5000::1", None),
    ],
)
def test_shipped_networks_hold_scanners_and_no_people(ip: str, name: str | None) -> None:
    assert Networks.shipped().of(ip, number_4(ip)) == name


def test_shipped_networks_are_public_and_lie_in_one_vendor_each() -> None:
    blocks = [
        (ip_network(cidr), line.split()[0])
        for line in resources.files("postmeter.aggregator.verdicts").joinpath(SHIPPED).read_text().splitlines()
        if not line.startswith("#")
        for cidr in line.split()[1:]
    ]
    assert {name for _, name in blocks} == {
        "google", "microsoft", "proofpoint", "mimecast", "barracuda", "cisco", "trendmicro", "hornetsecurity",
        "checkpoint",
    }  # fmt: skip
    for number, (block, _) in enumerate(blocks):
        assert block.is_global
        for other, _ in blocks[:number]:
            assert block.version != other.version or not block.overlaps(other)


@pytest.mark.parametrize("line", ["a 10.0.0.1/8", "a 10.0.0.0/33", "a b", "a 1.2.3.4/x"])
def test_a_wrong_list_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(NetworksError, match="line 2"):
        Networks.read(f"# first\n{line}\n")


async def test_the_list_is_read_again_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "networks.txt"
    file.write_text("ours 203.0.113.0/24\n")
    counters = AggregatorMetrics(CollectorRegistry())
    keeper = keeper_of(str(file), counters)
    mine = Judge(lambda: keeper.known, lambda: NAMES)
    assert mine(CLICK, CHROME, False, HOME_IP) == (HUMAN, None)
    await keeper.refresh()
    assert mine(CLICK, CHROME, False, HOME_IP) == (MACHINE, "network:ours")
    file.write_text("other 203.0.113.0/99\n")
    await keeper.refresh()
    assert mine(CLICK, CHROME, False, HOME_IP) == (MACHINE, "network:ours")
    file.unlink()
    await keeper.refresh()
    assert mine(CLICK, CHROME, False, HOME_IP) == (MACHINE, "network:ours")


async def test_the_list_may_be_at_a_url() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="ours 203.0.113.0/24\n") if request.path == "/list" else web.Response(status=500)

    app = web.Application()
    app.router.add_get("/{path}", answer)
    async with listening(web.AppRunner(app, access_log=None, shutdown_timeout=0.1)) as url:
        for path, found in (("down", None), ("list", "ours")):
            keeper = keeper_of(f"{url}/{path}", AggregatorMetrics(CollectorRegistry()))
            await keeper.refresh()
            assert keeper.known.of(HOME_IP, number_4(HOME_IP)) == found


async def test_a_list_of_agents_is_read_again_and_what_was_judged_by_the_old_one_is_judged_anew(tmp_path: Path) -> None:
    file = tmp_path / "agents.json"
    file.write_text('[{"pattern": "^Acme-Sweep\\\\/", "tags": ["scanner"]}, "Frobnicator\\\\.example"]')
    counters = AggregatorMetrics(CollectorRegistry())
    keeper = ListKeeper(NAMES, AgentNames.read, str(file), 3600.0, counters.agents_refreshes)
    mine = Judge(Networks.shipped, lambda: keeper.known)
    for agent in (b"Acme-Sweep/2.0 (Linux)", b"Frobnicator.example (Linux) 3"):
        assert mine(CLICK, agent, False, HOME_IP) == (HUMAN, None)
    await keeper.refresh()
    assert mine(CLICK, b"Acme-Sweep/2.0 (Linux)", False, HOME_IP) == (MACHINE, "agent:scanner")
    assert mine(CLICK, b"Frobnicator.example (Linux) 3", False, HOME_IP) == (MACHINE, "agent:crawler")
    assert mine(CLICK, b"Reader (Linux) for Acme-Sweep/2.0", False, HOME_IP) == (HUMAN, None)
    for wrong in ("{", "{}", "[]", "[7]", '[{"tags": []}]', "\udcff"):
        file.write_bytes(wrong.encode(errors="surrogateescape"))
        await keeper.refresh()
        assert mine(CLICK, b"Acme-Sweep/2.0 (Linux)", False, HOME_IP) == (MACHINE, "agent:scanner")
    counted = counters.agents_refreshes.labels
    assert (counted("read")._value.get(), counted("failed")._value.get()) == (1, 6)
