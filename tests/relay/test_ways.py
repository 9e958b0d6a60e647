"""Ways to a server that are not the usual one, over real sockets on loopback: a proxy, an own address, a UNIX socket."""

from __future__ import annotations

import ipaddress

import pytest
import pytest_twisted
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from tests.relay.test_network import Server, certificate
from twistmail.relay.connect import Dialer, open_route
from twistmail.relay.exchange import Manners, Session, leave
from twistmail.relay.handshake import TlsClients
from twistmail.relay.proxy import Proxy, parse_proxy
from twistmail.relay.route import Host, Route, Tls, Transport


class Proxying(Protocol):
    """A SOCKS proxy that wants ann's password. `factory.refuses`: the code of a refusal, or 0."""

    def connectionMade(self):
        self.data, self.inner, self.step = b"", None, self.hello

    def dataReceived(self, data):
        if self.inner is not None:
            self.inner.transport.write(data)
            return
        self.data += data
        self.step()

    def hello(self):
        self.factory.asked.append(self.data)
        self.data, self.step = b"", self.login
        self.transport.write(b"\x05\x02" if self.factory.user else b"\x05\x00")
        if not self.factory.user:
            self.step = self.request

    def login(self):
        self.factory.asked.append(self.data)
        right = self.data == b"\x01" + bytes([len(self.factory.user)]) + self.factory.user + b"\x06secret"
        self.data, self.step = b"", self.request
        self.transport.write(b"\x01\x00" if right else b"\x01\x01")

    def request(self):
        if self.factory.refuses:
            self.transport.write(bytes((5, self.factory.refuses, 0, 1)) + b"\0" * 6)
            return
        address, port = ipaddress.ip_address(self.data[4:8]), int.from_bytes(self.data[8:10], "big")
        from twisted.internet import reactor

        outer = self

        class Inner(Protocol):
            def connectionMade(self):
                outer.inner = self
                outer.transport.write(b"\x05\x00\x00\x01" + b"\0" * 6)

            def dataReceived(self, data):
                outer.transport.write(data)

            def connectionLost(self, reason=None):
                outer.transport.loseConnection()

        TCP4ClientEndpoint(reactor, str(address), port).connect(Factory.forProtocol(Inner))

    def connectionLost(self, reason=None):
        if self.inner is not None:
            self.inner.transport.loseConnection()


@pytest.fixture
def listen(tmp_path):
    """A function: a factory of *protocol* listens at a port of loopback, or (*path*) at a UNIX socket; it tells which port."""
    from twisted.internet import reactor

    ports = []

    def run(protocol, *, path="", **attributes):
        factory = Factory.forProtocol(protocol)
        factory.noisy = False
        for name, value in attributes.items():
            setattr(factory, name, value)
        port = reactor.listenUNIX(path, factory) if path else reactor.listenTCP(0, factory, interface="127.0.0.1")
        ports.append(port)
        factory.port = 0 if path else port.getHost().port
        return factory

    yield run
    for port in ports:
        pytest_twisted.blockon(port.stopListening())


def server(listen, **more):
    return listen(Server, said=[], connections=[], content=b"", breaks=(b"", ""), breaks_tls=False, certificate=certificate(), **more)


async def opened(route, address, port):
    from twisted.internet import reactor

    dial = Dialer(reactor, timeout=5.0)
    return await open_route(route, (Host("mx.far.test", address, port),), dial, Manners("us.example", TlsClients()))


async def said_goodbye(session):
    assert isinstance(session, Session), session
    await leave(session)


@pytest.mark.parametrize("user", [b"", b"ann"])
@pytest.mark.parametrize("tls", [Tls.OFF, Tls.REQUIRED])
@pytest_twisted.ensureDeferred
async def test_a_server_is_reached_by_way_of_a_proxy_and_encrypted_too(listen, user, tls):
    far, proxy = server(listen), listen(Proxying, asked=[], refuses=0, user=user)
    way = Proxy("127.0.0.1", proxy.port, user.decode(), "secret" if user else "")
    session = await opened(Route("far.test", tls=tls, proxy=way), "127.0.0.1", far.port)
    await said_goodbye(session)
    assert far.said[0] == b"EHLO us.example"
    assert proxy.asked
    assert session.connection.tls is (tls is Tls.REQUIRED)


@pytest.mark.parametrize(("refuses", "user", "why"), [
    pytest.param(2, b"", "rules do not allow", id="forbidden"),
    pytest.param(5, b"", "was refused", id="refused"),
    pytest.param(0, b"bob", "does not accept our login", id="a-wrong-login"),
])
@pytest_twisted.ensureDeferred
async def test_why_a_proxy_does_not_let_us_through_is_told(listen, refuses, user, why):
    proxy = listen(Proxying, asked=[], refuses=refuses, user=user)
    status = await opened(Route("far.test", proxy=Proxy("127.0.0.1", proxy.port, "ann", "secret")), "127.0.0.1", 9)
    assert (status.code, status.enhanced) == (451, "4.4.1")
    assert why in status.text


@pytest_twisted.ensureDeferred
async def test_a_proxy_that_is_away_is_weather():
    assert (await opened(Route("far.test", proxy=Proxy("127.0.0.1", 9)), "127.0.0.1", 25)).is_temporary


@pytest_twisted.ensureDeferred
async def test_the_own_address_is_the_one_that_the_route_names(listen):
    far = server(listen)
    session = await opened(Route("far.test", tls=Tls.OFF, source=("2001:db8::5", "127.0.0.77")), "127.0.0.1", far.port)
    assert far.connections[0].transport.getPeer().host == "127.0.0.77"
    await said_goodbye(session)


@pytest_twisted.ensureDeferred
async def test_an_own_address_that_is_none_of_this_machine_is_told(listen):
    status = await opened(Route("far.test", source=("192.0.2.200",)), "127.0.0.1", server(listen).port)
    assert (status.code, status.enhanced) == (451, "4.4.1")


@pytest_twisted.ensureDeferred
async def test_a_mail_store_is_reached_through_its_socket(listen, tmp_path):
    class Store(Server):
        def take(self, line):
            super().take(line.replace(b"LHLO", b"EHLO"))

    listen(Store, path=str(tmp_path / "lmtp"), said=[], connections=[], content=b"", breaks=(b"", ""), breaks_tls=False,
           certificate=None)
    route = Route(f"unix:{tmp_path}/lmtp", use_mx=False, port=0, tls=Tls.OFF, transport=Transport.LMTP)
    session = await opened(route, str(tmp_path / "lmtp"), 0)
    assert session.answers_each
    await said_goodbye(session)
    assert (await opened(route, str(tmp_path / "nothing"), 0)).is_temporary


@pytest.mark.parametrize(("text", "expected"), [
    ("", None), ("socks5://127.0.0.1", Proxy("127.0.0.1")), ("socks5://localhost:9050/", Proxy("127.0.0.1", 9050)),
    ("SOCKS5://ann:p%40ss@192.0.2.1:99", Proxy("192.0.2.1", 99, "ann", "p@ss")), ("socks5h://[2001:db8::1]:1", Proxy("2001:db8::1", 1)),
])
def test_how_a_proxy_is_written(text, expected):
    assert parse_proxy(text) == expected
    assert "p@ss" not in repr(expected)


@pytest.mark.parametrize("text", ["127.0.0.1:1080", "http://127.0.0.1", "socks5://proxy.example", "socks5://127.0.0.1:0", "socks5://ann@127.0.0.1",
                                  "socks5://ann:" + "secret" * 50 + "@127.0.0.1"])
def test_what_is_no_proxy_is_refused_without_its_password(text):
    with pytest.raises(ValueError, match=r"SOCKS|port|address") as error:
        parse_proxy(text)
    assert "secretsecret" not in str(error.value)
