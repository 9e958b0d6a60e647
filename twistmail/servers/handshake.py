"""What a TLS handshake came to, told in our own values: what it agreed on, or why it failed."""

from __future__ import annotations

from typing import Any

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
    )


def tls_trouble(reason: Failure | None) -> str:
    """Why a handshake failed, from the *reason* that the transport gives for the end of the connection; empty: the peer just left."""
    if reason is None or not isinstance(reason.value, SSL.Error):
        return ""
    causes = reason.value.args[0] if reason.value.args else ()
    return "; ".join(str(text) for *_, text in causes) or "the peer does not speak TLS"
