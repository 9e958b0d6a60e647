"""What binds a login to a TLS connection is the same octets at both ends, and others on every other connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL

from tests.tls.authority import NOW, Authority
from tests.tls.shaking import client, server_of, shake
from tests.tls.test_contexts import peer_certificate
from twistmail.servers.handshake import ChannelBindings
from twistmail.tls.certificates import Certificates
from twistmail.tls.contexts import Contexts


@pytest.fixture
def contexts(tmp_path: Path) -> Contexts:
    chain, key = Authority().issue("mail.blue.example")
    (tmp_path / "mail.pem").write_bytes(key + chain)
    return Contexts(Certificates(tmp_path, "mail.blue.example", lambda: NOW))


def shaken(contexts: Contexts, most: int | None = None) -> tuple[SSL.Connection, ChannelBindings]:
    """The client's end, and what the server's tells."""
    peer, server = client(most=most), server_of(contexts)
    shake(peer, server)
    return peer, ChannelBindings(server)


CLIENTS: dict[str, Any] = {
    "tls-exporter": lambda peer: peer.export_keying_material(b"EXPORTER-Channel-Binding", 32, b""),
    "tls-unique": lambda peer: peer.get_finished(),
    "tls-server-end-point": lambda peer: peer_certificate(peer).fingerprint(hashes.SHA256()),
}


@pytest.mark.parametrize(("most", "names"), [
    pytest.param(None, ["tls-exporter", "tls-server-end-point"], id="tls-1.3"),
    pytest.param(SSL.TLS1_2_VERSION, ["tls-unique", "tls-server-end-point"], id="tls-1.2"),
])
def test_both_ends_bind_to_the_same_octets(contexts: Contexts, most: int | None, names: list[str]) -> None:
    peer, bindings = shaken(contexts, most)
    assert list(bindings) == names
    assert len(bindings) == 2
    for name in names:
        assert bindings[name] == CLIENTS[name](peer)
        assert len(bindings[name]) in (12, 32)


@pytest.mark.parametrize(("most", "name"), [
    pytest.param(None, "tls-unique", id="tls-1.3-has-no-unique"),
    pytest.param(SSL.TLS1_2_VERSION, "tls-exporter", id="tls-1.2-has-no-exporter"),
    pytest.param(None, "tls-nonsense", id="nonsense"),
])
def test_what_is_not_safe_or_not_known_binds_nothing(contexts: Contexts, most: int | None, name: str) -> None:
    _, bindings = shaken(contexts, most)
    assert name not in bindings
    with pytest.raises(KeyError):
        bindings[name]


@pytest.mark.parametrize(("most", "name"), [(None, "tls-exporter"), (SSL.TLS1_2_VERSION, "tls-unique")])
def test_no_two_connections_have_the_same(contexts: Contexts, most: int | None, name: str) -> None:
    assert shaken(contexts, most)[1][name] != shaken(contexts, most)[1][name]


class Handle:
    """A connection with a certificate whose signature has no hash of its own."""

    def get_protocol_version_name(self) -> str:
        return "TLSv1.3"

    def export_keying_material(self, label: bytes, length: int, context: bytes) -> bytes:
        return b"x" * length

    def get_certificate(self) -> Any:
        return self

    def to_cryptography(self) -> Any:
        return self

    signature_hash_algorithm = None


def test_a_certificate_signed_without_a_hash_has_no_end_point() -> None:
    assert list(ChannelBindings(Handle())) == ["tls-exporter"]
    assert ChannelBindings(Handle())
