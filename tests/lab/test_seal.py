"""The wall around the classroom: nothing gets further than this machine, whoever tries and by whatever way."""

from __future__ import annotations

import ipaddress
import smtplib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import ClientFactory, DatagramProtocol
from twisted.internet.testing import MemoryReactorClock

from tests.lab.living import Guest, living, wait_for
from twistmail import sections
from twistmail.config.load import load
from twistmail.lab.offices import OFFICES
from twistmail.lab.seal import Sealed, Unreachable, is_here, nothing_goes_around
from twistmail.lab.town import Town
from twistmail.plugins import discover
from twistmail.relay.connect import Dialer

LETTER = b"Subject: Out\r\n\r\nInto the world.\r\n"
#: What of a reactor opens something, and why that is no way out.
WAYS = {
    "connectTCP": "guarded",
    "connectSSL": "guarded",
    "listenUDP": "guarded",
    "listenMulticast": "refused",
    "spawnProcess": "refused",
    "resolve": "refused",
    "connectUNIX": "of this machine",
    "connectUNIXDatagram": "of this machine",
    "listenTCP": "only answers",
    "listenSSL": "only answers",
    "listenUNIX": "of this machine",
    "listenUNIXDatagram": "of this machine",
}


@pytest.mark.parametrize(
    ("host", "here"),
    [
        pytest.param("127.0.0.1", True, id="loopback"),
        pytest.param("127.9.9.9", True, id="all of 127/8"),
        pytest.param("::1", True, id="loopback of IPv6"),
        pytest.param("192.0.2.20", False, id="a pretend address"),
        pytest.param("0.0.0.0", False, id="any"),
        pytest.param("10.0.0.1", False, id="the LAN"),
        pytest.param("::ffff:10.0.0.1", False, id="the LAN in IPv6"),
        pytest.param("localhost", False, id="a name"),
        pytest.param("127.0.0.1.example.com", False, id="a name that looks like loopback"),
        pytest.param("", False, id="nothing"),
        pytest.param("2130706433", False, id="a number"),
    ],
)
def test_here_is_loopback_by_its_address(host: str, here: bool) -> None:
    assert is_here(host) is here
    inside = MemoryReactorClock()
    sealed = Sealed(inside)
    if here:
        sealed.connectTCP(host, 25, ClientFactory())
        assert len(inside.tcpClients) == 1
        return
    for way in (sealed.connectTCP, sealed.connectSSL):
        with pytest.raises(Unreachable):
            way(host, 25, ClientFactory(), None)
    assert not inside.tcpClients
    assert not inside.sslClients


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        pytest.param("[users]\nsource = http\n[http]\nurl = https://people.example/\n", True, id="accounts by http"),
        pytest.param("[aliases]\nsource = config ldap\n", True, id="aliases by ldap"),
        pytest.param("[acme]\nenabled = yes\n", True, id="certificates"),
        pytest.param("[oauth]\nissuer = https://login.example/\n", True, id="tokens"),
        pytest.param("[pipe:tickets]\ncommand = /usr/bin/true\n", True, id="a program of a route"),
        pytest.param("[mda]\ncommand = /usr/bin/true\n", True, id="a delivery agent"),
        pytest.param("[aliases]\nprograms = yes\n", True, id="programs of aliases"),
        pytest.param("[relay]\nprocess = yes\n", True, id="a process for connections"),
        pytest.param("[aliases]\nprograms = no\n[imap]\nidle_timeout = 1h\n", False, id="anything else"),
    ],
)
def test_an_office_refuses_what_would_go_around_the_wall(text: str, refused: bool, tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[server]\nhostname = mx.blue.test\n" + text)
    discovery = discover()
    loaded = load(sections.everything(discovery), tmp_path / "config.ini", (), {}, (nothing_goes_around,))
    assert any("asks nobody outside" in str(problem) for problem in loaded.problems) is refused
    assert not refused or loaded.config is None


def test_the_resolver_of_this_machine_is_not_to_be_had() -> None:
    with pytest.raises(Unreachable):
        _ = Sealed(reactor).nameResolver
    for install in (Sealed(reactor).installNameResolver, Sealed(reactor).installResolver):
        with pytest.raises(Unreachable):
            install(None)


def test_every_way_that_a_reactor_offers_is_known() -> None:
    ways = {name for name in dir(reactor) if name.startswith(("connect", "listen", "spawn", "resolve"))}
    assert ways - WAYS.keys() <= {"resolver"}, "is this a way out?"
    guarded = {name for name, what in WAYS.items() if what in ("guarded", "refused")}
    assert guarded <= vars(Sealed).keys()


def test_a_sealed_reactor_is_one() -> None:
    sealed = Sealed(reactor)
    assert IReactorTime.providedBy(sealed)
    assert sealed.seconds() <= reactor.seconds()
    with pytest.raises(PermissionError):
        sealed.spawnProcess(None, "/bin/true")
    with pytest.raises(Unreachable):
        sealed.listenMulticast(0, None)
    with pytest.raises(Unreachable):
        sealed.resolve("example.com")


@pytest_twisted.ensureDeferred
async def test_no_datagram_leaves() -> None:
    protocol = DatagramProtocol()
    port = Sealed(reactor).listenUDP(0, protocol, interface="127.0.0.1")
    try:
        with pytest.raises(Unreachable):
            port.connect("192.0.2.53", 53)
        with pytest.raises(Unreachable):
            protocol.transport.write(b"out", ("192.0.2.53", 53))
        protocol.transport.write(b"in", ("127.0.0.1", port.getHost().port))
    finally:
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_the_relay_s_own_dialer_gets_nowhere_through_the_wall() -> None:
    with pytest.raises(Unreachable):
        await Dialer(Sealed(reactor))("192.0.2.20", 25)


class _Watch:
    """Every address that a socket of this process is connected to, or sends to, or names that are looked up, while it looks."""

    def __init__(self) -> None:
        self.looking = False
        self.seen: list[tuple[str, Any]] = []
        sys.addaudithook(self._note)  # nobody can take it away again

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.looking and event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"):
            self.seen.append((event, arguments[0] if event.startswith("socket.get") else arguments[1]))

    @contextmanager
    def look(self) -> Iterator[list[tuple[str, Any]]]:
        self.seen.clear()
        self.looking = True
        try:
            yield self.seen
        finally:
            self.looking = False


WATCH = _Watch()


def is_on_this_machine(address: Any) -> bool:
    """Of a UNIX socket, of loopback, or None: to whom it was connected before."""
    host = address[0] if isinstance(address, tuple) else address
    if host is None or (isinstance(host, str | bytes) and host[:1] in ("/", b"/")):
        return True
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


@pytest.fixture
def place(tmp_path: Any) -> Iterator[tuple[Town, Guest]]:
    with WATCH.look(), living(tmp_path) as here:
        yield here


@pytest_twisted.ensureDeferred
async def test_whatever_people_write_into_the_dns_no_packet_leaves(place: tuple[Town, Guest]) -> None:
    town, guest = place
    town.zones.set("world.test", "MX", ["10 mx.world.test"])
    town.zones.set("mx.world.test", "A", ["198.51.100.7"])
    town.zones.set("mx.world.test", "AAAA", ["2001:db8::7"])
    town.zones.set("_mta-sts.world.test", "TXT", ["v=STSv1; id=1"])
    town.zones.set("mta-sts.world.test", "A", ["198.51.100.8"])
    town.zones.set("green.test", "MX", ["5 mx.world.test", "10 mx.green.test"])

    def write(recipient: str) -> None:
        with smtplib.SMTP("127.0.0.1", town.ports["blue", "submission"], "guest", timeout=10) as client:
            client.login("alice@blue.test", "demo")
            client.sendmail("alice@blue.test", [recipient], LETTER)

    for recipient in ("somebody@world.test", "carol@green.test", "x@[198.51.100.9]", "x@gmail.com"):
        await guest.do(write, recipient)
    await wait_for(town, "store", "green")
    assert (await wait_for(town, "net", "blue", what="out of reach", to="198.51.100.7")).what["from"] == "blue"
    await wait_for(town, "net", "blue", what="out of reach", to="198.51.100.9")
    await wait_for(town, "mail", "blue", state="failed", recipient="x@gmail.com")
    seen = list(WATCH.seen)
    assert len([event for event, address in seen if event == "socket.connect"]) > 3, "the watch sees something"
    assert [one for one in seen if not is_on_this_machine(one[1])] == []


@pytest_twisted.ensureDeferred
async def test_what_an_office_is_configured_for_is_no_way_out_either(tmp_path: Any) -> None:
    town, guest = Town(tmp_path, reactor, offices=OFFICES[:1], any_ports=True), Guest()
    (tmp_path / "blue").mkdir()
    (tmp_path / "blue/other.ini").write_text("[relay]\nsmarthost = [198.51.100.7]:2525\n")
    await town.start()

    def write() -> None:
        with smtplib.SMTP("127.0.0.1", town.ports["blue", "submission"], "guest", timeout=10) as client:
            client.login("alice@blue.test", "demo")
            client.sendmail("alice@blue.test", ["x@world.test"], LETTER)

    try:
        with WATCH.look() as seen:
            await guest.do(write)
            await wait_for(town, "net", "blue", what="out of reach", to="198.51.100.7")
        assert [one for one in seen if not is_on_this_machine(one[1])] == []
    finally:
        await town.stop()
        guest.threads.stop()
