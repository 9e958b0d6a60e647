"""twistmail cert, where the server does not run."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.tls.authority import Authority, pem
from twistmail.cli.exits import Exit
from twistmail.cli.main import status

HOST = "mail.blue.example"
CONFIG = f"[server]\nhostname = {HOST}\ndata_dir = data\n"


@pytest.fixture
def authority() -> Authority:
    return Authority("Blue Authority", time.time())


@pytest.fixture
def run(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, authority: Authority) -> Any:
    """run(line, stdin) is (exit code, stdout, stderr), in a folder with a configuration; the machine trusts *authority* alone."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("config.ini").write_text(CONFIG)
    Path("trusted.pem").write_bytes(pem(authority.certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))

    def run(line: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = status(line.split())
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def given(authority: Authority, *names: str, **rest: Any) -> None:
    chain, key = authority.issue(*names, **rest)
    Path("chain.pem").write_bytes(chain)
    Path("key.pem").write_bytes(key)


def test_before_the_first_start_there_are_none(run: Any) -> None:
    code, out, err = run("cert")
    assert (code, out) == (Exit.OK, "")
    assert "at its first start the server makes one" in err
    code, out, _ = run("cert check")
    assert code == Exit.NOTHING
    assert out.startswith(f"error: no certificate is for {HOST}")


def test_what_was_imported_is_listed_and_found_good(run: Any, authority: Authority) -> None:
    given(authority, HOST, "imap.blue.example")
    code, out, err = run("cert import chain.pem key.pem")
    assert (code, out.split(":")[0].endswith(f"data/tls/{HOST}.pem")) == (Exit.OK, True)
    assert "signed by Blue Authority" in out
    assert "it will use it when it starts" in err
    code, out, _ = run("cert list")
    assert code == Exit.OK
    assert [word in out for word in (f"{HOST} imap.blue.example", "(in 89d)", "Blue Authority", "used")] == [True] * 4
    assert run("cert check") == (Exit.OK, "", "the server does not run; this is what the files say\nnothing is wrong\n")


def test_lists_are_json_where_a_program_asks(run: Any, authority: Authority) -> None:
    given(authority, HOST)
    run("cert import chain.pem key.pem")
    code, out, err = run("cert list --json")
    (row,) = map(json.loads, out.splitlines())
    assert (code, err, row["names"], row["self_signed"]) == (Exit.OK, "", [HOST], False)
    code, out, _ = run("cert check --json")
    assert (code, out) == (Exit.OK, "")


@pytest.mark.parametrize(("rest", "line", "code", "told"), [
    pytest.param({"days": -0.5}, "chain.pem key.pem", Exit.DATAERR, "it has ended at", id="its-time-is-over"),
    pytest.param({"days": -0.5}, "chain.pem key.pem --force", Exit.OK, "", id="forced"),
    pytest.param({}, "chain.pem", Exit.DATAERR, "name the file with the key as well", id="no-key"),
    pytest.param({}, "config.ini", Exit.DATAERR, "config.ini: ", id="something-else"),
    pytest.param({}, "none.pem", Exit.USAGE, "does not exist", id="no-file"),
    pytest.param({}, "chain.pem key.pem --dry-run", Exit.OK, "", id="dry-run"),
])
def test_what_cannot_be_used_is_refused(run: Any, authority: Authority, rest: Any, line: str, code: int, told: str) -> None:
    given(authority, HOST, **rest)
    ended, _, err = run(f"cert import {line}")
    assert (ended, told in err) == (code, True)
    assert Path(f"data/tls/{HOST}.pem").exists() == ("--force" in line)


def test_a_key_that_does_not_fit_names_the_cure(run: Any, authority: Authority) -> None:
    given(authority, HOST)
    Path("key.pem").write_bytes(authority.issue(HOST)[1])
    code, _, err = run("cert import chain.pem key.pem")
    assert (code, err) == (Exit.DATAERR, "error: chain.pem: the key is not that of the certificate\n    take both from the same renewal\n")


def test_the_end_of_a_certificate_is_told_and_ends_the_check_with_1(run: Any, authority: Authority) -> None:
    given(authority, HOST, days=20)
    run("cert import chain.pem key.pem")
    code, out, _ = run("cert check")
    assert (code, "ends in 19 days" in out, out.startswith("warning: ")) == (Exit.OK, True, True)
    assert "used; to be renewed" in run("cert list")[1]
    given(authority, HOST, days=-0.1)
    run("cert import chain.pem key.pem --force")
    code, out, _ = run("cert check")
    assert (code, "has ended" in out, out.startswith("error: ")) == (Exit.NOTHING, True, True)


def test_an_unreadable_file_is_named_in_the_list(run: Any, authority: Authority) -> None:
    given(authority, HOST)
    run("cert import chain.pem key.pem")
    Path("data/tls/broken.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n")
    _, out, _ = run("cert list")
    assert [line.split()[-1].rsplit("/", 1)[-1] for line in out.splitlines()[1:]] == ["broken.pem", f"{HOST}.pem"]
    code, out, _ = run("cert check")
    assert (code, "broken.pem: " in out) == (Exit.NOTHING, True)
