"""`twistmail user password`, `user hash` and `app-password`, on the database of a server that does not run."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path

import pytest

from twistmail.accounts.passwords import verify
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.cli.exits import Exit
from twistmail.cli.main import status
from twistmail.mail.evidence import scram_keys

CONFIG = "[server]\nhostname = mail.blue.example\ndata_dir = data\n"
ANNA = "anna@blue.example"


@pytest.fixture(autouse=True)
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration in it, which is the current one."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("config.ini").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def run(capsys, monkeypatch):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(line: str, stdin: str = ""):
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = status(line.split())
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def anna(run) -> AccountDatabase:
    """The database in which Anna is."""
    assert run(f"user add {ANNA} --password-stdin", "a long password\n")[0] == Exit.OK
    return AccountDatabase(Path("data/accounts.db"))


@pytest.mark.parametrize(("password", "said"), [
    pytest.param("short", "shorter than 10 characters", id="short"),
    pytest.param("aaaaaaaaaaaa", "fewer than 5 different characters", id="one-letter"),
    pytest.param("Anna@Blue.Example", "the name of the account", id="the-address"),
    pytest.param("tab\tin between", "cannot be typed everywhere", id="control-character"),
    pytest.param("x1y2z" * 300, "longer than 1024 octets", id="endless"),
])
def test_a_password_that_will_not_do_is_refused_and_changes_nothing(run, anna, password, said):
    before = anna.entry(ANNA)
    code, out, err = run(f"user password {ANNA} --password-stdin", password + "\n")
    assert (code, out) == (Exit.DATAERR, "")
    assert said in err
    assert anna.entry(ANNA) == before


def test_keys_are_kept_for_the_mechanisms_that_the_configuration_offers(run, anna, house):
    assert [keys.mechanism for keys in anna.entry(ANNA).keys] == _offered()
    (house / "config.ini").write_text(CONFIG + "[auth]\nmechanisms = PLAIN SCRAM-SHA-256 SCRAM-SHA-1\n")
    run(f"user password {ANNA} --password-stdin", "quite another password\n")
    entry = anna.entry(ANNA)
    assert [keys.mechanism for keys in entry.keys] == ["SCRAM-SHA-256", "SCRAM-SHA-1"]
    for keys in entry.keys:
        assert keys == scram_keys(keys.mechanism, "quite another password", keys.salt, keys.iterations)
    (house / "config.ini").write_text(CONFIG + "[auth]\nmechanisms = PLAIN\n")
    run(f"user password {ANNA} --password-stdin", "a third long password\n")
    assert anna.entry(ANNA).keys == ()


def _offered() -> list[str]:
    """What the default offers of what needs keys."""
    from twistmail.accounts.fresh import kinds
    from twistmail.servers.login import OPTIONS

    return list(kinds(OPTIONS.defaults().mechanisms))


# ----- hashes


@pytest.mark.parametrize("scheme", ["", "ARGON2ID", "SHA512-CRYPT", "scram-sha-256", "SSHA512", "PBKDF2"])
def test_a_hash_is_printed_for_any_file(run, scheme):
    code, out, _ = run(f"user hash --password-stdin {'--scheme ' + scheme if scheme else ''}", "a long password\n")
    assert code == Exit.OK
    assert out.startswith(f"{{{scheme.upper()}}}" if scheme else "$argon2id$")
    assert verify(out.strip(), "a long password")


def test_an_unknown_scheme_is_told_with_those_that_there_are(run):
    code, _, err = run("user hash --scheme ROT13 --password-stdin", "a long password\n")
    assert code == Exit.USAGE
    assert "SHA512-CRYPT" in err


# ----- app passwords


def test_an_app_password_is_shown_once_and_listed_without_itself(run, anna):
    code, out, err = run(f"app-password add {ANNA} telephone --service imap --service submission --expires 90d --json")
    made = json.loads(out)
    assert (code, err) == (Exit.OK, "")
    assert (made["user"], made["label"], made["services"]) == (ANNA, "telephone", ["imap", "submission"])
    assert 89 * 86400 < made["expires_s"] - time.time() <= 90 * 86400
    (kept,) = anna.entry(ANNA).app_passwords
    assert verify(kept.secret, made["password"].replace("-", ""))
    for verb in ("app-password list", f"user app-password list {ANNA}", "app-password"):
        code, out, _ = run(f"{verb} --json")
        assert [row["label"] for row in map(json.loads, out.splitlines())] == ["telephone"]
        assert made["password"] not in out


def test_app_passwords_are_a_table_for_people(run, anna):
    run(f"app-password add {ANNA} telephone --expires 2099-01-31")
    run("app-password add anna laptop --service pop3")
    assert [line.split() for line in run("app-password list anna")[1].splitlines()] == [
        ["USER", "LABEL", "SERVICES", "UNTIL"],
        [ANNA, "laptop", "pop3", "never"],
        [ANNA, "telephone", "imap", "pop3", "submission", "2099-01-31"],
    ]


def test_an_app_password_is_taken_away(run, anna):
    run(f"app-password add {ANNA} telephone")
    assert run(f"app-password rm {ANNA} telephone")[0] == Exit.OK
    assert anna.entry(ANNA).app_passwords == ()
    run(f"app-password add {ANNA} laptop")
    code, _, err = run(f"app-password remove {ANNA} telephone")
    assert code == Exit.NOUSER
    assert "there are: laptop" in err


@pytest.mark.parametrize(("line", "code", "said"), [
    pytest.param("app-password add nobody@blue.example x", Exit.NOUSER, "no user nobody@blue.example", id="unknown-user"),
    pytest.param("app-password add ana@blue.example x", Exit.NOUSER, "did you mean anna@blue.example?", id="similar-user"),
    pytest.param("app-password add anna x --service ftp", Exit.USAGE, "'imap', 'pop3', 'submission'", id="unknown-service"),
    pytest.param("app-password add anna x --expires soon", Exit.USAGE, "write 90d", id="no-time"),
    pytest.param("app-password add anna x --expires 2001-01-01", Exit.USAGE, "over already", id="in-the-past"),
    pytest.param(f"app-password add anna {'x' * 81}", Exit.DATAERR, "telephone", id="endless-label"),
    pytest.param("app-password add anna telephone", Exit.DATAERR, "twistmail app-password remove", id="twice"),
])
def test_mistakes_are_told_with_what_would_be_right(run, anna, line, code, said):
    run(f"app-password add {ANNA} telephone")
    before = anna.entry(ANNA)
    got, _, err = run(line)
    assert (got, said in err) == (code, True), err
    assert anna.entry(ANNA) == before


def test_who_is_removed_and_made_again_has_no_app_passwords(run, anna):
    run(f"app-password add {ANNA} telephone")
    run("user remove anna --yes")
    run(f"user add {ANNA} --generate")
    assert anna.entry(ANNA).app_passwords == ()
