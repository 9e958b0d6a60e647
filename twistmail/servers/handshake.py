"""What a TLS handshake came to, told in our own values: what it agreed on, or why it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL
from twisted.python.failure import Failure

from twistmail.mail.envelope import TlsState


def tls_state(transport: Any) -> TlsState:
    """What the handshake on *transport* agreed on; all empty where the transport does not tell (in tests).

    Whose certificate the client has shown, the connection knows (`tls.clients.Served`).
    """
    handle = transport.protocol.getHandle() if getattr(transport, "TLS", False) else None
    if handle is None:
        return TlsState("", "", 0)
    shown = handle.shown
    return TlsState(
        version=handle.get_protocol_version_name(),
        cipher=handle.get_cipher_name() or "",
        bits=handle.get_cipher_bits() or 0,
        server_name=(handle.get_servername() or b"").decode("ascii", "replace"),
        client=shown.client,
        client_fault=shown.fault,
        bindings=ChannelBindings(handle),
    )


def tls_trouble(reason: Failure | None) -> str:
    """Why a handshake failed, from the *reason* that the transport gives for the end of the connection; empty: the peer just left."""
    if reason is None or not isinstance(reason.value, SSL.Error):
        return ""
    causes = reason.value.args[0] if reason.value.args else ()
    return "; ".join(str(text) for *_, text in causes) or "the peer does not speak TLS"


class ChannelBindings(Mapping[str, bytes]):
    """What binds a login to the connection that *handle* is (RFC 5056): made when it is asked for, by name.

    tls-unique is not defined for TLS 1.3 (RFC 8446 appendix C.5); tls-exporter is not used below it, where it would be safe only with
    an extension (RFC 7627) that OpenSSL for Python does not tell of (RFC 9266 §4.2). A certificate whose signature has no hash of its
    own, such as Ed25519, has no tls-server-end-point (RFC 5929 §4.1).
    """

    __slots__ = ("_handle",)

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def __getitem__(self, name: str) -> bytes:
        octets = _BINDINGS[name](self._handle) if name in self._names else None
        if octets is None:
            raise KeyError(name)
        return octets

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if _BINDINGS[name](self._handle) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return True  # each version has one that there always is

    @property
    def _names(self) -> tuple[str, str]:
        newest = self._handle.get_protocol_version_name() == "TLSv1.3"
        return ("tls-exporter" if newest else "tls-unique"), "tls-server-end-point"


def _exporter(handle: Any) -> bytes:
    """RFC 9266 §2."""
    octets: bytes = handle.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    return octets


def _unique(handle: Any) -> bytes:
    """RFC 5929 §3.1: the first Finished of the handshake; it is the client's, since no session is ever resumed here."""
    octets: bytes = handle.get_peer_finished()
    return octets


def _server_end_point(handle: Any) -> bytes | None:
    """RFC 5929 §4.1: our certificate, hashed as its signature is, but never by less than SHA-256."""
    certificate = handle.get_certificate().to_cryptography()
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return None
    octets: bytes = certificate.fingerprint(hashes.SHA256() if algorithm.name in ("md5", "sha1") else algorithm)
    return octets


_BINDINGS: dict[str, Callable[[Any], bytes | None]] = {
    "tls-exporter": _exporter,
    "tls-unique": _unique,
    "tls-server-end-point": _server_end_point,
}
