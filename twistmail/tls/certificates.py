"""Certificates in a directory: which there are, which of them a name gets, and noticing new ones.

Understood are certbot's `live` layout (`NAME/fullchain.pem` with `NAME/privkey.pem`)
and flat files (`*.pem`, key and chain in one). The names inside a certificate
decide who gets it; file names mean nothing. A file that holds no key, or no
certificate, is passed over: such directories have stray requests and chains.
A pair that cannot be read keeps what was read of it before.

`contexts.Contexts` makes OpenSSL contexts of what is here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.logger import Logger

from twistmail.tls.selfsigned import make_self_signed

log = Logger()

#: Seconds between looks at the directory.
INTERVAL = 60.0
MOST_OCTETS = 1024 * 1024
MOST_FILES = 10_000
SELF_SIGNED = "self-signed.pem"

Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class Certificate:
    """A key and its chain, ready for OpenSSL. `names` in lower case, with wildcards; `expires` in POSIX seconds."""

    path: Path
    names: tuple[str, ...]
    expires: float
    self_signed: bool
    key: Any  # a private key of cryptography's
    chain: tuple[x509.Certificate, ...]


class Certificates:
    """The certificates of *directory*, and one of our own in *own* (a folder; None: never) where none is for *hostname*.

    *now*() gives POSIX seconds. Reading is blocking: milliseconds, at start and when something has changed.
    """

    def __init__(self, directory: Path, hostname: str, now: Callable[[], float], *, own: Path | None = None) -> None:
        self._directory = directory
        self._hostname = hostname.lower()
        self._now = now
        self._own = own
        self._looked = now()
        self._read: dict[Path, tuple[Stamp, Certificate | None]] = {}
        self._by_name: dict[str, Certificate] = {}
        #: Grows when certificates have changed.
        self.version = 0
        self._look()
        if own is not None and self.find(self._hostname) is None:
            self._provide_own(own)

    @property
    def all(self) -> tuple[Certificate, ...]:
        """Every certificate that is in use for some name."""
        return tuple(dict.fromkeys(self._by_name.values()))

    @property
    def default(self) -> Certificate | None:
        """What a client gets that names nobody, or somebody unknown: the host's own, or any."""
        return self.find(self._hostname) or next(iter(self._by_name.values()), None)

    def find(self, name: str) -> Certificate | None:
        """The certificate for *name* (lower case): its own, or a wildcard's (RFC 6125 §6.4.3: one label)."""
        found = self._by_name.get(name)
        if found is None and "." in name:
            found = self._by_name.get("*." + name.partition(".")[2])
        return found

    def freshen(self) -> None:
        """Look at the directory if the last look was a while ago."""
        now = self._now()
        if not 0 <= now - self._looked < INTERVAL:
            self._looked = now
            try:
                self._look()
            except OSError as error:
                log.error("certificates: {error}; what was read before stays in use", error=str(error))

    def _provide_own(self, own: Path) -> None:
        path = own / SELF_SIGNED
        if not path.exists():
            make_self_signed(path, self._hostname, self._now())
            log.info("made a self-signed certificate for {name}: {path}", name=self._hostname, path=str(path))
        self._look()
        if self.find(self._hostname) is None:
            # It was made when the host had another name.
            make_self_signed(path, self._hostname, self._now())
            self._look()

    def _look(self) -> None:
        before = {path: stamp for path, (stamp, _) in self._read.items()}
        found: dict[Path, tuple[Stamp, Certificate | None]] = {}
        for path, files in self._pairs():
            stamp = _stamp_of(files)
            known = self._read.get(path)
            found[path] = known if known and known[0] == stamp else (stamp, self._load(path, files, known[1] if known else None))
        self._read = found
        if before != {path: stamp for path, (stamp, _) in found.items()}:
            by_name = _best_by_name(certificate for _, certificate in found.values() if certificate)
            if self._by_name and not by_name:
                log.error("certificates: none is left in {directory}; the old ones stay in use", directory=str(self._directory))
                return
            self._by_name = by_name
            self.version += 1

    def _pairs(self) -> Iterator[tuple[Path, tuple[Path, ...]]]:
        """(what to call it, the files that make it up) of everything that may be a certificate with its key."""
        for folder in dict.fromkeys(filter(None, (self._directory, self._own))):
            try:
                entries = sorted(folder.iterdir())[:MOST_FILES]
            except FileNotFoundError:
                continue
            for entry in entries:
                if entry.suffix == ".pem" and entry.is_file():
                    yield entry, (entry,)
                elif (entry / "fullchain.pem").exists():
                    yield entry, (entry / "fullchain.pem", entry / "privkey.pem")

    def _load(self, path: Path, files: tuple[Path, ...], before: Certificate | None) -> Certificate | None:
        try:
            octets = b"\n".join(_read(file) for file in files)
            if len(files) == 1 and not (b"PRIVATE KEY-----" in octets and b"-----BEGIN CERTIFICATE-----" in octets):
                return None
            return parse(path, octets)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm, SSL.Error) as error:
            kept = "; the old one stays in use" if before else ""
            log.error("certificate {path}: {error}{kept}", path=str(path), error=str(error) or "cannot be read", kept=kept)
            return before


def parse(path: Path, octets: bytes) -> Certificate:
    """The Certificate in *octets*: PEM blocks of a key and of a chain, the host's own certificate first.

    ValueError, TypeError (a key with a password), UnsupportedAlgorithm, SSL.Error (OpenSSL will not use it).
    """
    key = load_pem_private_key(octets, None)
    chain = x509.load_pem_x509_certificates(octets)
    own = chain[0]
    if own.public_key() != key.public_key():
        raise ValueError("the key is not that of the certificate")
    # What OpenSSL will not use (a short key, an odd curve) must not be found out in the middle of a handshake.
    trial = SSL.Context(SSL.TLS_SERVER_METHOD)
    trial.use_privatekey(key)  # type: ignore[arg-type]
    trial.use_certificate(own)
    return Certificate(
        path=path,
        names=_names(own),
        expires=own.not_valid_after_utc.timestamp(),
        self_signed=own.issuer == own.subject,
        key=key,
        chain=tuple(chain),
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return tuple(name.lower() for name in alternative.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(name.value).lower() for name in common)


def _best_by_name(certificates: Iterator[Certificate]) -> dict[str, Certificate]:
    """Of several for one name: one that somebody else has signed, and of those the one that lasts longest."""
    best: dict[str, Certificate] = {}
    for certificate in sorted(certificates, key=lambda one: (not one.self_signed, one.expires)):
        best.update(dict.fromkeys(certificate.names, certificate))
    return best


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_OCTETS)


def _stamp_of(files: tuple[Path, ...]) -> Stamp:
    """What changes when a file is written anew, or when a link (certbot's are) leads elsewhere."""
    stamp = []
    for file in files:
        try:
            status = os.stat(file)
        except OSError:
            stamp.append((file.name, 0, 0, 0))
        else:
            stamp.append((file.name, status.st_mtime_ns, status.st_ino, status.st_size))
    return tuple(stamp)
