"""Handshakes in memory: names, versions, protocols, and what is switched off."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface.verify import verifyObject

from tests.tls.authority import NOW, Authority
from twistmail.tls.certificates import INTERVAL, Certificates
from twistmail.tls.contexts import OPTIONS, Contexts, NoCertificate


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def folder(tmp_path: Path, authority: Authority) -> Path:
    for name in ("mail.blue.example", "mail.green.example"):
        chain, key = authority.issue(name)
        (tmp_path / f"{name}.pem").write_bytes(key + chain)
    return tmp_path


def client(name: str = "", *, alpn: tuple[bytes, ...] = (), most: int | None = None, ciphers: bytes = b"") -> SSL.Connection:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if alpn:
        context.set_alpn_protos(list(alpn))
    if most is not None:
        context.set_max_proto_version(most)
        context.set_min_proto_version(SSL.TLS1_VERSION)
    if ciphers:
        context.set_cipher_list(ciphers)
    connection = SSL.Connection(context, None)
    if name:
        connection.set_tlsext_host_name(name.encode())
    connection.set_connect_state()
    return connection


def shake(client: SSL.Connection, server: SSL.Connection) -> None:
    """Carry the handshake between the two until both are content; raises SSL.Error where one is not."""
    server.set_accept_state()
    done: set[SSL.Connection] = set()
    for _ in range(10):
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
                done.add(one)
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(one.bio_read(65536))
            except SSL.WantReadError:
                pass
        if len(done) == 2:
            return
    raise AssertionError("the handshake does not end")


def server_of(contexts: Contexts, protocol: str = "imap") -> SSL.Connection:
    return contexts.factory(protocol)().serverConnectionForTLS(None)


def peer_certificate(connection: SSL.Connection) -> x509.Certificate:
    certificate = connection.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    return certificate


def names(connection: SSL.Connection) -> str:
    return str(peer_certificate(connection).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


@pytest.mark.parametrize(("asked", "given"), [
    pytest.param("mail.green.example", "mail.green.example", id="by-name"),
    pytest.param("MAIL.Green.example", "mail.green.example", id="in-any-case"),
    pytest.param("mail.red.example", "mail.blue.example", id="unknown-gets-the-default"),
    pytest.param("", "mail.blue.example", id="no-name-gets-the-default"),
])
def test_the_client_gets_the_certificate_of_the_name_it_asks_for(folder: Path, asked: str, given: str) -> None:
    contexts = Contexts(Certificates(folder, "mail.blue.example", lambda: NOW))
    peer = client(asked)
    shake(peer, server_of(contexts))
    assert names(peer) == given
    assert peer.get_protocol_version_name() == "TLSv1.3"


@pytest.mark.parametrize("name", ["mail.blue.example", "mail.green.example"])
def test_alpn_is_the_protocol_of_the_listener(folder: Path, name: str) -> None:
    contexts = Contexts(Certificates(folder, "mail.blue.example", lambda: NOW))
    peer = client(name, alpn=(b"http/1.1", b"imap"))
    shake(peer, server_of(contexts, "imap"))
    assert peer.get_alpn_proto_negotiated() == b"imap"


def test_a_browser_is_refused(folder: Path) -> None:
    contexts = Contexts(Certificates(folder, "mail.blue.example", lambda: NOW))
    with pytest.raises(SSL.Error):
        shake(client("mail.blue.example", alpn=(b"h2", b"http/1.1")), server_of(contexts, "smtp"))


@pytest.mark.parametrize(("minimum", "most", "spoken"), [
    pytest.param("1.2", SSL.TLS1_2_VERSION, "TLSv1.2", id="1.2-is-enough"),
    pytest.param("1.2", SSL.TLS1_1_VERSION, None, id="1.1-is-not"),
    pytest.param("1.3", SSL.TLS1_2_VERSION, None, id="unless-1.3-is-the-minimum"),
])
def test_old_versions_are_refused(folder: Path, minimum: str, most: int, spoken: str | None) -> None:
    contexts = Contexts(Certificates(folder, "mail.blue.example", lambda: NOW), minimum)
    peer, server = client(most=most, ciphers=b"ALL:@SECLEVEL=0"), server_of(contexts)
    if spoken is None:
        with pytest.raises(SSL.Error):
            shake(peer, server)
    else:
        shake(peer, server)
        assert peer.get_protocol_version_name() == spoken


def test_a_cipher_without_forward_secrecy_is_refused(folder: Path) -> None:
    contexts = Contexts(Certificates(folder, "mail.blue.example", lambda: NOW))
    with pytest.raises(SSL.Error):
        shake(client(most=SSL.TLS1_2_VERSION, ciphers=b"AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA"), server_of(contexts))


def test_a_new_handshake_uses_the_new_certificate_and_an_old_connection_is_left_alone(folder: Path, authority: Authority) -> None:
    wall = [NOW]
    contexts = Contexts(Certificates(folder, "mail.blue.example", lambda: wall[0]))
    before, server = client("mail.blue.example"), server_of(contexts)
    shake(before, server)
    chain, key = authority.issue("mail.blue.example", "new.blue.example", days=99)
    (folder / "mail.blue.example.pem").write_bytes(key + chain)
    wall[0] += INTERVAL
    after = client("new.blue.example")
    shake(after, server_of(contexts))
    assert peer_certificate(before).serial_number != peer_certificate(after).serial_number
    server.send(b"still here")
    before.bio_write(server.bio_read(1000))
    assert before.recv(100) == b"still here"


def test_a_context_is_made_once(folder: Path) -> None:
    contexts = Contexts(Certificates(folder, "mail.blue.example", lambda: NOW))
    assert contexts.context("", "imap") is contexts.context("mail.blue.example", "imap")
    assert contexts.context("", "imap") is not contexts.context("", "smtp")


def test_without_certificates_tls_is_not_available(tmp_path: Path) -> None:
    contexts = Contexts(Certificates(tmp_path, "mail.blue.example", lambda: NOW))
    assert not contexts.available
    with pytest.raises(NoCertificate):
        server_of(contexts)


def test_what_twisted_takes(folder: Path) -> None:
    verifyObject(IOpenSSLServerConnectionCreator, Contexts(Certificates(folder, "x", lambda: NOW)).factory("imap")())


def test_the_defaults() -> None:
    defaults = OPTIONS.defaults()
    assert (defaults.minimum, defaults.handshake_timeout, defaults.self_signed) == ("1.2", 30.0, True)
