"""A DNS server on loopback, UDP and TCP: its answers are what the test says they are."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Trouble = Literal["silent", "servfail", "refused", "wild"]


class DnsServer:
    """records: A records by name. exchangers: MX records by name, such as `10 mx.example.`. trouble: what is wrong
    with a zone, by its name. truncated: names whose answer does not fit into UDP. asked: questions by name;
    asked_by_tcp: those of them that came by TCP.
    """

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.exchangers: dict[str, list[str]] = {}
        self.trouble: dict[str, Trouble] = {}
        self.truncated: set[str] = set()
        self.without_address: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.asked_by_tcp: Counter[str] = Counter()
        self.port = 0

    def add_zone(self, zone: str, *listed: str, code: str = "127.0.0.2", ipv6: bool = True) -> None:
        """A zone as it should be: it lists its test entries and these reversed addresses."""
        self.records[f"2.0.0.127.{zone}"] = ["127.0.0.2"]
        if ipv6:
            self.records["2.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20 + f".{zone}"] = ["127.0.0.2"]
        for address in listed:
            self.records[f"{address}.{zone}"] = [code]

    def questions(self, zone: str) -> Counter[str]:
        """What was asked of a zone, and how often."""
        end = f".{zone}"
        return Counter({name.removesuffix(end): times for name, times in self.asked.items() if name.endswith(end)})

    def answer(self, wire: bytes, *, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True)
        self.asked[name] += 1
        self.asked_by_tcp[name] += tcp
        trouble = next((what for zone, what in self.trouble.items() if name.endswith(f".{zone}")), None)
        response = dns.message.make_response(query)
        if trouble == "silent":
            return None
        if trouble in ("servfail", "refused"):
            response.set_rcode(dns.rcode.from_text(trouble))
        elif name in self.truncated and not tcp:
            response.flags |= dns.flags.TC
        elif question.rdtype == dns.rdatatype.MX and name in self.exchangers:
            records = dns.rrset.from_text_list(question.name, 300, "IN", "MX", self.exchangers[name])
            response.answer.append(records)
        elif addresses := ["127.0.0.2"] if trouble == "wild" else self.records.get(name):
            response.answer.append(dns.rrset.from_text_list(question.name, 300, "IN", "A", addresses))
        elif name not in self.without_address:
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            size = int.from_bytes(await reader.readexactly(2), "big")
            wire = self.answer(await reader.readexactly(size), tcp=True)
            if wire is not None:
                writer.write(len(wire).to_bytes(2, "big") + wire)
                await writer.drain()
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self.server = server

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        wire = self.server.answer(data, tcp=False)
        if wire is not None:
            self.transport.sendto(wire, addr)


@asynccontextmanager
async def dns_server() -> AsyncIterator[DnsServer]:
    server = DnsServer()
    stream = await asyncio.start_server(server.speak, "127.0.0.1", 0)
    server.port = stream.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), ("127.0.0.1", server.port))
    try:
        yield server
    finally:
        datagrams.close()
        stream.close()
        await stream.wait_closed()
