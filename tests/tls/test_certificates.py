"""Which certificates there are, who gets which, and that changes are noticed."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

from tests.tls.authority import NOW, Authority, key_pem
from twistmail.tls.certificates import SELF_SIGNED, Certificates
from twistmail.tls.files import MOST_OCTETS


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


def renew(path: Path, octets: bytes) -> None:
    """As careful programs do: whole, or not at all."""
    new = path.with_suffix(".new")
    new.write_bytes(octets)
    new.rename(path)


def test_a_renewed_certificate_is_noticed_at_the_next_look(tmp_path: Path, authority: Authority) -> None:
    path = flat(tmp_path, "a.pem", authority.issue("mail.blue.example", days=10))
    certificates = Certificates(tmp_path, "mail.blue.example", Wall())
    version = certificates.version
    certificates.look()
    assert certificates.version == version
    chain, key = authority.issue("mail.blue.example", days=90)
    renew(path, key + chain)
    certificates.look()
    assert certificates.version == version + 1
    assert certificates.default is not None
    assert certificates.default.expires == NOW + 90 * 86400


def test_certbots_links_are_followed_and_a_link_that_leads_elsewhere_is_noticed(tmp_path: Path, authority: Authority) -> None:
    """Its layout: live/NAME/fullchain.pem is a link to ../../archive/NAME/fullchainN.pem, and each renewal makes a new N."""
    archive, live = tmp_path / "archive" / "mail", tmp_path / "live" / "mail"
    archive.mkdir(parents=True)
    live.mkdir(parents=True)
    (tmp_path / "live" / "README").write_text("This directory contains your keys and certificates.")
    for number, days in ((1, 10), (2, 90)):
        for kind, octets in zip(("fullchain", "privkey"), authority.issue("mail.blue.example", days=days), strict=True):
            (archive / f"{kind}{number}.pem").write_bytes(octets)

    def lead(kind: str, number: int) -> None:
        (live / f"{kind}.pem").unlink(missing_ok=True)
        (live / f"{kind}.pem").symlink_to(f"../../archive/mail/{kind}{number}.pem")

    lead("fullchain", 1)
    lead("privkey", 1)
    certificates = Certificates(tmp_path / "live", "mail.blue.example", Wall())
    assert certificates.default is not None
    assert certificates.default.expires == NOW + 10 * 86400
    lead("privkey", 2)  # a look in the midst of it
    certificates.look()
    assert certificates.default.expires == NOW + 10 * 86400
    lead("fullchain", 2)
    certificates.look()
    assert certificates.default.expires == NOW + 90 * 86400


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """What is logged as an error, as people read it."""
    said: list[str] = []

    def hear(event: LogEvent) -> None:
        if event["log_level"] is LogLevel.error:
            said.append(formatEvent(event))

    globalLogPublisher.addObserver(hear)
    yield said
    globalLogPublisher.removeObserver(hear)


@pytest.mark.parametrize(("spoil", "why"), [
    pytest.param(lambda path, key, chain: path.write_bytes(key + chain[:200]), "only a part of it is there", id="half-written"),
    pytest.param(lambda path, key, chain: path.write_bytes(key + b"-----BEGIN CERTIFICATE-----\n"), "", id="broken"),
    pytest.param(lambda path, key, chain: path.write_bytes(b""), "it no longer holds", id="empty"),
    pytest.param(lambda path, key, chain: path.write_bytes(key_pem(ec.generate_private_key(ec.SECP256R1())) + chain),
                 "the key is not that of the certificate", id="key-of-another"),
    pytest.param(lambda path, key, chain: path.write_bytes(b" " * (MOST_OCTETS + 1)), "is larger than 1024 KiB", id="huge"),
])
def test_a_spoiled_file_leaves_the_old_certificate_in_use_and_is_told_once(
    tmp_path: Path, authority: Authority, errors: list[str], spoil: Any, why: str
) -> None:
    path = flat(tmp_path, "a.pem", authority.issue("mail.blue.example"))
    flat(tmp_path, "b.pem", authority.issue("mail.green.example"))
    certificates = Certificates(tmp_path, "mail.blue.example", Wall())
    before = certificates.default
    spoil(path, *reversed(authority.issue("mail.blue.example", days=99)))
    certificates.look()
    certificates.look()
    assert certificates.default is before
    (said,) = errors
    assert str(path) in said
    assert why in said
    assert said.endswith("; what was read before stays in use")
    flat(tmp_path, "a.pem", authority.issue("mail.blue.example", days=100))
    certificates.look()
    assert certificates.default is not before
    assert len(errors) == 1


def test_a_file_that_may_not_be_read_is_told_and_read_as_soon_as_it_may(
    tmp_path: Path, authority: Authority, errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the refusal is played; that the mode has changed shows in the time of the last change."""
    live(tmp_path, "mail", authority.issue("mail.blue.example"))
    key = tmp_path / "mail" / "privkey.pem"

    def refuse(file: Path) -> bytes:
        if file == key:
            raise PermissionError(13, "Permission denied", str(file))
        return file.read_bytes()

    monkeypatch.setattr("twistmail.tls.certificates.read", refuse)
    certificates = Certificates(tmp_path, "mail.blue.example", Wall())
    assert certificates.default is None
    assert errors == [f"certificates: {tmp_path / 'mail'}: privkey.pem: Permission denied"]
    monkeypatch.undo()
    key.chmod(0o640)
    certificates.look()
    assert path_of(certificates, "mail.blue.example") == "mail"


def test_a_directory_that_may_not_be_listed_takes_nothing_away(
    tmp_path: Path, authority: Authority, errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flat(tmp_path, "a.pem", authority.issue("mail.blue.example"))
    certificates = Certificates(tmp_path, "mail.blue.example", Wall())
    before = certificates.default

    def refuse(folder: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    for _ in range(3):
        certificates.look()
    assert certificates.default is before
    (said,) = errors
    assert said.endswith("Permission denied; what was read before stays in use")


def test_a_certificate_whose_file_is_gone_stays_for_one_look_and_the_last_one_for_ever(tmp_path: Path, authority: Authority) -> None:
    """Between the end of the old file and the beginning of the new one somebody may look."""
    first = flat(tmp_path, "a.pem", authority.issue("mail.blue.example"))
    second = flat(tmp_path, "b.pem", authority.issue("mail.green.example"))
    certificates = Certificates(tmp_path, "mail.blue.example", Wall())
    first.unlink()
    certificates.look()
    assert path_of(certificates, "mail.blue.example") == "a.pem"
    certificates.look()
    assert path_of(certificates, "mail.blue.example") == ""
    second.unlink()
    for _ in range(3):
        certificates.look()
    assert path_of(certificates, "mail.green.example") == "b.pem"


def test_an_end_that_is_near_is_told_and_then_that_it_has_come(tmp_path: Path, authority: Authority, errors: list[str]) -> None:
    path = flat(tmp_path, "a.pem", authority.issue("mail.blue.example", days=90))
    wall = Wall()
    certificates = Certificates(tmp_path, "mail.blue.example", wall)
    for days in (0, 82, 84, 85, 91, 92):
        wall.time = NOW + days * 86400
        certificates.look()
    assert errors == [
        f"certificates: {path}: the certificate for mail.blue.example ends on 2027-04-15",
        f"certificates: {path}: the certificate for mail.blue.example has ended on 2027-04-15",
    ]
    assert certificates.default is not None


def test_a_certificate_of_the_future_waits_for_its_time(tmp_path: Path, authority: Authority) -> None:
    flat(tmp_path, "now.pem", authority.issue("mail.blue.example", days=30))
    flat(tmp_path, "next.pem", authority.issue("mail.blue.example", begins=20, days=110))
    wall = Wall()
    certificates = Certificates(tmp_path, "mail.blue.example", wall)
    assert path_of(certificates, "mail.blue.example") == "now.pem"
    wall.time = NOW + 21 * 86400
    certificates.look()
    assert path_of(certificates, "mail.blue.example") == "next.pem"


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
    certificates.look()
    assert path_of(certificates, "mail.blue.example") == "a.pem"


def test_without_any_there_is_no_default(tmp_path: Path) -> None:
    assert Certificates(tmp_path / "none", "mail.blue.example", Wall()).default is None
