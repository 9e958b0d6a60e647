"""Certificates in the forms in which people have them, and how they are kept."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key, pkcs12

from tests.tls.authority import NOW, Authority
from twistmail.tls.bringing import bring, file_name, keep
from twistmail.tls.certificates import Certificates
from twistmail.tls.files import UNREADABLE

AUTHORITY = Authority()
NAMES = ("mail.blue.example", "imap.blue.example")


def written(folder: Path, form: str) -> list[Path]:
    """Files with one certificate in the *form*."""
    chain, key = AUTHORITY.issue(*NAMES)
    private, certificate = load_pem_private_key(key, None), x509.load_pem_x509_certificate(chain)
    lock = BestAvailableEncryption(b"secret")
    octets = {
        "one-file": [key + chain],
        "chain-first": [chain + key],
        "two-files": [chain, key],
        "locked": [chain, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)],
        "locked-in-one": [private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock) + chain],
        "pkcs12": [pkcs12.serialize_key_and_certificates(b"x", private, certificate, [AUTHORITY.certificate], lock)],  # type: ignore[arg-type]
    }[form]
    files = []
    for number, one in enumerate(octets):
        files.append(folder / f"given{number}")
        files[-1].write_bytes(one)
    return files


@pytest.mark.parametrize(("form", "password"), [
    pytest.param("one-file", None, id="one-file"),
    pytest.param("chain-first", None, id="chain-first"),
    pytest.param("two-files", None, id="two-files"),
    pytest.param("locked", b"secret", id="locked-key"),
    pytest.param("locked-in-one", b"secret", id="locked-key-in-one-file"),
    pytest.param("pkcs12", b"secret", id="pkcs12"),
])
def test_what_is_brought_is_kept_where_the_server_finds_it(tmp_path: Path, form: str, password: bytes | None) -> None:
    certificate = bring(written(tmp_path, form), password)
    path = keep(certificate, tmp_path / "tls")
    assert path.name == "mail.blue.example.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    found = Certificates(tmp_path / "tls", "mail.blue.example", lambda: NOW).find("imap.blue.example")
    assert found is not None
    assert found.chain == certificate.chain
    assert len(found.chain) == (2 if form == "pkcs12" else 1)


@pytest.mark.parametrize(("octets", "why"), [
    pytest.param([b""], ".", id="empty"),
    pytest.param([b"\x30\x80random"], ".", id="not-pkcs12"),
    pytest.param([AUTHORITY.issue("a.example")[0]], "no private key in it", id="no-key"),
    pytest.param([AUTHORITY.issue("a.example")[1]], "no certificate in it", id="no-certificate"),
    pytest.param([AUTHORITY.issue("a.example")[0], AUTHORITY.issue("a.example")[1]], "not that of the certificate", id="another-key"),
    pytest.param([b"-----BEGIN CERTIFICATE-----\nx\n-----BEGIN PRIVATE KEY-----\n"], ".", id="damaged"),
    pytest.param([b" " * 1_100_000], "larger than", id="huge"),
])
def test_what_is_no_pair_is_refused_in_words(tmp_path: Path, octets: list[bytes], why: str) -> None:
    files = []
    for number, one in enumerate(octets):
        files.append(tmp_path / str(number))
        files[-1].write_bytes(one)
    with pytest.raises(UNREADABLE, match=why):
        bring(files)


@pytest.mark.parametrize("form", ["locked", "pkcs12"])
def test_a_wrong_password_is_refused(tmp_path: Path, form: str) -> None:
    files = written(tmp_path, form)
    for password in (None, b"wrong"):
        with pytest.raises(UNREADABLE):
            bring(files, password)


def test_the_names_in_a_certificate_lead_to_no_other_folder(tmp_path: Path) -> None:
    key = AUTHORITY.key
    for name, file in (("*.blue.example", "_.blue.example.pem"), ("../../etc/passwd", None), ("a/b.example", None), (".hidden", None)):
        path = tmp_path / "given"
        chain, private = AUTHORITY.issue(name, key=key)
        path.write_bytes(private + chain)
        certificate = bring([path])
        if file is None:
            with pytest.raises(ValueError, match="no name of a host"):
                file_name(certificate)
        else:
            assert file_name(certificate) == file
