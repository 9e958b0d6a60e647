"""Certificates in a directory: which there are, which of them a name gets, and noticing new ones.

Understood are certbot's `live` layout (`NAME/fullchain.pem` with `NAME/privkey.pem`)
and flat files (`*.pem`, key and chain in one). The names inside a certificate
decide who gets it; file names mean nothing. A file that never held a key and a
certificate is passed over: such directories have stray requests and chains.

`look` reads what has changed since the last look; `service` calls it every few
seconds, in a thread. What cannot be read (half written, a key that does not fit,
no permission) is told once, and what was read of it before stays in use.

`contexts.Contexts` makes OpenSSL contexts of what is here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.logger import Logger

from twistmail.tls.files import UNREADABLE, Stamp, read, said, stamp_of
from twistmail.tls.selfsigned import make_self_signed

log = Logger()

MOST_FILES = 10_000
SELF_SIGNED = "self-signed.pem"
#: Below the data folder: what we have made, were given or got from an authority.
OWN_CERTIFICATES = "tls"
#: The stamp of what was there at the last look and is not any more: it may just be on its way to be replaced.
GONE: Stamp = ()
#: Seconds before its end from which on a certificate that nobody has renewed is told.
WARN_BEFORE = 21 * 86400.0


@dataclass(frozen=True)
class Certificate:
    """A key and its chain, ready for OpenSSL. `names` in lower case, with wildcards; `begins` and `expires` in POSIX seconds."""

    path: Path
    names: tuple[str, ...]
    begins: float
    expires: float
    self_signed: bool
    key: Any  # a private key of cryptography's
    chain: tuple[x509.Certificate, ...]


@dataclass(frozen=True)
class Reading:
    """What the files of one pair said at `stamp`; `certificate` None: nothing that we can use. `trouble`: what was wrong with them."""

    stamp: Stamp
    certificate: Certificate | None
    trouble: str = ""


@dataclass(frozen=True)
class Holding:
    """A pair of files, or a folder, as somebody asks about it: what is in it, which names get that, what is wrong (empty: nothing)."""

    path: Path
    certificate: Certificate | None
    names: tuple[str, ...] = ()
    trouble: str = ""


class Certificates:
    """The certificates of *directory* and of *own*, a folder of ours (None: there is none).

    *self_sign*: make one there where none is for *hostname*. *now*() gives POSIX seconds. Ends are told *warn_before* seconds
    ahead. `find` and `default` may be asked while another thread looks.
    """

    def __init__(
        self,
        directory: Path,
        hostname: str,
        now: Callable[[], float],
        *,
        own: Path | None = None,
        self_sign: bool = True,
        warn_before: float = WARN_BEFORE,
    ) -> None:
        self.directory = directory
        self.hostname = hostname.lower()
        self.warn_before = warn_before
        self._now = now
        self._own = own
        self._read: dict[Path, Reading] = {}
        self._folders: dict[Path, str] = {}  # what is wrong with a folder
        self._told: dict[Path, str] = {}  # what was last said of a file or a folder
        self._by_name: dict[str, Certificate] = {}
        #: Grows when certificates have changed.
        self.version = 0
        self.look()
        if self_sign and own is not None and self._lacks_own():
            self._provide_own(own)

    @property
    def all(self) -> tuple[Certificate, ...]:
        """Every certificate that is in use for some name."""
        return tuple({certificate.path: certificate for certificate in self._by_name.values()}.values())

    @property
    def holdings(self) -> tuple[Holding, ...]:
        """Everything that there is, used or not, in the order of its paths; and folders that cannot be read."""
        names: dict[Certificate, list[str]] = {}
        for name, certificate in self._by_name.items():
            names.setdefault(certificate, []).append(name)
        found = [Holding(path, None, trouble=trouble) for path, trouble in self._folders.items()]
        for path, reading in self._read.items():
            if reading.certificate or reading.trouble:
                used = tuple(names.get(reading.certificate, ())) if reading.certificate else ()
                found.append(Holding(path, reading.certificate, used, reading.trouble))
        return tuple(sorted(found, key=lambda one: one.path))

    @property
    def default(self) -> Certificate | None:
        """What a client gets that names nobody, or somebody unknown: the host's own, or any."""
        return self.find(self.hostname) or next(iter(self._by_name.values()), None)

    def find(self, name: str) -> Certificate | None:
        """The certificate for *name* (lower case): its own, or a wildcard's (RFC 6125 §6.4.3: one label)."""
        by_name = self._by_name
        found = by_name.get(name)
        if found is None and "." in name:
            found = by_name.get("*." + name.partition(".")[2])
        return found

    def look(self) -> None:
        """Read what has changed. Blocking: a `stat` a file, milliseconds for what is new. What is wrong is logged, nothing is raised."""
        self._read = self._readings()
        now = self._now()
        by_name = _best_by_name((reading.certificate for reading in self._read.values() if reading.certificate), now)
        if self._by_name and not by_name:
            self._tell(self.directory, "no certificate is left in it")
        elif by_name != self._by_name:
            self._by_name = by_name
            self.version += 1
        for certificate in self.all:
            self._tell_age(certificate, now)

    def _lacks_own(self) -> bool:
        """Nobody's is for the host; or only ours, whose end has come."""
        found = self.find(self.hostname)
        return found is None or (found.self_signed and found.path.name == SELF_SIGNED and found.expires <= self._now())

    def _provide_own(self, own: Path) -> None:
        path = own / SELF_SIGNED
        if not path.exists():
            make_self_signed(path, self.hostname, self._now())
            log.info("made a self-signed certificate for {name}: {path}", name=self.hostname, path=str(path))
        self.look()
        if self._lacks_own():  # it was made when the host had another name, or ten years ago
            make_self_signed(path, self.hostname, self._now())
            self.look()

    # ----- reading

    def _readings(self) -> dict[Path, Reading]:
        """What there is now. Certificates of files that are gone stay for one more look."""
        found = {path: self._reading(path, files) for path, files in self._pairs()}
        for path in self._read.keys() - found.keys():
            if self._read[path].stamp != GONE:
                found[path] = Reading(GONE, self._read[path].certificate)
        return found

    def _reading(self, path: Path, files: tuple[Path, ...]) -> Reading:
        stamp = stamp_of(files)
        known = self._read.get(path)
        if known is not None and known.stamp == stamp:
            return known
        before = known.certificate if known else None
        try:
            return Reading(stamp, self._load(path, files, is_known=before is not None))
        except UNREADABLE as error:
            trouble = said(error, path)
            self._tell(path, trouble, in_use=before is not None)
            return Reading(stamp, before, trouble)

    def _load(self, path: Path, files: tuple[Path, ...], *, is_known: bool) -> Certificate | None:
        octets = b"\n".join(read(file) for file in files)
        if len(files) == 1 and not (b"PRIVATE KEY-----" in octets and b"-----BEGIN CERTIFICATE-----" in octets):
            if is_known:
                raise ValueError("it no longer holds a certificate with its key")
            return None
        certificate = parse(path, octets)
        self._told.pop(path, None)
        return certificate

    def _pairs(self) -> Iterator[tuple[Path, tuple[Path, ...]]]:
        """(what to call it, the files that make it up) of everything that may be a certificate with its key."""
        for folder in dict.fromkeys(filter(None, (self.directory, self._own))):
            for entry in self._entries(folder):
                chain = entry / "fullchain.pem"
                if entry.suffix == ".pem" and os.path.isfile(entry):
                    yield entry, (entry,)
                elif os.path.lexists(chain):  # a link that leads to where we may not look is told when it is read
                    yield entry, (chain, entry / "privkey.pem")

    def _entries(self, folder: Path) -> list[Path]:
        try:
            found = sorted(folder.iterdir())[:MOST_FILES]
        except FileNotFoundError:
            found = []
        except OSError as error:
            self._folders[folder] = said(error, folder)
            self._tell(folder, self._folders[folder])
            return [path for path in self._read if path.parent == folder]
        if self._folders.pop(folder, None):
            self._told.pop(folder, None)
        return found

    # ----- telling

    def _tell(self, path: Path, what: str, *, in_use: bool = True) -> None:
        """Log it once; *in_use*: something that was read before goes on."""
        if self._told.get(path) != what:
            self._told[path] = what
            kept = "; what was read before stays in use" if in_use and self._by_name else ""
            log.error("certificates: {path}: {what}{kept}", path=str(path), what=what, kept=kept)

    def _tell_age(self, certificate: Certificate, now: float) -> None:
        left = certificate.expires - now
        if left > (0.0 if certificate.self_signed else self.warn_before):
            return
        what = f"the certificate for {' '.join(certificate.names)} {'ends' if left > 0 else 'has ended'} on {_day(certificate.expires)}"
        if self._told.get(certificate.path) != what:
            self._told[certificate.path] = what
            log.error("certificates: {path}: {what}", path=str(certificate.path), what=what)


def parse(path: Path, octets: bytes) -> Certificate:
    """The Certificate in *octets*: PEM blocks of a key and of a chain, the host's own certificate first.

    UNREADABLE; also where OpenSSL will not use it.
    """
    key = load_pem_private_key(octets, None)
    chain = tuple(x509.load_pem_x509_certificates(octets))
    own = chain[0]
    if own.public_key() != key.public_key():
        raise ValueError("the key is not that of the certificate")
    # What OpenSSL will not use (a short key, an odd curve) must not be found out in the middle of a handshake.
    use(SSL.Context(SSL.TLS_SERVER_METHOD), key, chain)
    return Certificate(
        path=path,
        names=_names(own),
        begins=own.not_valid_before_utc.timestamp(),
        expires=own.not_valid_after_utc.timestamp(),
        self_signed=own.issuer == own.subject,
        key=key,
        chain=chain,
    )


def use(context: SSL.Context, key: Any, chain: tuple[x509.Certificate, ...]) -> None:
    """Let *context* show the first of *chain*, to which *key* belongs, with the others. SSL.Error."""
    context.use_privatekey(key)
    own, *others = chain
    context.use_certificate(own)
    for other in others:
        context.add_extra_chain_cert(other)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return tuple(name.lower() for name in alternative.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(name.value).lower() for name in common)


def _best_by_name(certificates: Iterable[Certificate], now: float) -> dict[str, Certificate]:
    """Of several for one name: one whose time has come, that somebody else has signed, and of those the one that lasts longest."""
    best: dict[str, Certificate] = {}
    for certificate in sorted(certificates, key=lambda one: (one.begins <= now, not one.self_signed, one.expires)):
        best.update(dict.fromkeys(certificate.names, certificate))
    return best


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
