"""The relay over real sockets and real TLS, on loopback."""

from __future__ import annotations

import datetime
import socket

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.defer import fail
from twisted.internet.error import TimeoutError as NoAnswer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import KeyPair, PrivateCertificate

from twistmail import tasks
from twistmail.disk import FileContent
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.status import Status
from twistmail.relay.client import Patience
from twistmail.relay.connect import Dialer, open_route
from twistmail.relay.exchange import Manners, leave
from twistmail.relay.handshake import TlsClients
from twistmail.relay.route import Host, Route, Tls
from twistmail.relay.transaction import deliver
from twistmail.wire.dotted import Unstuffer


def certificate() -> PrivateCertificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx.far.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mx.far.test")]), critical=False).sign(key, hashes.SHA256()))
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return PrivateCertificate.load(made.public_bytes(serialization.Encoding.DER), KeyPair.load(secret, 1), 2)


class Server(Protocol):
    """Enough of a mail server. `factory.breaks_tls` True: it answers the handshake with nonsense.

    `factory.breaks`: (verb, how): what happens to the connection when it hears that; "." is the first of a content.
    """

    def connectionMade(self):
        self.buffer, self.unstuffer, self.tls = b"", None, False
        self.factory.connections.append(self)
        self.transport.write(b"220 mx.far.test\r\n")

    def dataReceived(self, data):
        if self.unstuffer:
            if self.factory.breaks[0] == b".":
                self.break_off()
                return
            self.factory.content += self.unstuffer.feed(data)
            if self.unstuffer.ended:
                self.unstuffer = None
                self.transport.write(b"250 Ok\r\n")
            return
        self.buffer += data
        while b"\r\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            self.take(line)

    def take(self, line):
        self.factory.said.append(line)
        if line.split()[0] == self.factory.breaks[0]:
            self.break_off()
            return
        match line.split()[0]:
            case b"EHLO":
                offer = b"" if self.tls else b"250-STARTTLS\r\n"
                self.transport.write(b"250-mx.far.test\r\n250-PIPELINING\r\n" + offer + b"250 8BITMIME\r\n")
            case b"STARTTLS":
                self.transport.write(b"220 Go\r\n")
                if self.factory.breaks_tls:
                    self.transport.write(b"what is this?\r\n")
                    self.transport.loseConnection()
                else:
                    self.transport.startTLS(self.factory.certificate.options())
                    self.tls = True
            case b"DATA":
                self.transport.write(b"354 Go\r\n")
                self.unstuffer = Unstuffer()
            case b"QUIT":
                self.transport.write(b"221 Bye\r\n")
                self.transport.loseConnection()
            case _:
                self.transport.write(b"250 Ok\r\n")


    def break_off(self):
        match self.factory.breaks[1]:
            case "cuts":
                self.transport.abortConnection()
            case "closes-beneath":
                self.transport.socket.shutdown(socket.SHUT_RDWR)
            case "says-something-beneath":
                self.transport.socket.send(b"250 Ok, believe me\r\n" * 3)


@pytest.fixture
def server():
    from twisted.internet import reactor

    factory = Factory.forProtocol(Server)
    factory.noisy, factory.breaks_tls, factory.breaks = False, False, (b"", "")
    factory.connections, factory.said, factory.content, factory.certificate = [], [], bytearray(), certificate()
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    factory.port = port.getHost().port
    factory.reactor = reactor
    yield factory
    pytest_twisted.blockon(port.stopListening())


def opening(server, tls=Tls.OPPORTUNISTIC):
    host = Host("mx.far.test", "127.0.0.1", server.port)
    manners = Manners("us.example", TlsClients(), Patience(greeting=5, hello=5, tls=5, quit=2))
    return open_route(Route("far.test", tls=tls), (host,), Dialer(server.reactor, timeout=2.0), manners)


async def carry(session, content):
    target = Target(Kind.REMOTE, Address("bob", "far.test"), Address("bob", "far.test"))
    item = Item("i1", None, (Errand(target),), 0.0, content.size)
    (outcome,) = await deliver(session, item, (target,), content, tasks.Inline())
    await leave(session)
    return outcome


@pytest.mark.parametrize(("tls", "breaks", "encrypted"), [
    pytest.param(Tls.OPPORTUNISTIC, False, True, id="encrypted-where-offered"),
    pytest.param(Tls.REQUIRED, False, True, id="required"),
    pytest.param(Tls.OFF, False, False, id="off"),
    pytest.param(Tls.OPPORTUNISTIC, True, False, id="a-broken-handshake-and-again-in-clear"),
])
@pytest_twisted.ensureDeferred
async def test_mail_arrives_whole(server, tls, breaks, encrypted):
    server.breaks_tls = breaks
    body = b"Subject: x\r\n\r\n" + b".line after line after line\r\n" * 100_000
    session = await opening(server, tls)
    assert not isinstance(session, Status), session
    outcome = await carry(session, Memory(body))
    assert outcome.result is Result.RELAYED
    assert bytes(server.content) == body
    assert server.connections[-1].tls == encrypted
    assert len(server.connections) == 1 + breaks


@pytest.mark.parametrize(("tls", "breaks"), [
    pytest.param(Tls.VERIFIED, False, id="nobody-has-signed-the-certificate"),
    pytest.param(Tls.REQUIRED, True, id="the-handshake-is-broken"),
])
@pytest_twisted.ensureDeferred
async def test_no_mail_is_said_where_the_encryption_wanted_cannot_be_had(server, tls, breaks):
    server.breaks_tls = breaks
    status = await opening(server, tls)
    assert isinstance(status, Status)
    assert status.is_temporary
    assert [line.split()[0] for line in server.said] == [b"EHLO", b"STARTTLS"]


@pytest_twisted.ensureDeferred
async def test_a_port_where_nobody_listens_is_weather():
    from twisted.internet import reactor

    status = await open_route(Route("far.test"), (Host("mx.far.test", "127.0.0.1", 9),), Dialer(reactor), Manners("us.example", None))
    assert (status.code, status.enhanced) == (451, "4.4.1")
    assert "refused" in status.text


@pytest.mark.parametrize("how", ["cuts", "closes-beneath", "says-something-beneath"])
@pytest.mark.parametrize("verb", [pytest.param(b"MAIL", id="MAIL"), pytest.param(b"DATA", id="DATA"), pytest.param(b".", id="content")])
@pytest_twisted.ensureDeferred
async def test_encryption_that_breaks_in_the_middle_is_a_lost_connection(server, tmp_path, verb, how):
    server.breaks = (verb, how)
    session = await opening(server)
    begun = session.connection.clock.seconds()
    assert not isinstance(session, Status), session
    path = tmp_path / "content"
    path.write_bytes(b"Subject: x\r\n\r\n" + b"line after line\r\n" * 200_000)
    outcome = await carry(session, FileContent(path))
    assert (outcome.result, outcome.status.enhanced) == (Result.DEFERRED, "4.4.2")
    assert not session.connection.is_open
    assert session.connection.clock.seconds() - begun < 60, "it is found out long before our patience ends"
    assert len(server.connections) == 1, "nothing of it is said in clear"


@pytest_twisted.ensureDeferred
async def test_a_server_that_does_not_answer_is_told_in_plain_words():
    host = Host("mx.far.test", "192.0.2.1", 25)
    status = await open_route(Route("far.test"), (host,), lambda *_, **__: fail(NoAnswer()), Manners("us.example", None))
    assert status.text.endswith("mx.far.test [192.0.2.1]:25: It has not answered in time")
