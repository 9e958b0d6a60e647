"""How we prove that a name is ours: each way puts something where the authority will look, and takes it away again.

Blocking; used by `issue` in its thread. A proof is a context manager per name:
inside it the authority may look.
"""

from __future__ import annotations

import hashlib
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.logger import Logger

from twistmail.tls.acme.answers import Answers
from twistmail.tls.acme.settings import DNS, TLS_ALPN, Wish
from twistmail.tls.acme.updates import TROUBLE, Updates

log = Logger()

#: RFC 8737 §6.1
ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
PAGES = Path(".well-known/acme-challenge")


class Proof(Protocol):
    """One way. `kind` as the authority calls it."""

    kind: str

    def settle(self) -> None:
        """Wait until what is shown is seen everywhere."""

    def shown(self, name: str, token: str, authorization: str) -> Any:
        """A context manager: inside it *authorization* (RFC 8555 §8.1) is shown for *name*. OSError, ValueError."""


def proof_of(wish: Wish, answers: Answers, pause: Callable[[float], object]) -> Proof:
    """The way that *wish* asks for. *pause*(seconds) waits."""
    if wish.challenge == DNS:
        assert wish.name_server is not None
        return ByRecord(Updates(wish.name_server, pause))
    if wish.challenge == TLS_ALPN:
        return ByHandshake(answers)
    return InFolder(wish.webroot) if wish.webroot else ByPage(answers)


class _AtOnce:
    """What is shown is seen at once."""

    def settle(self) -> None:
        pass


class ByPage(_AtOnce):
    """http-01, answered by ourselves (`servers.challenges`)."""

    kind = "http-01"

    def __init__(self, answers: Answers) -> None:
        self._pages = answers.pages

    @contextmanager
    def shown(self, name: str, token: str, authorization: str) -> Iterator[None]:
        self._pages[token] = authorization
        try:
            yield
        finally:
            self._pages.pop(token, None)


class InFolder(_AtOnce):
    """http-01, answered by a web server out of its folder *root*."""

    kind = "http-01"

    def __init__(self, root: Path) -> None:
        self._folder = root / PAGES

    @contextmanager
    def shown(self, name: str, token: str, authorization: str) -> Iterator[None]:
        if not token or not all(c.isascii() and (c.isalnum() or c in "-_") for c in token):
            raise ValueError("the authority names a page that is none")  # it is a file name here
        self._folder.mkdir(parents=True, exist_ok=True)
        for folder in (self._folder, self._folder.parent):
            _let_all_in(folder)
        page = self._folder / token
        page.write_text(authorization)
        page.chmod(0o644)
        try:
            yield
        finally:
            page.unlink(missing_ok=True)


def _let_all_in(folder: Path) -> None:
    """Our umask is meant for mail; the web server is somebody else."""
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(0o755)


class ByHandshake(_AtOnce):
    """tls-alpn-01 (RFC 8737), answered in handshakes (`tls.contexts`)."""

    kind = "tls-alpn-01"

    def __init__(self, answers: Answers) -> None:
        self._certificates = answers.certificates

    @contextmanager
    def shown(self, name: str, token: str, authorization: str) -> Iterator[None]:
        key = ec.generate_private_key(ec.SECP256R1())
        self._certificates[name] = key, (answering(key, name, authorization),)
        try:
            yield
        finally:
            self._certificates.pop(name, None)


def answering(key: ec.EllipticCurvePrivateKey, name: str, authorization: str) -> x509.Certificate:
    """A certificate for *name* and nobody else that carries the digest of *authorization* (RFC 8737 §3)."""
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "twistmail answers ACME")])
    digest = hashlib.sha256(authorization.encode("ascii")).digest()
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.UnrecognizedExtension(ACME_IDENTIFIER, b"\x04\x20" + digest), critical=True)
        .sign(key, hashes.SHA256())
    )


class ByRecord:
    """dns-01 (RFC 8555 §8.4): a record that we put into the zone ourselves."""

    kind = "dns-01"

    def __init__(self, updates: Updates) -> None:
        self._updates = updates

    def settle(self) -> None:
        self._updates.wait()

    @contextmanager
    def shown(self, name: str, token: str, authorization: str) -> Iterator[None]:
        digest = hashlib.sha256(authorization.encode("ascii")).digest()
        text = urlsafe_b64encode(digest).rstrip(b"=").decode()
        record = f"_acme-challenge.{name.removeprefix('*.')}"
        self._updates.add(record, text)
        try:
            yield
        finally:
            try:
                self._updates.remove(record, text)
            except TROUBLE as error:  # it proves nothing any more, and need not spoil what it has brought
                log.warn("{record} stays in the DNS: {error}", record=record, error=str(error))
