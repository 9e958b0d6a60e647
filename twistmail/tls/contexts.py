"""OpenSSL contexts for our listeners: one per certificate and protocol, chosen by the name that the client asks for.

TLS 1.2 at least; no session tickets and no session cache (nothing that outlives
a connection can be stolen), no renegotiation, no compression; ALPN always (RFC
7301), so that a browser cannot be led to speak to a mail port (ALPACA). Where
there are authorities for clients, a client is asked for a certificate.

While an ACME authority looks whether a name is ours it may do so by a handshake
(tls-alpn-01, RFC 8737), on any port where TLS comes first.

A handshake reads no file: `look` does, in a thread, and the next handshake uses
what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from zope.interface import implementer

from twistmail.options import DURATION, SWITCH, TEXT, Option, Reload, Section, choice
from twistmail.tls.acme.answers import Answers
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


#: RFC 8737 §6.2; and as it stands in a hello (RFC 7301 §3.1).
ACME = b"acme-tls/1"
OFFERED = bytes([len(ACME)]) + ACME
#: Octets of a hello that are kept to look for that.
LONGEST_HELLO = 16 * 1024


class NoCertificate(Exception):
    """TLS was asked for, and there is no certificate any more."""


class Examined(Served):
    """The server's side while an authority may be looking. Which certificate is shown depends on what the client wants to speak, which
    OpenSSL tells only when the certificate is chosen; so the hello, which is in clear, is looked at here."""

    def __init__(self, context: SSL.Context) -> None:
        super().__init__(context)
        self._hello = b""

    @property
    def asks_for_proof(self) -> bool:
        return OFFERED in self._hello

    def bio_write(self, buf: Any) -> int:
        if len(self._hello) < LONGEST_HELLO:
            self._hello += buf
        return super().bio_write(buf)


class Contexts:
    """Makes contexts of the newest *certificates*. *minimum* is a word of `MINIMUM`; *clients*: who vouches for them (None: not asked).

    *answers*: what ACME authorities are shown.
    """

    def __init__(
        self, certificates: Certificates, minimum: str = "1.2", clients: Authorities | None = None, answers: Answers | None = None
    ) -> None:
        self.certificates = certificates
        self.answers = answers or Answers()
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
        octets = connection.get_servername()
        if not octets:
            return
        name = octets.decode("ascii", "replace").lower()
        if isinstance(connection, Examined) and connection.asks_for_proof and (answer := self.answers.certificates.get(name)):
            connection.set_context(_proof(*answer))
        else:
            connection.set_context(self.context(name, protocol))


def _proof(key: Any, chain: tuple[x509.Certificate, ...]) -> SSL.Context:
    """RFC 8737 §3: our answer, for nobody who would speak anything else then."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(OPTIONS_OF_SSL)
    use(context, key, chain)
    context.set_alpn_select_callback(_selector(ACME))
    return context


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
        kind = Examined if self._contexts.answers.certificates else Served
        return kind(self._contexts.context("", self._protocol))
