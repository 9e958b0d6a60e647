"""What the pretend name server answers, as messages of the DNS."""

from __future__ import annotations

from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from twistmail.lab.nameserver import MOST_CONNECTIONS, PATIENCE, NameServer, Streams
from twistmail.lab.offices import OFFICES
from twistmail.lab.zones import Zones


class House:
    def __init__(self) -> None:
        self.zones = Zones(OFFICES)
        self.told: list[Any] = []
        self.server = NameServer(self.zones, Clock(), self.told.append)

    def ask(self, name: str, kind: str, way: str = "udp", **more: Any) -> dns.message.Message | None:
        octets = self.server.reply(dns.message.make_query(name, kind, **more).to_wire(), way=way, client="127.0.0.1:5")
        return None if octets is None else dns.message.from_wire(octets)


@pytest.fixture
def house() -> House:
    return House()


def test_an_mx_comes_with_the_address_of_the_server(house: House) -> None:
    answer = house.ask("green.test", "MX")
    assert answer is not None
    assert [rrset.to_text() for rrset in answer.answer] == ["green.test. 5 IN MX 10 mx.green.test."]
    assert [rrset.to_text() for rrset in answer.additional] == ["mx.green.test. 5 IN A 192.0.2.20"]
    assert answer.flags & dns.flags.AA
    assert house.told == [{"question": "green.test", "type": "MX", "answer": ("MX 10 mx.green.test.",), "result": "found", "ms": 0.0,
                           "way": "udp", "from": "127.0.0.1:5"}]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind", "code", "result"),
    [
        pytest.param("nowhere.test", "A", dns.rcode.NXDOMAIN, "NXDOMAIN", id="no such name"),
        pytest.param("green.test", "A", dns.rcode.NOERROR, "nothing of that kind", id="no such kind"),
        pytest.param("test", "A", dns.rcode.NOERROR, "nothing of that kind", id="above a name that there is"),
        pytest.param("example.com", "MX", dns.rcode.NXDOMAIN, "NXDOMAIN", id="the real Internet is not known"),
        pytest.param("GREEN.test", "MX", dns.rcode.NOERROR, "found", id="capitals"),
        pytest.param("green.test", "ANY", dns.rcode.NOERROR, "nothing of that kind", id="any"),
    ],
)
def test_what_is_not_there_is_said_with_a_time_for_which_to_believe_it(
    house: House, name: str, kind: str, code: int, result: str
) -> None:
    answer = house.ask(name, kind)
    assert answer is not None
    assert answer.rcode() == code
    assert house.told[0]["result"] == result
    if result != "found":
        assert answer.authority[0][0].minimum == 5


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        pytest.param("NXDOMAIN", dns.rcode.NXDOMAIN, id="no such name"),
        pytest.param("SERVFAIL", dns.rcode.SERVFAIL, id="a server that fails"),
        pytest.param("silent", None, id="no answer at all"),
    ],
)
def test_a_broken_name_is_broken_for_everybody_and_told(house: House, trouble: str, code: int | None) -> None:
    house.zones.break_name("green.test", trouble)
    answer = house.ask("green.test", "MX")
    assert (None if answer is None else answer.rcode()) == code
    assert house.told[0]["result"] == trouble
    assert house.told[0]["answer"] == ()


def test_an_alias_is_followed_and_its_end_may_not_exist(house: House) -> None:
    house.zones.set("mail.green.test", "CNAME", ["mx.green.test"])
    answer = house.ask("mail.green.test", "A")
    assert answer is not None
    assert [rrset.to_text().split()[3:] for rrset in answer.answer] == [["CNAME", "mx.green.test."], ["A", "192.0.2.20"]]
    house.zones.set("mail.green.test", "CNAME", ["gone.test"])
    answer = house.ask("mail.green.test", "A")
    assert answer is not None
    assert answer.rcode() == dns.rcode.NXDOMAIN


def test_what_is_too_long_for_a_datagram_is_asked_again_by_tcp(house: House) -> None:
    house.zones.set("long.test", "TXT", ["x" * 900])
    short = house.ask("long.test", "TXT")
    assert short is not None
    assert short.flags & dns.flags.TC
    assert not short.answer
    larger = house.ask("long.test", "TXT", use_edns=0, payload=4096)
    assert larger is not None
    assert not larger.flags & dns.flags.TC
    whole = house.ask("long.test", "TXT", way="tcp")
    assert whole is not None
    assert sum(map(len, whole.answer[0][0].strings)) == 900


@given(st.binary(max_size=600))
@settings(max_examples=200)
def test_no_octets_do_harm(octets: bytes) -> None:
    house = House()
    reply = house.server.reply(octets, way="udp", client="")
    assert reply is None or len(reply) <= 1232


def test_an_answer_is_not_answered_and_other_orders_are_refused(house: House) -> None:
    query = dns.message.make_query("green.test", "MX")
    answer = dns.message.make_response(query)
    assert house.server.reply(answer.to_wire(), way="udp", client="") is None
    query.set_opcode(5)  # UPDATE
    reply = house.server.reply(query.to_wire(), way="udp", client="")
    assert reply is None or dns.message.from_wire(reply).rcode() == dns.rcode.NOTIMP


class _Transport(StringTransport):
    def abortConnection(self) -> None:
        self.disconnected = True


def test_by_tcp_messages_come_with_their_length_in_any_pieces() -> None:
    house, clock = House(), Clock()
    factory = Streams(house.server, clock)
    stream: Any = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 9))
    transport = _Transport()
    stream.makeConnection(transport)
    message = dns.message.make_query("green.test", "MX").to_wire()
    for octet in (len(message).to_bytes(2, "big") + message) * 2:
        stream.dataReceived(bytes([octet]))
    said = transport.value()
    size = int.from_bytes(said[:2], "big")
    assert len(said) == 2 * (2 + size)
    assert dns.message.from_wire(said[2 : 2 + size]).answer
    clock.advance(PATIENCE + 1)
    assert getattr(transport, "disconnected", False), "who says nothing for long is cut off"
    stream.connectionLost()
    assert not factory.connections


def test_connections_are_bounded() -> None:
    factory = Streams(House().server, Clock())
    streams = [factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", port)) for port in range(MOST_CONNECTIONS)]
    for stream in streams:
        assert stream is not None
        stream.makeConnection(_Transport())
    assert factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 9)) is None
