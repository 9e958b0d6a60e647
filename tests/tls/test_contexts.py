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
from tests.tls.shaking import carry, client, server_of, shake
from twistmail.tls.certificates import Certificates
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


@pytest.mark.parametrize("name", [pytest.param("mail.blue.example", id="by-name"), pytest.param("", id="without-a-name")])
@pytest.mark.parametrize("most", [pytest.param(SSL.TLS1_2_VERSION, id="1.2"), pytest.param(SSL.TLS1_3_VERSION, id="1.3")])
def test_a_browser_is_refused_by_the_alert_made_for_that(folder: Path, name: str, most: int) -> None:
    """RFC 7301 §3.2 no_application_protocol: or a browser could be led to speak HTTP to us, and to believe our answers (ALPACA)."""
    contexts = Contexts(Certificates(folder, "mail.blue.example", lambda: NOW))
    browser, server = client(name, alpn=(b"h2", b"http/1.1"), most=most), server_of(contexts, "smtp")
    with pytest.raises(SSL.Error) as refusal:
        shake(browser, server)
    assert refusal.value.args[0] == [("ALPN", "", "b'h2 http/1.1' cannot be spoken here")]
    carry(server, browser)
    with pytest.raises(SSL.Error, match="no application protocol"):
        browser.do_handshake()


def test_who_offers_no_protocol_is_served(folder: Path) -> None:
    peer = client("mail.blue.example")
    shake(peer, server_of(Contexts(Certificates(folder, "mail.blue.example", lambda: NOW))))
    assert peer.get_alpn_proto_negotiated() == b""


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
    contexts = Contexts(Certificates(folder, "mail.blue.example", lambda: NOW))
    before, server = client("mail.blue.example"), server_of(contexts)
    shake(before, server)
    chain, key = authority.issue("mail.blue.example", "new.blue.example", days=99)
    (folder / "mail.blue.example.pem").write_bytes(key + chain)
    contexts.look()
    after = client("new.blue.example")
    shake(after, server_of(contexts))
    assert peer_certificate(before).serial_number != peer_certificate(after).serial_number
    server.send(b"still here")
    before.bio_write(server.bio_read(1000))
    assert before.recv(100) == b"still here"


def test_a_client_that_wants_to_renegotiate_is_refused(folder: Path) -> None:
    """Each new handshake costs us more than the client (CVE-2011-1473). TLS 1.3 has none any more."""
    peer, server = client(most=SSL.TLS1_2_VERSION), server_of(Contexts(Certificates(folder, "mail.blue.example", lambda: NOW)))
    shake(peer, server)
    assert peer.renegotiate()
    with pytest.raises(SSL.WantReadError):
        peer.do_handshake()
    carry(peer, server)
    with pytest.raises(SSL.WantReadError):
        server.recv(100)
    carry(server, peer)
    with pytest.raises(SSL.Error, match="no renegotiation"):
        peer.do_handshake()
    assert server.total_renegotiations() == 0


@pytest.mark.parametrize("most", [pytest.param(SSL.TLS1_2_VERSION, id="1.2"), pytest.param(SSL.TLS1_3_VERSION, id="1.3")])
def test_nothing_outlives_a_connection(folder: Path, most: int) -> None:
    """Neither a ticket nor an entry in a cache lets a client skip the handshake."""
    contexts = Contexts(Certificates(folder, "mail.blue.example", lambda: NOW))
    first, server = client(most=most), server_of(contexts)
    whole = shake(first, server)
    server.send(b"hello")
    carry(server, first)
    assert first.recv(100) == b"hello"  # tickets of TLS 1.3 come with the first words
    session = first.get_session()
    assert session is not None
    second, server = SSL.Connection(first.get_context(), None), server_of(contexts)
    second.set_session(session)
    second.set_connect_state()
    assert shake(second, server) > whole - 20  # a shortened handshake does without the certificate


def test_a_client_is_not_asked_for_a_certificate_unless_somebody_vouches_for_clients(folder: Path, authority: Authority) -> None:
    server = server_of(Contexts(Certificates(folder, "mail.blue.example", lambda: NOW)))
    shake(client(identity=authority.person("ann")), server)
    assert server.get_peer_certificate() is None


def test_a_handshake_reads_no_file(folder: Path) -> None:
    """A slow disk must not hold up everybody else."""
    contexts = Contexts(Certificates(folder, "mail.blue.example", lambda: NOW))
    for file in folder.iterdir():
        file.unlink()
    for name in ("mail.green.example", "mail.blue.example"):
        peer = client(name)
        shake(peer, server_of(contexts))
        assert names(peer) == name


def test_a_context_is_made_once(folder: Path) -> None:
    contexts = Contexts(Certificates(folder, "mail.blue.example", lambda: NOW))
    assert contexts.context("", "imap") is contexts.context("mail.blue.example", "imap")
    assert contexts.context("", "imap") is not contexts.context("", "smtp")


def test_without_certificates_tls_is_not_available(tmp_path: Path) -> None:
    contexts = Contexts(Certificates(tmp_path, "mail.blue.example", lambda: NOW))
    assert not contexts.available
    assert contexts.factory("imap")() is None
    with pytest.raises(NoCertificate):
        contexts.context("", "imap")


def test_what_twisted_takes(folder: Path) -> None:
    verifyObject(IOpenSSLServerConnectionCreator, Contexts(Certificates(folder, "x", lambda: NOW)).factory("imap")())


def test_the_defaults() -> None:
    defaults = OPTIONS.defaults()
    assert (defaults.minimum, defaults.handshake_timeout, defaults.self_signed) == ("1.2", 30.0, True)
