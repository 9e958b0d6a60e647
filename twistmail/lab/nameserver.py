"""A name server that answers from the pretend zones, by UDP and TCP (RFC 1035 §4.2), and tells what it was asked.

Each office has one of its own, on a port of its own: so it is known who asks. `dig` may ask too. It knows nothing but the
zones; what is not there does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol

from twistmail.lab.zones import TTL, Zones

SILENT = "silent"
#: Octets of an answer by UDP to who says nothing of it (RFC 1035 §2.3.4), and to anybody (DNS Flag Day 2020).
PLAIN_SIZE, MOST_SIZE = 512, 1232
#: By TCP: seconds without a question, and connections at a time.
PATIENCE, MOST_CONNECTIONS = 10.0, 50
SOA = "ns.test. postmaster.test. 1 60 60 600 5"


class NameServer:
    """`tell`(what) hears of each question: {"question", "type", "answer": (text, ...), "result", "ms", "way", "from"}."""

    def __init__(self, zones: Zones, clock: Any, tell: Callable[[Mapping[str, Any]], Any]) -> None:
        self._zones = zones
        self._clock = clock
        self._tell = tell

    def reply(self, octets: bytes, *, way: str, client: str) -> bytes | None:
        """The answer to the message *octets*; None: there is none to give. `way`: "udp" or "tcp"."""
        began = self._clock.seconds()
        try:
            asked = dns.message.from_wire(octets, ignore_trailing=True)
        except (dns.exception.DNSException, ValueError):
            return None
        if asked.flags & dns.flags.QR:
            return None
        answer = dns.message.make_response(asked)
        if asked.opcode() != dns.opcode.QUERY or len(asked.question) != 1:
            answer.set_rcode(dns.rcode.NOTIMP if asked.opcode() != dns.opcode.QUERY else dns.rcode.FORMERR)
            return answer.to_wire()
        question = asked.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        result = self._answer(answer, name, kind) if question.rdclass == dns.rdataclass.IN else _refuse(answer)
        texts = tuple(f"{dns.rdatatype.to_text(rrset.rdtype)} {one.to_text()}" for rrset in answer.answer for one in rrset)
        if result == SILENT:
            texts = ()
        self._tell({"question": name, "type": kind, "answer": texts, "result": result, "way": way, "from": client,
                    "ms": round((self._clock.seconds() - began) * 1000, 1)})  # fmt: skip
        return None if result == SILENT else _fitted(answer, asked, way)

    def _answer(self, answer: dns.message.Message, name: str, kind: str) -> str:
        """Fill *answer*; in a word, what it says."""
        answer.flags |= dns.flags.AA
        answer.flags |= dns.flags.RA
        chain, end = self._zones.chain(name, kind)
        trouble = self._zones.trouble.get(name) or self._zones.trouble.get(end, "")
        if trouble == SILENT:
            return SILENT
        if trouble == "SERVFAIL":
            answer.set_rcode(dns.rcode.SERVFAIL)
            return "SERVFAIL"
        answer.answer = [] if trouble else chain
        if trouble or not self._zones.exists(end):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        if not answer.answer or answer.answer[-1].rdtype != dns.rdatatype.from_text(kind):
            answer.authority = [dns.rrset.from_text("test.", TTL, "IN", "SOA", SOA)]
            return "NXDOMAIN" if answer.rcode() == dns.rcode.NXDOMAIN else "nothing of that kind"
        if kind == "MX":
            answer.additional = self._addresses(answer.answer[-1])
        return "found"

    def _addresses(self, exchanges: dns.rrset.RRset) -> list[dns.rrset.RRset]:
        """Where the servers of an MX answer are, so that nobody has to ask for that (RFC 1035 §3.3.9)."""
        names = dict.fromkeys(one.exchange.to_text(omit_final_dot=True).lower() for one in exchanges)
        found = (self._zones.find(name, kind) for name in names if name not in self._zones.trouble for kind in ("A", "AAAA"))
        return [rrset for rrset in found if rrset is not None]


def _refuse(answer: dns.message.Message) -> str:
    answer.set_rcode(dns.rcode.REFUSED)
    return "REFUSED"


def _fitted(answer: dns.message.Message, asked: dns.message.Message, way: str) -> bytes:
    """As octets; by UDP cut where they are too many, with the bit that lets people ask again by TCP."""
    if way == "tcp":
        return answer.to_wire(max_size=65535)
    most = min(max(asked.payload, PLAIN_SIZE), MOST_SIZE) if asked.edns >= 0 else PLAIN_SIZE
    try:
        return answer.to_wire(max_size=most)
    except dns.exception.TooBig:
        answer.flags |= dns.flags.TC
        answer.answer, answer.authority, answer.additional = [], [], []
        return answer.to_wire(max_size=most)


class Datagrams(DatagramProtocol):
    """UDP."""

    def __init__(self, server: NameServer) -> None:
        self._server = server

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        if (reply := self._server.reply(datagram, way="udp", client=f"{addr[0]}:{addr[1]}")) is not None:
            self.transport.write(reply, addr)


class Streams(Factory):
    """TCP: every message with its length in front."""

    noisy = False

    def __init__(self, server: NameServer, clock: Any) -> None:
        self.server = server
        self.clock = clock
        self.connections: set[_Stream] = set()

    def buildProtocol(self, addr: Any) -> Protocol | None:
        return _Stream(self, f"{addr.host}:{addr.port}") if len(self.connections) < MOST_CONNECTIONS else None


class _Stream(Protocol):
    transport: Any

    def __init__(self, factory: Streams, client: str) -> None:
        self._factory = factory
        self._client = client
        self._buffer = b""
        self._timer: Any = None

    def connectionMade(self) -> None:
        self._factory.connections.add(self)
        self._timer = self._factory.clock.callLater(PATIENCE, self.transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 2 and len(self._buffer) >= 2 + (size := int.from_bytes(self._buffer[:2])):
            message, self._buffer = self._buffer[2 : 2 + size], self._buffer[2 + size :]
            self._timer.reset(PATIENCE)
            if (reply := self._factory.server.reply(message, way="tcp", client=self._client)) is not None:
                self.transport.write(len(reply).to_bytes(2) + reply)

    def connectionLost(self, reason: Any = None) -> None:
        self._factory.connections.discard(self)
        if self._timer.active():
            self._timer.cancel()
