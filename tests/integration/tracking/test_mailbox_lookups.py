"""Mailbox providers by MX records: a real DNS server on loopback, asked as tracking-service asks it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from postmeter.shared.process.nameservers import resolver
from postmeter.tracking.metrics import TrackingMetrics
from postmeter.tracking.recipients import mx_lookups
from postmeter.tracking.recipients.mailbox_providers import MailboxExchangers, MailboxProviders
from postmeter.tracking.recipients.mailboxes import Mailboxes
from postmeter.tracking.recipients.mx_lookups import Bounds, MxLookups
from tests.dns_server import DnsServer, dns_server
from tests.waiting import until

WORKSPACE_HOST = "1 aspmx.l.google.com."


class MailboxLookups:
    """A DNS server, and what a tracking-service knows and asks."""

    def __init__(self, dns: DnsServer) -> None:
        self.dns = dns
        self.registry = CollectorRegistry()
        asked = [("127.0.0.1", dns.port)]
        through = resolver(asked, "POSTMETER_MAILBOX_NAMESERVERS", 0.2)
        # A machine under load answers late; who tests lateness sets his own time.
        patient = Bounds(request_seconds=20)
        self.lookups = MxLookups(through, MailboxExchangers.load(), TrackingMetrics(self.registry), patient)
        self.mailboxes = Mailboxes(MailboxProviders.load(), self.lookups)

    def bound(self, **changes: Any) -> None:
        self.lookups.bounds = replace(self.lookups.bounds, **changes)

    async def of(self, *domains: str, workspace: int = 1) -> list[str]:
        """The providers as a request finds them."""
        await self.mailboxes.prepare(workspace, domains)
        return [self.mailboxes.of(domain) for domain in domains]

    def known(self, domain: str) -> Any:
        async def reached() -> bool:
            return bool(self.mailboxes.of(domain))

        return until(reached)

    def counted(self) -> dict[str, float]:
        metrics = [sample for metric in self.registry.collect() for sample in metric.samples]
        name = "postmeter_mailbox_lookups_total"
        return {sample.labels["result"]: sample.value for sample in metrics if sample.name == name and sample.value}

    def late(self) -> float | None:
        return self.registry.get_sample_value("postmeter_mailbox_lookups_late_total")


@pytest.fixture
async def world() -> AsyncIterator[MailboxLookups]:
    async with dns_server() as dns:
        made = MailboxLookups(dns)
        try:
            yield made
        finally:
            await made.mailboxes.close()


async def test_a_domain_that_is_not_listed_is_named_by_who_takes_its_mail(world: MailboxLookups) -> None:
    world.dns.exchangers |= {
        "workspace.example": ["1 ASPMX.L.Google.COM.", "5 alt1.aspmx.l.google.com."],
        "new-workspace.example": ["1 smtp.google.com."],
        "gmail.example": ["5 gmail-smtp-in.l.google.com."],
        "office.example": ["0 office-example.mail.protection.outlook.com."],
        "dane.example": ["0 dane-example.o-v1.mx.microsoft."],
        "hotmail.example": ["0 hotmail-example.olc.protection.outlook.com."],
        "apple.example": ["10 mx01.mail.icloud.com.", "10 mx02.mail.icloud.com."],
        "fast.example": ["10 in1-smtp.messagingengine.com."],
        "gateway.example": ["10 eu-smtp-inbound-1.mimecast.com."],
        "own.example": ["10 mx.own.example."],
        "lookalike.example": ["10 mx.notgoogle.com.", "10 google.com.mx.example."],
    }
    named = dict(zip(world.dns.exchangers, await world.of(*world.dns.exchangers), strict=True))
    assert named == {
        "workspace.example": "google_workspace",
        "new-workspace.example": "google_workspace",
        "gmail.example": "gmail",
        "office.example": "microsoft_365",
        "dane.example": "microsoft_365",
        "hotmail.example": "outlook",
        "apple.example": "icloud",
        "fast.example": "fastmail",
        "gateway.example": "mimecast",
        "own.example": "",
        "lookalike.example": "",
    }
    assert world.counted() == {"named": 9, "unnamed": 2}
    assert world.late() == 0


async def test_the_host_that_is_tried_first_counts(world: MailboxLookups) -> None:
    world.dns.exchangers |= {
        "filtered.example": ["20 aspmx.l.google.com.", "10 mxa.pphosted.com."],
        "own-filter.example": ["20 aspmx.l.google.com.", "10 filter.example."],
        "two-alike.example": ["10 z.example.", "10 aspmx.l.google.com."],
    }
    assert await world.of(*world.dns.exchangers) == ["proofpoint", "", "google_workspace"]


async def test_domains_without_hosts_have_no_provider(world: MailboxLookups) -> None:
    world.dns.exchangers["no-mail.example"] = ["0 ."]  # RFC 7505
    world.dns.records["address-only.example"] = ["192.0.2.1"]
    world.dns.without_address.add("nothing.example")
    long = ".".join(["a" * 63] * 4)  # One character more than DNS can ask for.
    domains = ["no-mail.example", "address-only.example", "nothing.example", "not-there.example", long]
    assert await world.of(*domains) == [""] * 5
    assert world.counted() == {"unnamed": 5}


async def test_listed_domains_and_no_domain_are_not_asked_about(world: MailboxLookups) -> None:
    assert await world.of("gmail.com", "yahoo.fr", "") == ["gmail", "yahoo", ""]
    assert not world.dns.asked


async def test_a_domain_is_asked_about_once(world: MailboxLookups) -> None:
    world.dns.exchangers["shop.example"] = [WORKSPACE_HOST]
    together = await asyncio.gather(*(world.of("shop.example", "shop.example") for _ in range(20)))
    assert together == [["google_workspace"] * 2] * 20
    assert await world.of("shop.example", "none.example") == ["google_workspace", ""]
    assert await world.of("none.example") == [""]
    assert world.dns.asked == {"shop.example": 1, "none.example": 1}


async def test_an_answer_too_long_for_a_datagram_is_none(world: MailboxLookups) -> None:
    """Reading a long one would keep hits from being answered."""
    world.dns.exchangers["long.example"] = [WORKSPACE_HOST]
    world.dns.truncated.add("long.example")
    assert await world.of("long.example") == [""]
    assert world.dns.asked["long.example"] >= 1
    assert world.dns.asked_by_tcp["long.example"] == 0
    assert world.counted() == {"failed": 1}


async def test_what_comes_too_late_is_known_the_next_time(world: MailboxLookups) -> None:
    world.bound(request_seconds=0.05)
    world.dns.exchangers["slow.late.example"] = [WORKSPACE_HOST]
    world.dns.trouble["late.example"] = "silent"
    assert await world.of("slow.late.example") == [""]
    assert (world.late(), world.counted()) == (1, {})
    world.dns.trouble.clear()  # The look-up goes on, and asks again.
    await world.known("slow.late.example")
    assert await world.of("slow.late.example") == ["google_workspace"]
    assert (world.late(), world.counted()) == (1, {"named": 1})


@pytest.mark.parametrize("trouble", ["silent", "servfail", "refused"])
async def test_a_look_up_that_fails_is_not_repeated_at_once(world: MailboxLookups, trouble: Any) -> None:
    world.bound(lookup_seconds=0.1)
    world.dns.exchangers["a.down.example"] = [WORKSPACE_HOST]
    world.dns.trouble["down.example"] = trouble
    assert await world.of("a.down.example") == [""]
    assert world.counted() == {"failed": 1}
    asked = world.dns.asked["a.down.example"]
    world.dns.trouble.clear()
    assert await world.of("a.down.example") == [""]
    assert (world.counted(), world.dns.asked["a.down.example"]) == ({"failed": 1}, asked)


async def test_what_failed_is_asked_again_after_its_time(world: MailboxLookups) -> None:
    world.bound(lookup_seconds=0.1, failed_seconds=0)
    world.dns.exchangers["a.down.example"] = [WORKSPACE_HOST]
    world.dns.trouble["down.example"] = "servfail"
    assert await world.of("a.down.example") == [""]
    world.dns.trouble.clear()
    assert await world.of("a.down.example") == [""], "nobody waits for it"
    await world.known("a.down.example")


async def test_a_provider_stays_known_until_another_is(world: MailboxLookups) -> None:
    world.bound(known_seconds=0, lookup_seconds=0.1)
    world.dns.exchangers["a.moving.example"] = [WORKSPACE_HOST]
    assert await world.of("a.moving.example") == ["google_workspace"]
    world.dns.trouble["moving.example"] = "servfail"
    assert await world.of("a.moving.example") == ["google_workspace"]

    async def failed() -> bool:
        return "failed" in world.counted()

    await until(failed)
    world.bound(failed_seconds=0)
    assert world.mailboxes.of("a.moving.example") == "google_workspace", "a failure tells nothing new"


async def test_a_domain_that_moves_is_noticed(world: MailboxLookups) -> None:
    world.bound(known_seconds=0)
    world.dns.exchangers["a.example"] = [WORKSPACE_HOST]
    assert await world.of("a.example") == ["google_workspace"]
    world.dns.exchangers["a.example"] = ["0 a-example.mail.protection.outlook.com."]

    async def moved() -> bool:
        return await world.of("a.example") == ["microsoft_365"]

    await until(moved)


async def test_what_is_remembered_is_bounded(world: MailboxLookups) -> None:
    world.bound(remembered=3)
    world.dns.exchangers |= {f"{name}.example": [WORKSPACE_HOST] for name in "abcd"}
    for name in "abc":
        await world.of(f"{name}.example")
    await world.of("a.example", "d.example")  # b was not asked for longest.
    assert [name for name in "abcd" if world.mailboxes.of(f"{name}.example")] == ["a", "c", "d"]


async def test_questions_in_flight_and_waiting_are_bounded_in_all_and_of_one_workspace(world: MailboxLookups) -> None:
    world.bound(request_seconds=0.05, pending=20)
    world.dns.trouble["full.example"] = "silent"
    domains = [f"{number}.full.example" for number in range(30)]
    world.dns.exchangers |= {domain: [WORKSPACE_HOST] for domain in domains}
    assert await world.of(*domains) == [""] * 30
    assert (world.counted(), world.late()) == ({"skipped": 20}, 10)

    async def asked() -> bool:
        return len(world.dns.asked) == mx_lookups.OF_ONE

    await until(asked)
    # Another one has its domain looked up meanwhile.
    world.bound(request_seconds=20)
    world.dns.exchangers["other.example"] = [WORKSPACE_HOST]
    assert await world.of("other.example", workspace=2) == ["google_workspace"]
    assert len(world.dns.asked) == mx_lookups.OF_ONE + 1
    world.bound(request_seconds=0.05)
    world.dns.trouble.clear()

    async def all_known() -> bool:
        return world.counted() == {"skipped": 20, "named": 11}

    await until(all_known)
    assert len(world.dns.asked) == 11

    async def skipped_are_asked_too() -> bool:
        return await world.of(*domains) == ["google_workspace"] * 30

    await until(skipped_are_asked_too)


async def test_closing_waits_for_nobody(world: MailboxLookups) -> None:
    world.dns.trouble["silent.example"] = "silent"
    waiting = asyncio.create_task(world.of("a.silent.example", "b.silent.example"))

    async def asked() -> bool:
        return len(world.dns.asked) == 2

    await until(asked)
    await world.mailboxes.close()
    assert await waiting == ["", ""]
