"""`twistmail ban` and `user show` while the server is down: what is written into the door book, and what is read there."""

import io
import json
import os
from pathlib import Path

import pytest

from twistmail.bans import OPERATOR
from twistmail.cli.main import status
from twistmail.doorbook import Doorbook, LastLogin

CONFIG = "[server]\nhostname = mail.blue.example\ndata_dir = data\n"
BOOK = Path("data/door.sqlite")


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """A folder with a configuration in it, which is the current one, and data of a server that does not run."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("config.ini").write_text(CONFIG)
    Path("data").mkdir()


@pytest.fixture
def run(capsys, monkeypatch):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(line: str, stdin: str = ""):
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = status(line.split())
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_ban_is_written_for_the_server_that_starts_later(run) -> None:
    code, out, err = run("ban add 192.0.2.0/24 2001:db8::7 --for 2h --reason spam")
    assert (code, out) == (0, "192.0.2.0/24, 2001:db8::7 banned for 2h\n")
    assert "does not run" in err
    first, second = Doorbook(BOOK).bans()
    assert (first.place, first.by, first.reason, second.place) == ("192.0.2.0/24", OPERATOR, "spam", "2001:db8::7")
    assert first.until == pytest.approx(first.since + 7200)


def test_bans_are_listed_and_lifted_as_they_are_listed(run) -> None:
    run("ban add 192.0.2.7")
    code, out, _ = run("ban")
    assert code == 0
    assert out.splitlines()[1].split()[:4] == ["192.0.2.7", "for", "ever", "operator"]
    (listed,) = map(json.loads, run("ban list --json")[1].splitlines())
    assert (listed["network"], listed["until"], listed["left_s"]) == ("192.0.2.7", None, None)
    assert listed["since"].endswith("Z")
    assert run("ban remove 192.0.2.7")[:2] == (0, "192.0.2.7 may come in again\n")
    assert run("ban list --quiet") == (0, "", "")
    code, _, err = run("ban remove 192.0.2.7")
    assert code == 67
    assert "not banned" in err


@pytest.mark.parametrize("network", ["127.0.0.1", "0.0.0.0/0", "::/0", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_banned_only_by_somebody_who_means_it(run, network: str) -> None:
    code, _, err = run(f"ban add {network}")
    assert code == 64
    assert "this machine itself" in err
    assert not BOOK.exists()
    assert run(f"ban add {network} --yes")[0] == 0
    assert len(Doorbook(BOOK).bans()) == 1


@pytest.mark.parametrize("line", ["ban add 192.0.2.256", "ban add", "ban add 192.0.2.7 --for soon", "ban remove nonsense"])
def test_what_is_no_ban_is_refused(run, line: str) -> None:
    assert run(line)[0] == 64
    assert not BOOK.exists()


def test_before_the_first_start_there_is_no_book_to_write_into(run) -> None:
    Path("data").rmdir()
    code, _, err = run("ban add 192.0.2.7")
    assert code == 66
    assert "start the server once" in err
    assert run("ban list")[0] == 0


def test_a_user_is_shown_with_the_last_login(run) -> None:
    run("user add anna@blue.example --password-stdin", "a-long-password\n")
    assert json.loads(run("user show anna --json")[1])["last_login"] is None
    Doorbook(BOOK).write({}, [LastLogin("anna@blue.example", 1_800_000_000.0, "imap", "192.0.2.7", "PLAIN")])
    assert "2027-01-15T08:00:00Z by imap from 192.0.2.7" in run("user show anna")[1]
    assert json.loads(run("user show anna --json")[1])["last_login"] == {
        "at": "2027-01-15T08:00:00Z", "service": "imap", "address": "192.0.2.7", "mechanism": "PLAIN",
    }  # fmt: skip


def test_a_book_that_cannot_be_read_hides_no_user(run) -> None:
    run("user add anna@blue.example --password-stdin", "a-long-password\n")
    BOOK.write_bytes(b"no database" * 1000)
    code, out, err = run("user show anna")
    assert code == 0
    assert "anna@blue.example" in out
    assert "not known" in err


def test_nobody_is_kicked_from_a_server_that_does_not_run(run) -> None:
    assert run("session kick anna@blue.example --yes")[0] == 69
