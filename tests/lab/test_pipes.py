"""What a line's state does to a connection: over real sockets, with real TLS."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionRefusedError, TimeoutError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater

from twistmail.lab import pipes
from twistmail.lab.forgery import NAME, Forgery
from twistmail.lab.links import LINK_STATES, Link
from twistmail.lab.pipes import Blot, Middle, connect


class Talker(Protocol):
    """Keeps what it hears; `until(octets)` waits for them."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost: Deferred[None] = Deferred()
        self._waiting: list[tuple[bytes, Deferred[None]]] = []

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        waiting, self._waiting = self._waiting, []
        for octets, deferred in waiting:
            if octets in self.heard:
                deferred.callback(None)
            else:
                self._waiting.append((octets, deferred))

    def until(self, octets: bytes) -> Deferred[None]:
        deferred: Deferred[None] = Deferred()
        self._waiting.append((octets, deferred))
        self.dataReceived(b"")
        return deferred

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(None)


class Office:
    """A port that somebody listens on, and the two ends of one connection over a line."""

    def __init__(self, state: str, folder: Path) -> None:
        self.forgery = Forgery(folder, time.time())
        self.link = Link("blue", "green")
        self.link.state = state
        self.there = Talker()
        self.here = Talker()
        factory = Factory.forProtocol(lambda: self.there)
        factory.noisy = False
        self.port = reactor.listenTCP(0, factory, interface="127.0.0.1")

    async def connect(self) -> Talker:
        return await connect(self.link, reactor, self.port.getHost().port, lambda: self.here, forged=lambda: self.forgery)

    async def close(self) -> None:
        self.link.cut()
        await maybeDeferred(self.port.stopListening)
        await deferLater(reactor, 0)


@pytest.fixture
def office(tmp_path):
    made = []

    def make(state="whole"):
        made.append(Office(state, tmp_path))
        return made[-1]

    yield make
    for one in made:
        pytest_twisted.blockon(Deferred.fromCoroutine(one.close()))


# ----- the whole line


@pytest_twisted.ensureDeferred
async def test_a_whole_line_brings_every_octet_both_ways(office):
    green = office()
    here = await green.connect()
    here.transport.write(b"HELO blue\r\n")
    await green.there.until(b"HELO blue\r\n")
    green.there.transport.write(bytes(300_000) + b"end")
    await here.until(b"end")
    assert len(here.heard) == 300_003


@pytest_twisted.ensureDeferred
async def test_who_hangs_up_is_heard_on_the_other_side_behind_all_that_he_has_said(office):
    green = office()
    here = await green.connect()
    here.transport.write(b"QUIT\r\n")
    here.transport.loseConnection()
    await green.there.lost
    assert green.there.heard == b"QUIT\r\n"
    await deferLater(reactor, 0.01)
    assert not green.link.pipes


@pytest_twisted.ensureDeferred
async def test_a_refusal_is_the_other_office_s_own(office):
    green = office()
    port = green.port.getHost().port
    await green.port.stopListening()
    with pytest.raises(ConnectionRefusedError):
        await connect(green.link, reactor, port, Talker, forged=lambda: green.forgery)


@pytest_twisted.ensureDeferred
async def test_the_door_of_a_pipe_lets_one_in_and_closes(office):
    green = office()
    await green.connect()
    (pipe,) = green.link.pipes
    with pytest.raises(ConnectionRefusedError):
        await connect(Link("red", "blue"), reactor, pipe.port, Talker, forged=lambda: green.forgery)


# ----- broken lines


def test_whoever_calls_into_a_black_hole_waits_until_he_gives_up():
    clock, link, ends = Clock(), Link("blue", "green"), []
    link.state = "black hole"
    calling = Deferred.fromCoroutine(connect(link, clock, 25, Talker, forged=object, timeout=30.0))
    calling.addErrback(lambda failure: ends.append(failure.type))
    clock.advance(29.9)
    assert not ends
    clock.advance(0.2)
    assert ends == [TimeoutError]


@pytest.mark.parametrize(("before", "after", "lasts"), [
    pytest.param("whole", "slow", True, id="what-is-open-gets-slow"),
    pytest.param("whole", "cut in content", True, id="and-is-cut-when-it-comes-to-the-content"),
    pytest.param("whole", "black hole", False, id="a-hole-swallows-it"),
    pytest.param("whole", "no STARTTLS", False, id="a-firewall-knows-nothing-of-it"),
    pytest.param("wrong certificate", "whole", False, id="who-sat-in-the-middle-is-gone"),
])  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_what_becomes_of_an_open_connection(office, before, after, lasts):
    green = office(before)
    here = await green.connect()
    here.transport.write(b"x")
    await green.there.until(b"x")
    green.link.state = after
    await deferLater(reactor, 0.01)
    assert bool(green.link.pipes) == lasts
    assert here.lost.called != lasts
    assert green.there.lost.called != lasts


@pytest_twisted.ensureDeferred
async def test_a_slow_line_takes_its_time_in_both_directions(office, monkeypatch):
    monkeypatch.setattr(pipes, "CRAWL", pipes.CRAWL.__class__(0.1, 10_000.0))
    green = office("slow")
    here = await green.connect()
    began = reactor.seconds()
    here.transport.write(b"EHLO blue\r\n")
    await green.there.until(b"EHLO blue\r\n")
    there_at = reactor.seconds()
    green.there.transport.write(bytes(1000) + b"!")
    await here.until(b"!")
    assert there_at - began >= 0.1
    assert reactor.seconds() - there_at >= 0.2


@pytest_twisted.ensureDeferred
async def test_who_says_more_than_a_slow_line_takes_is_not_read_any_more(office):
    green = office("slow")
    here = await green.connect()
    here.transport.write(bytes(8_000_000))
    await deferLater(reactor, 0.05)
    assert len(here.transport.dataBuffer) > 1_000_000  # it waits with who says it, not with us
    green.link.cut()
    await here.lost


@pytest_twisted.ensureDeferred
async def test_no_starttls_reaches_the_client_and_all_else_does(office):
    green = office("no STARTTLS")
    here = await green.connect()
    for piece in (b"250-mx.green.test\r\n250-STA", b"RTTLS\r\n250-SIZE\r\n", b"250 STARTTLS\r\n"):
        green.there.transport.write(piece)
        await deferLater(reactor, 0.01)
    await here.until(b"\n250 XXXXXXXA\r\n")
    assert here.heard == b"250-mx.green.test\r\n250-XXXXXXXA\r\n250-SIZE\r\n250 XXXXXXXA\r\n"


@pytest_twisted.ensureDeferred
async def test_with_the_wrong_certificate_somebody_in_the_middle_reads_along(office):
    from twisted.internet.ssl import CertificateOptions

    green = office("wrong certificate")
    here = await green.connect()
    here.transport.write(b"PROXY TCP4 192.0.2.10 192.0.2.20 5 25\r\nEHLO blue\r\nSTARTTLS\r\n")
    await green.there.until(b"STARTTLS\r\n")
    green.there.transport.write(b"220 2.0.0 Go ahead\r\n")
    green.there.transport.startTLS(Forgery(green.forgery._path.parent / "..", time.time()))
    await here.until(b"Go ahead\r\n")
    here.transport.startTLS(CertificateOptions())
    here.transport.write(b"EHLO blue again\r\n")
    await green.there.until(b"EHLO blue again\r\n")
    green.there.transport.write(b"250 Hello\r\n")
    await here.until(b"250 Hello\r\n")
    assert here.transport.getPeerCertificate().to_cryptography().subject.rfc4514_string() == f"CN={NAME}"


# ----- who sits on the line


@pytest.mark.parametrize("cut", range(20))
def test_the_offer_is_blotted_out_however_it_is_cut(cut):
    blot, said = Blot(), b"250-SIZE\r\n250 STARTTLS\r\n"
    assert blot.feed(said[:cut]) + blot.feed(said[cut:]) == b"250-SIZE\r\n250 XXXXXXXA\r\n"


@pytest.mark.parametrize(("dialogue", "pounces"), [
    pytest.param([("C", b"EHLO x\r\n"), ("S", b"250 STARTTLS\r\n"), ("C", b"STARTTLS\r\n"), ("S", b"220 Go\r\n")], 1, id="agreed"),
    pytest.param([("C", b"start"), ("C", b"tls\r\n"), ("S", b"220 Go\r\n"), ("S", b"220 Go\r\n")], 1, id="in-pieces-and-once"),
    pytest.param([("C", b"STARTTLS\r\n"), ("S", b"454 Not now\r\n"), ("S", b"220 x\r\n")], 0, id="refused"),
    pytest.param([("S", b"220 mx.green.test\r\n"), ("C", b"NOOP STARTTLS\r\n"), ("S", b"220 x\r\n")], 0, id="not-asked"),
])  # fmt: skip
def test_when_the_one_in_the_middle_steps_in(dialogue, pounces):
    seen = []
    middle = Middle(lambda: seen.append(True))
    for side, octets in dialogue:
        assert (middle.asked if side == "C" else middle.answered)(octets) == octets
        if side == "S":
            middle.pounce()
    assert len(seen) == pounces


@pytest.mark.parametrize("state", LINK_STATES)
def test_every_state_can_be_set_and_unset(state):
    link = Link("blue", "green")
    link.state = state
    assert link.state == state
    link.state = "whole"
    assert link.state == "whole"


def test_there_is_no_other_state():
    with pytest.raises(ValueError, match="on fire is none of: whole, black hole"):
        Link("blue", "green").state = "on fire"
