"""OpenSSL contexts for our listeners: one per certificate and protocol, chosen by the name that the client asks for.

TLS 1.2 at least; no session tickets and no session cache (nothing that outlives
a connection can be stolen), no renegotiation, no compression; ALPN always (RFC
7301), so that a browser cannot be led to speak to a mail port (ALPACA). Where
there are authorities for clients, a client is asked for a certificate.

A handshake reads no file: `look` does, in a thread, and the next handshake uses
what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from zope.interface import implementer

from twistmail.options import DURATION, SWITCH, TEXT, Option, Reload, Section, choice
from twistmail.tls.certificates import Certificate, Certificates, use
from twistmail.tls.clients import Authorities, Served

log = Logger()

OPTIONS = Section(
    "tls",
    "Certificates, and how TLS is spoken.",
    Option("directory", TEXT, "tls", "Certificates: certbot's `live` directory, or *.pem files with key and chain. Changes are noticed.",
           Reload.RESTART, example="/etc/letsencrypt/live"),
    Option("self_signed", SWITCH, "yes", "Make a certificate where there is none for hostname.", Reload.RESTART),
    Option("minimum", choice("1.2", "1.3"), "1.2", "The oldest version of TLS that is spoken.", Reload.NEW),
    Option("client_ca", TEXT, "", "Authorities and revocation lists, a PEM file: whoever has a certificate of theirs needs no password.",
           Reload.NEW, example="clients.pem"),
    Option("warn_before", DURATION, "21d", "How long before its end it is told that a certificate was not renewed.", Reload.NEW),
    Option("handshake_timeout", DURATION, "30s", "How long a handshake may take.", Reload.NEW),
)

MINIMUM = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
#: For TLS 1.2: forward secrecy and authenticated encryption, nothing else (RFC 9325 §4.2).
CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
OPTIONS_OF_SSL = SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE


#: Octets of the names of protocols that a client offers which are quoted.
LONGEST_OFFER = 100


class NoCertificate(Exception):
    """TLS was asked for, and there is no certificate any more."""


class Contexts:
    """Makes contexts of the newest *certificates*. *minimum* is a word of `MINIMUM`; *clients*: who vouches for them (None: not asked)."""

    def __init__(self, certificates: Certificates, minimum: str = "1.2", clients: Authorities | None = None) -> None:
        self.certificates = certificates
        self._clients = clients
        self._minimum = minimum
        self._versions = (-1, -1)
        self._made: dict[tuple[Certificate, str], SSL.Context] = {}

    @property
    def available(self) -> bool:
        """Is there any certificate?"""
        return self.certificates.default is not None

    def look(self) -> None:
        """Read what has changed in the files. Blocking; in a thread, one at a time."""
        self.certificates.look()
        if self._clients is not None:
            self._clients.look()

    def factory(self, protocol: str) -> Callable[[], Creator | None]:
        """What the pump calls for each handshake (None: no certificate); *protocol* is the word of ALPN: "smtp", "imap", "pop3"."""
        creator = Creator(self, protocol)
        return lambda: creator if self.available else None

    def context(self, name: str, protocol: str) -> SSL.Context:
        """The context for a client that asks for *name*. NoCertificate."""
        versions = self.certificates.version, self._clients.version if self._clients else 0
        if versions != self._versions:
            self._versions = versions
            self._made.clear()
        certificate = self.certificates.find(name.lower()) or self.certificates.default
        if certificate is None:
            raise NoCertificate
        made = self._made.get((certificate, protocol))
        if made is None:
            made = self._made[certificate, protocol] = self._make(certificate, protocol)
        return made

    def _make(self, certificate: Certificate, protocol: str) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(MINIMUM[self._minimum])
        context.set_options(OPTIONS_OF_SSL)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_cipher_list(CIPHERS)
        use(context, certificate.key, certificate.chain)
        if self._clients is not None:
            self._clients.trust.ask(context)
        context.set_alpn_select_callback(_selector(protocol.encode()))
        context.set_tlsext_servername_callback(lambda connection: self._named(connection, protocol))
        return context

    def _named(self, connection: SSL.Connection, protocol: str) -> None:
        """The client has said by SNI (RFC 6066 §3) whom it wants."""
        name = connection.get_servername()
        if name:
            connection.set_context(self.context(name.decode("ascii", "replace"), protocol))


def _selector(protocol: bytes) -> Callable[[SSL.Connection, list[bytes]], Any]:
    """RFC 7301 §3.2: ours if it is offered. Whoever offers only others was led here by mistake, and is refused."""

    def select(connection: SSL.Connection, offered: list[bytes]) -> bytes:
        if protocol in offered:
            return protocol
        raise SSL.Error([("ALPN", "", f"{b' '.join(offered)[:LONGEST_OFFER]!r} cannot be spoken here")])

    return select


@implementer(IOpenSSLServerConnectionCreator)
class Creator:
    """What `transport.startTLS` takes: begins the server's side of a handshake."""

    def __init__(self, contexts: Contexts, protocol: str) -> None:
        self._contexts = contexts
        self._protocol = protocol

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return Served(self._contexts.context("", self._protocol))
