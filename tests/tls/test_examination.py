"""What is wrong with certificates, seen from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tls.authority import NOW, Authority, pem
from twistmail.tls.certificates import Certificates
from twistmail.tls.examination import Finding, findings, row

HOST = "mail.blue.example"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def trusted(tmp_path: Path, authority: Authority) -> Path:
    path = tmp_path / "trusted.pem"
    path.write_bytes(pem(authority.certificate))
    return path


def found_in(folder: Path, trusted: Path, now: float = NOW) -> tuple[Finding, ...]:
    return findings(Certificates(folder / "tls", HOST, lambda: now), now, trusted)


def put(folder: Path, pair: tuple[bytes, bytes], name: str = "a.pem", mode: int = 0o600) -> Path:
    (folder / "tls").mkdir(mode=0o755, exist_ok=True)
    path = folder / "tls" / name
    path.write_bytes(pair[1] + pair[0])
    path.chmod(mode)
    return path


def test_a_good_certificate_has_no_findings(tmp_path: Path, authority: Authority, trusted: Path) -> None:
    put(tmp_path, authority.issue(HOST, days=90))
    assert found_in(tmp_path, trusted) == ()


@pytest.mark.parametrize(("days", "begins", "is_error", "what"), [
    pytest.param(22, -1, None, "", id="22-days-left"),
    pytest.param(20.5, -1, False, f"the certificate for {HOST} ends in 20 days", id="less-than-21-days-left"),
    pytest.param(-0.5, -1, True, f"the certificate for {HOST} has ended", id="over"),
    pytest.param(90, 1, True, f"the time of {HOST} begins only at", id="not-begun"),
])
def test_an_end_is_told_21_days_ahead(
    tmp_path: Path, authority: Authority, trusted: Path, days: float, begins: float, is_error: bool | None, what: str
) -> None:
    put(tmp_path, authority.issue(HOST, days=days, begins=begins))
    found = found_in(tmp_path, trusted)
    assert [one.is_error for one in found] == ([] if is_error is None else [is_error])
    assert all(one.what.startswith(what) and one.step for one in found)


def test_one_that_nobody_here_trusts_is_told_with_its_issuer(tmp_path: Path, trusted: Path) -> None:
    put(tmp_path, Authority("Somebody Else").issue(HOST))
    (found,) = found_in(tmp_path, trusted)
    assert (found.is_error, "CN=Somebody Else is missing or unknown" in found.what) == (True, True)


def test_for_one_that_is_signed_by_itself_there_is_a_warning_only(tmp_path: Path, trusted: Path) -> None:
    certificates = Certificates(tmp_path / "none", HOST, lambda: NOW, own=tmp_path / "tls")
    (found,) = findings(certificates, NOW, trusted)
    assert (found.is_error, f"nobody vouches for {HOST}" in found.what) == (False, True)


def test_the_host_itself_needs_one(tmp_path: Path, authority: Authority, trusted: Path) -> None:
    put(tmp_path, authority.issue("mail.green.example"))
    (found,) = found_in(tmp_path, trusted)
    assert (found.path, found.is_error) == ("", True)
    assert f"no certificate is for {HOST}" in found.what


def test_a_key_of_another_certificate_is_told_with_its_cure(tmp_path: Path, authority: Authority, trusted: Path) -> None:
    put(tmp_path, authority.issue(HOST))
    path = put(tmp_path, (authority.issue(HOST)[0], authority.issue(HOST)[1]), "b.pem")
    (found,) = found_in(tmp_path, trusted)
    assert found == Finding(str(path), True, "the key is not that of the certificate",
                            "the two files are not of one pair: take both from the same renewal")


def test_a_folder_that_may_not_be_read_is_told_until_it_may(
    tmp_path: Path, authority: Authority, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, authority.issue(HOST))
    certificates = Certificates(tmp_path / "tls", HOST, lambda: NOW)

    def refuse(folder: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    certificates.look()
    (found,) = findings(certificates, NOW, trusted)
    assert (found.path, found.what) == (str(tmp_path / "tls"), "Permission denied")
    assert "docs/certificates.md" in found.step
    monkeypatch.undo()
    certificates.look()
    assert findings(certificates, NOW, trusted) == ()


@pytest.mark.parametrize(("folder_mode", "mode", "told"), [
    pytest.param(0o755, 0o644, True, id="everybody"),
    pytest.param(0o755, 0o640, False, id="a-group"),
    pytest.param(0o700, 0o644, False, id="in-a-closed-folder"),
])
def test_a_key_that_everybody_may_read_is_told(
    tmp_path: Path, authority: Authority, trusted: Path, monkeypatch: pytest.MonkeyPatch, folder_mode: int, mode: int, told: bool
) -> None:
    monkeypatch.setattr("twistmail.tls.examination.TOP", tmp_path)  # pytest's own folders are closed
    path = put(tmp_path, authority.issue(HOST), mode=mode)
    path.parent.chmod(folder_mode)
    found = found_in(tmp_path, trusted)
    assert [one.step for one in found] == ([f"chmod o-r {path}"] if told else [])


def test_a_row_tells_names_issuer_and_end(tmp_path: Path, authority: Authority) -> None:
    path = put(tmp_path, authority.issue(HOST, "imap.blue.example", days=90))
    (holding,) = Certificates(tmp_path / "tls", HOST, lambda: NOW).holdings
    assert row(holding, NOW, 21 * 86400.0) == {
        "path": str(path), "names": [HOST, "imap.blue.example"], "used_for": [HOST, "imap.blue.example"], "trouble": "",
        "issuer": "Test Authority", "self_signed": False, "begins": "2027-01-14T08:00:00Z", "ends": "2027-04-15T08:00:00Z",
        "left_s": 90 * 86400, "ends_soon": False,
    }  # fmt: skip
