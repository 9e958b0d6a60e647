"""Logins for other daemons, over the real pump: many at a time on one connection, each with its own end."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.dialogues.player import FakeTransport
from tests.helpers import OPEN, TOOLS
from tests.wire.sasl.clients import ScramClient
from twistmail.facts import Fact, Facts, LoggedIn, LoginFailed
from twistmail.memory.people import MemoryPeople
from twistmail.servers.authsocket import AuthSocketService, open_connection
from twistmail.servers.login import Login
from twistmail.servers.pump import Pump
from twistmail.servers.throttle import Throttle
from twistmail.tasks import Inline
from twistmail.wire.sasl.spelling import decode, encode

HELLO = b"VERSION\t1\t1\nCPID\t9\n"
ANN = encode(b"\0ann\0secret").decode()
WRONG = encode(b"\0ann\0wrong").decode()


class Socket:
    """A daemon's connection. `say` returns the lines that come back at once."""

    def __init__(self, most: int = 10) -> None:
        self.clock = Clock()
        self.facts = Facts()
        self.told: list[Fact] = []
        self.facts.listen(self.told.append)
        self.people = MemoryPeople({"ann@here.example": "secret"}, "here.example")
        throttle = Throttle()

        def login(service: str) -> Login:
            return Login(self.people, throttle, self.clock, self.facts, lambda: 0.0, jitter=lambda: 0.0, tools=TOOLS, openness=OPEN,
                         mechanisms=("SCRAM-SHA-256", "PLAIN", "LOGIN"), accounts=self.people, default_domain="here.example",
                         service=service, threads=Inline())

        service = AuthSocketService(login, most, 77, count(1), lambda: "nonce")
        self.transport = FakeTransport()
        wire, session = open_connection(service, "c1", "unix", 0)
        self.pump = Pump("c1", wire, session, self.clock, self.facts, epoch=lambda: 0.0)
        self.pump.makeConnection(self.transport)
        self.greeting = self.heard()
        self.say(HELLO)

    def say(self, octets: bytes) -> list[str]:
        self.pump.dataReceived(octets)
        return self.heard()

    def heard(self) -> list[str]:
        octets = self.transport.value()
        self.transport.clear()
        return octets.decode().splitlines()

    def whats(self) -> list[Any]:
        return [fact.what for fact in self.told if isinstance(fact.what, LoggedIn | LoginFailed)]


def test_a_daemon_is_told_what_there_is_at_once() -> None:
    greeting = Socket().greeting
    assert greeting[:4] == ["VERSION\t1\t2", "MECH\tSCRAM-SHA-256\tmutual-auth", "MECH\tPLAIN\tplaintext", "MECH\tLOGIN\tplaintext"]
    assert greeting[4:6] == ["SPID\t77", "CUID\t1"]
    assert greeting[-1] == "DONE"


def test_a_right_password_is_answered_with_the_account() -> None:
    socket = Socket()
    assert socket.say(f"AUTH\t1\tPLAIN\tservice=smtp\trip=192.0.2.7\tsecured\tresp={ANN}\n".encode()) == ["OK\t1\tuser=ann@here.example"]
    assert socket.whats() == [LoggedIn("ann@here.example", "PLAIN", "submission", "192.0.2.7")]


def test_a_wrong_one_waits_and_others_do_not_wait_for_it() -> None:
    socket = Socket()
    assert socket.say(f"AUTH\t1\tPLAIN\trip=192.0.2.8\tsecured\tresp={WRONG}\n".encode()) == []
    assert socket.say(f"AUTH\t2\tPLAIN\trip=192.0.2.7\tsecured\tresp={ANN}\n".encode()) == ["OK\t2\tuser=ann@here.example"]
    socket.clock.advance(2)
    assert socket.heard() == ["FAIL\t1"]
    assert socket.whats()[0] == LoginFailed("ann", "PLAIN", "other", "192.0.2.8")


def test_a_dialogue_goes_on_by_its_number() -> None:
    socket = Socket()
    assert socket.say(b"AUTH\t5\tLOGIN\tsecured\n") == ["CONT\t5\tVXNlcm5hbWU6"]
    assert socket.say(b"CONT\t5\t" + encode(b"ann") + b"\n") == ["CONT\t5\tUGFzc3dvcmQ6"]
    assert socket.say(b"CONT\t5\t" + encode(b"secret") + b"\n") == ["OK\t5\tuser=ann@here.example"]


@pytest.mark.parametrize("at_once", [False, True])
def test_scram_ends_with_our_proof(at_once: bool) -> None:
    socket, client = Socket(), ScramClient("SCRAM-SHA-256", "ann", "secret")
    word = b"\tfinal-resp-ok" if at_once else b""
    (line,) = socket.say(b"AUTH\t1\tSCRAM-SHA-256\tsecured%b\tresp=%b\n" % (word, encode(client.first)))
    (line,) = socket.say(b"CONT\t1\t%b\n" % encode(client.final(decode(line.split("\t")[2].encode()) or b"")))
    if at_once:
        assert line.startswith("OK\t1\tuser=ann@here.example\tresp=")
        assert client.believes(decode(line.split("resp=")[1].encode()) or b"")
    else:
        assert client.believes(decode(line.split("\t")[2].encode()) or b"")
        assert socket.say(b"CONT\t1\t\n") == ["OK\t1\tuser=ann@here.example"]


@pytest.mark.parametrize(("said", "answer"), [
    pytest.param(b"AUTH\t1\tNONSENSE\tsecured\n", "FAIL\t1\treason=That mechanism is not offered", id="no-such-mechanism"),
    pytest.param(b"AUTH\t1\tPLAIN\tsecured\tresp=AAAA\n", None, id="malformed"),
    pytest.param(b"CONT\t1\tAAAA\n", "FAIL\t1", id="an-answer-to-nothing"),
])
def test_what_goes_wrong_has_its_end(said: bytes, answer: str | None) -> None:
    lines = Socket().say(said)
    assert len(lines) == 1
    assert lines[0] == answer if answer else lines[0].startswith("FAIL\t1\treason=")


def test_while_accounts_are_away_it_is_a_temporary_failure() -> None:
    socket = Socket()
    socket.people.available = False
    (line,) = socket.say(f"AUTH\t1\tPLAIN\tsecured\tresp={ANN}\n".encode())
    assert line.startswith("FAIL\t1\ttemp\t")
    socket.people.available = True
    assert socket.say(f"AUTH\t1\tPLAIN\tsecured\tresp={ANN}\n".encode()) == ["OK\t1\tuser=ann@here.example"]


def test_what_is_cancelled_is_answered_no_more_and_its_number_is_free() -> None:
    socket = Socket()
    socket.say(f"AUTH\t1\tPLAIN\trip=192.0.2.8\tsecured\tresp={WRONG}\n".encode())
    assert socket.say(b"CANCEL\t1\n") == []
    assert socket.say(f"AUTH\t1\tPLAIN\trip=192.0.2.7\tsecured\tresp={ANN}\n".encode()) == ["OK\t1\tuser=ann@here.example"]
    socket.clock.advance(60)
    assert socket.heard() == []


def test_no_more_are_under_way_than_are_allowed() -> None:
    socket = Socket(most=3)
    for number in range(1, 4):
        assert socket.say(b"AUTH\t%d\tLOGIN\tsecured\n" % number) == [f"CONT\t{number}\tVXNlcm5hbWU6"]
    assert socket.say(b"AUTH\t4\tLOGIN\tsecured\n") == ["FAIL\t4\ttemp"]
    assert socket.say(b"AUTH\t3\tLOGIN\tsecured\n") == ["FAIL\t3\ttemp"]


def test_who_speaks_nonsense_is_left() -> None:
    socket = Socket()
    assert socket.say(b"AUTH\tone\tPLAIN\n") == []
    assert socket.transport.closed


def test_a_daemon_that_goes_away_is_let_go_with_its_logins() -> None:
    socket = Socket()
    socket.say(f"AUTH\t1\tPLAIN\trip=192.0.2.8\tsecured\tresp={WRONG}\n".encode())
    socket.pump.connectionLost(None)
    socket.clock.advance(60)
    assert socket.heard() == []
