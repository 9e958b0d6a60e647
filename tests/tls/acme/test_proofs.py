"""What is shown to an authority while it looks, and that nothing of it stays. Name servers are in tests/interop."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest
from cryptography import x509
from OpenSSL import SSL

from tests.tls.authority import NOW, Authority
from tests.tls.shaking import client, server_of, shake
from twistmail.tls.acme.answers import Answers
from twistmail.tls.acme.proofs import ACME_IDENTIFIER, ByHandshake, ByPage, InFolder
from twistmail.tls.certificates import Certificates
from twistmail.tls.contexts import Contexts

HOST = "mail.blue.example"
AUTHORIZATION = "token.thumbprint"


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def contexts(tmp_path: Path, answers: Answers) -> Contexts:
    chain, key = Authority().issue(HOST)
    (tmp_path / "a.pem").write_bytes(key + chain)
    return Contexts(Certificates(tmp_path, HOST, lambda: NOW), answers=answers)


def test_a_page_is_there_while_the_authority_looks(answers: Answers) -> None:
    with ByPage(answers).shown(HOST, "token", AUTHORIZATION):
        assert answers.pages == {"token": AUTHORIZATION}
    assert answers.pages == {}


def test_a_web_server_may_read_the_page_in_its_folder(tmp_path: Path) -> None:
    page = tmp_path / ".well-known" / "acme-challenge" / "token"
    with InFolder(tmp_path).shown(HOST, "token", AUTHORIZATION):
        assert page.read_text() == AUTHORIZATION
        assert [stat.S_IMODE(path.stat().st_mode) for path in (page, page.parent)] == [0o644, 0o755]
    assert not page.exists()


@pytest.mark.parametrize("token", ["", "..", "../../../etc/passwd", "a/b", "a.b", "\u00e4"])
def test_an_authority_cannot_choose_another_file(tmp_path: Path, token: str) -> None:
    with pytest.raises(ValueError, match="a page that is none"), InFolder(tmp_path).shown(HOST, token, AUTHORIZATION):
        raise AssertionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("most", [pytest.param(SSL.TLS1_2_VERSION, id="1.2"), pytest.param(SSL.TLS1_3_VERSION, id="1.3")])
def test_in_a_handshake_the_authority_sees_the_digest(contexts: Contexts, answers: Answers, most: int) -> None:
    """RFC 8737 §3."""
    with ByHandshake(answers).shown(HOST, "token", AUTHORIZATION):
        authority = client(HOST, alpn=(b"acme-tls/1",), most=most)
        shake(authority, server_of(contexts))
    seen = authority.get_peer_certificate(as_cryptography=True)
    assert seen is not None
    assert authority.get_alpn_proto_negotiated() == b"acme-tls/1"
    names = seen.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [HOST]
    proof = seen.extensions.get_extension_for_oid(ACME_IDENTIFIER)
    assert proof.critical
    assert proof.value.public_bytes() == b"\x04\x20" + hashlib.sha256(AUTHORIZATION.encode()).digest()


@pytest.mark.parametrize("alpn", [pytest.param((b"imap",), id="a-mail-program"), pytest.param((), id="without-a-protocol")])
def test_meanwhile_everybody_else_sees_the_usual_certificate(contexts: Contexts, answers: Answers, alpn: tuple[bytes, ...]) -> None:
    with ByHandshake(answers).shown(HOST, "token", AUTHORIZATION):
        program = client(HOST, alpn=alpn)
        shake(program, server_of(contexts))
    seen = program.get_peer_certificate(as_cryptography=True)
    assert seen is not None
    assert "Test Authority" in seen.issuer.rfc4514_string()


@pytest.mark.parametrize(("name", "shown"), [
    pytest.param(HOST, False, id="when-nothing-is-to-be-proved"),
    pytest.param("other.blue.example", True, id="for-another-name"),
    pytest.param("", True, id="for-no-name"),
])
def test_nothing_is_proved_otherwise(contexts: Contexts, answers: Answers, name: str, shown: bool) -> None:
    proof = ByHandshake(answers).shown(HOST, "token", AUTHORIZATION)
    if shown:
        proof.__enter__()
    with pytest.raises(SSL.Error):
        shake(client(name, alpn=(b"acme-tls/1",)), server_of(contexts))
