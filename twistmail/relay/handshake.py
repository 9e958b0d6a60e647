"""The client's side of TLS: the handshake with another mail server, and whether what it shows is what it should be.

Every certificate is looked at, also where nobody has asked for that: what is in
order is remembered of a domain (`levels`), and told to it where it wants to know
(RFC 8460). A certificate that is not in order never ends a handshake; whether it
ends the conversation is decided by `exchange`, which then has a reason to give.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from twistmail.relay import dane
from twistmail.relay.names import fits
from twistmail.relay.route import Host, literal
from twistmail.relay.terms import Finding, Terms

#: Certificates between a server's own and that of an authority.
DEEPEST = 10
#: X509_V_ERR_*: what is usually wrong, as (result type of RFC 8460 §4.3, words).
FAULTS = {
    9: ("certificate-not-trusted", "its certificate is not yet valid"),
    10: ("certificate-expired", "its certificate has expired"),
    18: ("certificate-not-trusted", "its certificate vouches for itself"),
    19: ("certificate-not-trusted", "its certificate leads to an authority that nobody here knows"),
    20: ("certificate-not-trusted", "its certificate leads to no authority that is known here"),
    21: ("certificate-not-trusted", "its certificate leads to no authority that is known here"),
    22: ("certificate-not-trusted", "the chain of its certificates is too long"),
    26: ("certificate-not-trusted", "its certificate is not meant for servers"),
    66: ("certificate-not-trusted", "the key of its certificate is too short"),
    68: ("certificate-not-trusted", "its certificate is signed in a way that is too weak"),
}
Fault = tuple[str, str]


class TlsClients:
    """Makes the client's side of TLS. *authorities*: a PEM file with those who may vouch for servers; None: the system's.

    *now*() gives POSIX seconds. OSError and SSL.Error where the file cannot be read.
    """

    def __init__(self, authorities: Path | None = None, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._context = context_of(authorities)
        self._context.set_verify(SSL.VERIFY_PEER, _note)

    def __call__(self, host: Host, terms: Terms) -> Shake:
        """For one connection to *host*."""
        return Shake(self._context, host, terms, self._now)


def context_of(authorities: Path | None) -> SSL.Context:
    """For clients of our making; who may vouch for servers as with TlsClients. OSError, SSL.Error."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_verify_depth(DEEPEST)
    if authorities is None:
        context.set_default_verify_paths()
    else:
        authorities.open("rb").close()  # OpenSSL does not say that a file is not there
        context.load_verify_locations(str(authorities))
    return context


@implementer(IOpenSSLClientConnectionCreator)
class Strict:
    """A handshake with host *name* that fails unless its certificate is in order: for what is not mail, such as HTTPS.

    Not Twisted's own `optionsForClientTLS`: that one (26.10) logs a certificate without alternative names, and goes on.
    """

    def __init__(self, context: SSL.Context, name: str) -> None:
        self._context, self._name = context, name

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_tlsext_host_name(self._name.encode("ascii"))
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._is_fine)
        return connection

    def _is_fine(self, connection: Any, certificate: Any, error: int, depth: int, fine: int) -> bool:
        try:
            return bool(fine) and (depth > 0 or fits(certificate.to_cryptography(), self._name))
        except ValueError:
            return False


class _Watched(SSL.Connection):
    """A connection that remembers what OpenSSL found wrong with the certificates first."""

    fault: Fault | None = None


def _note(connection: Any, certificate: Any, error: int, depth: int, fine: int) -> bool:
    if not fine and connection.fault is None:
        connection.fault = FAULTS.get(error, ("certificate-not-trusted", f"OpenSSL does not believe its certificate (X509_V_ERR {error})"))
    return True


@implementer(IOpenSSLClientConnectionCreator)
class Shake:
    """One handshake, and what it has shown."""

    def __init__(self, context: SSL.Context, host: Host, terms: Terms, now: Callable[[], float]) -> None:
        self._context, self._host, self._terms, self._now = context, host, terms, now
        self._connection: _Watched | None = None

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        self._connection = connection = _Watched(self._context, None)
        name = self._terms.names[0] if self._terms.records else self._host.name  # RFC 7672 §8.1, RFC 8461 §7.1
        if literal(name) is None:
            connection.set_tlsext_host_name(name.encode("ascii", "ignore"))
        return connection

    def finding(self) -> Finding:
        """What the server has shown. Once the handshake is through."""
        connection, terms = self._connection, self._terms
        if connection is None:
            return Finding()
        protocol = connection.get_protocol_version_name()
        chain = _chain(connection)
        if terms.records:
            try:
                dane.check(chain, terms.records, terms.names, self._now())
            except dane.Mismatch as mismatch:
                return Finding(protocol, "", mismatch.why, mismatch.kind)
            return Finding(protocol, terms.checked_by or "DANE")
        fault = connection.fault or self._misnamed(chain)
        return Finding(protocol, "", fault[1], fault[0]) if fault else Finding(protocol, terms.checked_by or "its authority")

    def _misnamed(self, chain: list[x509.Certificate]) -> Fault | None:
        names = self._terms.names or (literal(self._host.name) or self._host.name,)
        if not chain:
            return "validation-failure", "it shows no certificate"
        if not any(fits(chain[0], name) for name in names):
            return "certificate-host-mismatch", f"its certificate is not for {' or '.join(names)}"
        return None


def _chain(connection: SSL.Connection) -> list[x509.Certificate]:
    """What the server has shown, its own first; empty where that cannot be read."""
    try:
        return list(connection.get_peer_cert_chain(as_cryptography=True) or ())
    except (ValueError, TypeError):
        return []
