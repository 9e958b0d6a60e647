"""Clients that show a certificate: asked for one, never made to, and believed only where an authority of ours has signed it.

OpenSSL checks the chain, the dates, whether it is meant for clients, and the
revocation lists where the file has some; that the client holds the key is part
of every handshake (RFC 8446 §4.4.3). Whoever shows something that does not check
out is let in as if he had shown nothing, and the trace tells why.

A client is called by the first mail address in its certificate (an rfc822Name of
the subject's alternative names, RFC 5280 §4.2.1.6), or, where it has none, by its
common name. To which account that name leads is the business of `servers.login`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.logger import Logger

from twistmail.mail.values import frozen
from twistmail.tls.files import UNREADABLE, Stamp, read, said, stamp_of

log = Logger()

#: Certificates between a client's own and that of an authority.
DEEPEST = 4
LONGEST_NAME = 255
CRL = b"-----BEGIN X509 CRL-----"

#: X509_V_ERR_*: what is usually wrong, in words.
FAULTS = {
    3: "its authority has no revocation list here",
    9: "its time has not come",
    10: "it has expired",
    12: "the revocation list of its authority has expired",
    18: "it vouches for itself",
    19: "its authority is not one of ours",
    20: "its authority is not one of ours",
    21: "its authority is not one of ours",
    22: "its chain is too long",
    23: "it has been revoked",
    26: "it is not meant for clients",
    66: "its key is too short",
    68: "it is signed in a way that is too weak",
}


@dataclass(slots=True)
class Shown:
    """What one client has shown: `client` is its name once it is believed; `fault` why it is not. Both empty: nothing shown."""

    client: str = ""
    fault: str = ""


class Served(SSL.Connection):
    """The server's side of a connection. (Its application data are Twisted's.)"""

    def __init__(self, context: SSL.Context) -> None:
        super().__init__(context, None)
        self.shown = Shown()


@frozen
class Trust:
    """What a file of authorities says. Where it has a revocation list, each authority needs one."""

    certificates: tuple[x509.Certificate, ...] = ()
    revoked: tuple[x509.CertificateRevocationList, ...] = ()

    def ask(self, context: SSL.Context) -> None:
        """Let *context* ask for a client's certificate, and tell which authorities count (RFC 8446 §4.3.2). crypto.Error."""
        store: Any = context.get_cert_store()
        for certificate in self.certificates:
            store.add_cert(crypto.X509.from_cryptography(certificate))
            context.add_client_ca(certificate)
        for crl in self.revoked:
            store.add_crl(crl)
        # an authority of a department need not be signed by one that we trust as well
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN | (crypto.X509StoreFlags.CRL_CHECK if self.revoked else 0))
        context.set_verify_depth(DEEPEST)
        context.set_verify(SSL.VERIFY_PEER, _note)


class Authorities:
    """Who may vouch for clients, by the PEM file *path*; nobody, until it has been read.

    A file that becomes broken is told, and what was read before holds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: Stamp | None = None
        self.trust = Trust()
        #: Grows when the file has changed.
        self.version = 0
        self.look()

    def look(self) -> None:
        """Read the file if it is not what it was. Blocking; nothing is raised."""
        stamp = stamp_of((self._path,))
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            trust = parse(read(self._path))
        except UNREADABLE as error:
            kept = "; what was read before stays in use" if self.version else "; no client is believed"
            log.error("authorities for clients: {path}: {why}{kept}", path=str(self._path), why=said(error, self._path), kept=kept)
        else:
            self.trust = trust
            self.version += 1


def parse(octets: bytes) -> Trust:
    """The PEM blocks in *octets*. UNREADABLE; also where OpenSSL will not use one, which no handshake must find out."""
    trust = Trust(
        tuple(x509.load_pem_x509_certificates(octets)),
        tuple(x509.load_pem_x509_crl(CRL + block) for block in octets.split(CRL)[1:]),
    )
    trust.ask(SSL.Context(SSL.TLS_SERVER_METHOD))
    return trust


def _note(connection: Any, certificate: Any, error: int, depth: int, fine: int) -> bool:
    """OpenSSL has looked at one certificate of the chain, the client's own last. The handshake goes on, whatever it found."""
    shown: Shown = connection.shown  # `Served`
    if not fine:  # constraints on names are looked at last, after the client's own certificate was found fine
        shown.client = ""
        shown.fault = shown.fault or FAULTS.get(error, f"OpenSSL does not believe it (X509_V_ERR {error})")
    elif depth == 0 and not shown.fault:
        shown.client = name_of(certificate.to_cryptography())
        shown.fault = "" if shown.client else "it names nobody"
    return True


def name_of(certificate: x509.Certificate) -> str:
    """Whose *certificate* it is, as it is written there; empty where it names nobody, or in a way that cannot be read."""
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = list(alternative.get_values_for_type(x509.RFC822Name))
    except x509.ExtensionNotFound:
        names = []
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ""
    name = names[0] if names else _common_name(certificate)
    return name if len(name) <= LONGEST_NAME and name.isprintable() else ""


def _common_name(certificate: x509.Certificate) -> str:
    """The only one; of several none is more his than the others."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""
