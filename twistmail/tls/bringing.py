"""Certificates that somebody brings: read in the forms that authorities hand out, checked, put where the server looks.

PEM in one file or in two, or PKCS #12. What is written is one PEM file with the
key and the chain, whole or not at all, for the owner's eyes only. Blocking;
`twistmail cert import` and the renewal by ACME call it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from twistmail.tls.certificates import Certificate, parse
from twistmail.tls.files import read, write_secret


def bring(files: Sequence[Path], password: bytes | None = None) -> Certificate:
    """The certificate with its key that *files* hold together; *password*: of the key, or of a PKCS #12 file.

    files.UNREADABLE, with the reason in words.
    """
    octets = b"\n".join(map(read, files))
    if b"-----BEGIN" not in octets:
        octets = _from_pkcs12(octets, password)
    elif b"-----BEGIN CERTIFICATE-----" not in octets:
        raise ValueError("there is no certificate in it")
    elif b"PRIVATE KEY-----" not in octets:
        raise ValueError("there is no private key in it: name the file with the key as well")
    elif password:
        octets = _opened(octets, password)
    return parse(files[0], octets)


def _from_pkcs12(octets: bytes, password: bytes | None) -> bytes:
    key, own, others = pkcs12.load_key_and_certificates(octets, password)
    if key is None or own is None:
        raise ValueError("there is no certificate with its key in it")
    pem = serialization.Encoding.PEM
    return _key_pem(key) + b"".join(one.public_bytes(pem) for one in (own, *others))


def _opened(octets: bytes, password: bytes) -> bytes:
    """PEM blocks with the key in clear."""
    key = serialization.load_pem_private_key(octets, password)
    begin = octets.find(b"-----BEGIN CERTIFICATE-----")
    return _key_pem(key) + octets[begin:]


def _key_pem(key: Any) -> bytes:
    octets: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return octets


def file_name(certificate: Certificate) -> str:
    """What to call its file: the first name, which may be a wildcard; ValueError where it is for nobody."""
    if not certificate.names:
        raise ValueError("it names no host")
    return name_of_file(certificate.names[0])


def name_of_file(host: str) -> str:
    """What the file with the certificate of *host* is called. ValueError where *host* is no name."""
    name = host.replace("*", "_")
    if name.startswith(".") or not all(c.isalnum() or c in "-._" for c in name):
        raise ValueError(f"{name!r} is no name of a host")
    return f"{name}.pem"


def keep(certificate: Certificate, folder: Path) -> Path:
    """Write it into *folder* (made where it is missing) under the name that `file_name` gives; where that is. OSError, ValueError."""
    pem = serialization.Encoding.PEM
    octets = _key_pem(certificate.key) + b"".join(one.public_bytes(pem) for one in certificate.chain)
    path = folder / file_name(certificate)
    write_secret(path, octets)
    return path
