"""Which certificates there are, who gets which, and that changes are noticed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tests.tls.authority import NOW, Authority, key_pem
from twistmail.tls.certificates import INTERVAL, SELF_SIGNED, Certificates


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


class Wall:
    """A clock on the wall."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        return self.time


def flat(folder: Path, file: str, pair: tuple[bytes, bytes]) -> Path:
    path = folder / file
    path.write_bytes(pair[1] + pair[0])
    return path


def live(folder: Path, name: str, pair: tuple[bytes, bytes]) -> None:
    (folder / name).mkdir()
    (folder / name / "fullchain.pem").write_bytes(pair[0])
    (folder / name / "privkey.pem").write_bytes(pair[1])


def path_of(certificates: Certificates, name: str) -> str:
    found = certificates.find(name)
    return found.path.name if found else ""


def test_certbot_folders_and_flat_files_are_found_by_the_names_inside(tmp_path: Path, authority: Authority) -> None:
    live(tmp_path, "whatever", authority.issue("mail.blue.example", "imap.blue.example"))
    flat(tmp_path, "other.pem", authority.issue("mail.green.example"))
    certificates = Certificates(tmp_path, "mail.blue.example", Wall())
    assert path_of(certificates, "imap.blue.example") == "whatever"
    assert path_of(certificates, "mail.green.example") == "other.pem"
    assert path_of(certificates, "mail.red.example") == ""
    assert certificates.default is certificates.find("mail.blue.example")
    assert len(certificates.all) == 2


def test_a_wildcard_stands_for_one_label(tmp_path: Path, authority: Authority) -> None:
    flat(tmp_path, "wild.pem", authority.issue("*.blue.example"))
    certificates = Certificates(tmp_path, "mail.blue.example", Wall())
    assert path_of(certificates, "imap.blue.example") == "wild.pem"
    assert path_of(certificates, "a.imap.blue.example") == ""
    assert path_of(certificates, "blue.example") == ""


def test_a_certificate_without_alternative_names_goes_by_its_common_name(tmp_path: Path, authority: Authority) -> None:
    flat(tmp_path, "old.pem", authority.issue("Mail.Blue.example", common_name_only=True))
    assert path_of(Certificates(tmp_path, "x", Wall()), "mail.blue.example") == "old.pem"


def test_of_two_for_one_name_the_later_end_wins(tmp_path: Path, authority: Authority) -> None:
    flat(tmp_path, "a.pem", authority.issue("mail.blue.example", days=80))
    flat(tmp_path, "b.pem", authority.issue("mail.blue.example", days=20))
    assert path_of(Certificates(tmp_path, "x", Wall()), "mail.blue.example") == "a.pem"


def test_strays_and_broken_pairs_are_passed_over(tmp_path: Path, authority: Authority) -> None:
    chain, _ = authority.issue("mail.blue.example")
    (tmp_path / "chain.pem").write_bytes(chain)
    (tmp_path / "request.pem").write_bytes(b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")
    (tmp_path / "broken.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\n!\n-----BEGIN CERTIFICATE-----\n!\n")
    (tmp_path / "README").write_text("certificates are here")
    (tmp_path / "folder.pem").mkdir()
    flat(tmp_path, "mismatched.pem", (chain, key_pem(authority.key)))
    locked = authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    flat(tmp_path, "locked.pem", (chain, locked))
    flat(tmp_path, "short.pem", authority.issue("short.example", key=rsa.generate_private_key(65537, 1024)))
    flat(tmp_path, "good.pem", authority.issue("good.example"))
    assert [one.path.name for one in Certificates(tmp_path, "x", Wall()).all] == ["good.pem"]


def test_a_renewed_certificate_is_noticed_within_a_minute(tmp_path: Path, authority: Authority) -> None:
    path = flat(tmp_path, "a.pem", authority.issue("mail.blue.example", days=10))
    wall = Wall()
    certificates = Certificates(tmp_path, "mail.blue.example", wall)
    version = certificates.version
    flat(tmp_path, "a.pem", authority.issue("mail.blue.example", days=90))
    os.utime(path, (NOW, NOW))
    certificates.freshen()
    assert certificates.version == version
    wall.time += INTERVAL
    certificates.freshen()
    assert certificates.version == version + 1
    assert certificates.default is not None
    assert certificates.default.expires == NOW + 90 * 86400


@pytest.mark.parametrize("spoil", [
    pytest.param(lambda path: path.write_bytes(b"-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n"), id="broken"),
    pytest.param(lambda path: path.unlink(), id="gone"),
])
def test_a_spoiled_certificate_leaves_the_old_one_in_use(tmp_path: Path, authority: Authority, spoil) -> None:
    path = flat(tmp_path, "a.pem", authority.issue("mail.blue.example"))
    wall = Wall()
    certificates = Certificates(tmp_path, "mail.blue.example", wall)
    before = certificates.default
    spoil(path)
    wall.time += INTERVAL
    certificates.freshen()
    assert certificates.default is before


def test_a_self_signed_one_is_made_once_for_our_eyes_only(tmp_path: Path) -> None:
    own = tmp_path / "tls"
    first = Certificates(tmp_path / "none", "mail.blue.example", Wall(), own=own)
    assert first.default is not None
    assert first.default.self_signed
    assert set(first.default.names) == {"mail.blue.example", "localhost"}
    assert first.default.expires == NOW + 3650 * 86400
    assert stat.S_IMODE((own / SELF_SIGNED).stat().st_mode) == 0o600
    octets = (own / SELF_SIGNED).read_bytes()
    Certificates(tmp_path / "none", "mail.blue.example", Wall(), own=own)
    assert (own / SELF_SIGNED).read_bytes() == octets


def test_a_self_signed_one_follows_the_name_of_the_host(tmp_path: Path) -> None:
    Certificates(tmp_path / "none", "old.example", Wall(), own=tmp_path)
    renamed = Certificates(tmp_path / "none", "new.example", Wall(), own=tmp_path)
    assert renamed.find("new.example") is not None


def test_none_is_made_where_one_is_there(tmp_path: Path, authority: Authority) -> None:
    flat(tmp_path, "a.pem", authority.issue("mail.blue.example"))
    Certificates(tmp_path, "mail.blue.example", Wall(), own=tmp_path)
    assert not (tmp_path / SELF_SIGNED).exists()


def test_one_from_an_authority_wins_over_our_own(tmp_path: Path, authority: Authority) -> None:
    wall = Wall()
    certificates = Certificates(tmp_path, "mail.blue.example", wall, own=tmp_path)
    flat(tmp_path, "a.pem", authority.issue("mail.blue.example"))
    wall.time += INTERVAL
    certificates.freshen()
    assert path_of(certificates, "mail.blue.example") == "a.pem"


def test_without_any_there_is_no_default(tmp_path: Path) -> None:
    assert Certificates(tmp_path / "none", "mail.blue.example", Wall()).default is None
