"""`twistmail verify`: what it prints, where, and how it ends."""

import io
import json
import os
from pathlib import Path

import pytest

from twistmail.cli.exits import Exit
from twistmail.cli.main import status
from twistmail.cli.progress import progress
from twistmail.cli.terminal import Terminal

CONFIG = "[server]\nhostname = mail.blue.example\ndata_dir = data\n"
HEADER = b"3 V1700000000 N2 G0123456789abcdef0123456789abcdef\n"


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """Two accounts with a message each; the configuration is the current one."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("config.ini").write_text(CONFIG)
    for name in ("anna", "bert"):
        folder = tmp_path / "data/mail/blue.example" / name
        for place in ("new", "cur", "tmp"):
            (folder / place).mkdir(parents=True)
        (folder / "new/1.a,S=14").write_bytes(b"Subject: one\n\n")
        (folder / "new/1.a,S=14").chmod(0o600)
        (folder / "dovecot-uidlist").write_bytes(HEADER + b"1 :1.a,S=14\n")
    return tmp_path / "data"


@pytest.fixture
def run(capsys):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(line: str):
        code = status(line.split())
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_nothing_is_said_where_nothing_is_wrong(run):
    code, said, hints = run("verify")
    assert (code, said) == (Exit.OK, "")
    assert hints.splitlines()[-1] == "2 accounts, 2 messages: 0 errors, 0 warnings, 0 notes"


def test_an_error_is_told_with_its_path_and_its_cure_and_ends_with_1(run, house):
    broken = house / "mail/blue.example/bert/new/1.a,S=14"
    broken.write_bytes(b"Sub")
    code, said, hints = run("verify")
    assert code == Exit.NOTHING
    assert said == f"{broken}: error: has 3 octets where its name says 14\n    twistmail mailbox repair bert@blue.example\n"
    assert hints.splitlines()[-1] == "2 accounts, 2 messages: 1 error, 0 warnings, 0 notes"
    assert run("verify anna@blue.example")[0] == Exit.OK
    assert run("verify bert")[0] == Exit.NOTHING


def test_json_is_a_line_for_each_and_one_for_the_whole(run, house):
    (house / "mail/blue.example/bert/new/1.a,S=14").write_bytes(b"")
    (house / "queue/ready").mkdir(parents=True)
    (house / "queue/ready/abc.envelope").write_bytes(b"rubbish\n")
    code, said, _ = run("verify --json")
    damaged, empty, whole = [json.loads(line) for line in said.splitlines()]
    assert code == Exit.NOTHING
    assert (damaged["kind"], damaged["severity"]) == ("queue-damaged", "error")
    assert (empty["kind"], empty["account"], empty["folder"]) == ("empty", "bert@blue.example", "INBOX")
    assert {key: whole[key] for key in ("accounts", "messages", "items", "errors", "notes")} == {
        "accounts": 2,
        "messages": 2,
        "items": 1,
        "errors": 2,
        "notes": 0,
    }


def test_notes_are_shown_to_those_who_ask(run, house):
    (house / "mail/blue.example/bert/new/2.b").write_bytes(b"Subject: two\n\n")
    (house / "mail/blue.example/bert/new/2.b").chmod(0o600)
    code, said, hints = run("verify")
    assert (code, said) == (Exit.OK, "")
    assert "1 note (--notes shows them)" in hints
    assert "new/2.b: note: has no UID yet" in run("verify --notes")[1]


def test_deep_reads_the_messages(run, house):
    (house / "mail/blue.example/bert/new/1.a,S=14").rename(house / "mail/blue.example/bert/new/1.a")
    (house / "mail/blue.example/bert/new/1.a").write_bytes(bytes(500))
    assert run("verify")[0] == Exit.OK
    code, said, _ = run("verify --deep")
    assert code == Exit.NOTHING
    assert "holds zeros from octet 0 on" in said


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        pytest.param("verify ana@blue.example", Exit.NOUSER, "did you mean anna@blue.example?", id="misspelled"),
        pytest.param("verify zz@green.example", Exit.NOUSER, "zz@green.example has no mail here", id="unknown"),
        pytest.param("verify ../../etc@x", Exit.USAGE, "cannot be an account", id="climbing-out"),
        pytest.param("--set store.use=memory verify", Exit.CONFIG, "only the maildir store", id="other-store"),
        pytest.param("--set server.data_dir=none verify", Exit.NOINPUT, "does not exist", id="no-data"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(run, line, code, told):
    found, said, complaint = run(line)
    assert (found, said) == (code, "")
    assert told in complaint
    assert complaint.startswith("error: ")


def test_progress_without_a_terminal_is_a_line_at_every_tenth(monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    with progress(Terminal(environ={}), "checking", 30, clock=lambda: 0.0) as bar:
        for place in range(30):
            bar.step(at=f"box{place}\x1b")
    lines = said.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "checking: 10 % (3 of 30), box2?"
    assert lines[-1] == "checking: 100 % (30 of 30), box29?"


def test_progress_of_what_nobody_can_count_is_a_line_every_ten_seconds(monkeypatch):
    said, now = io.StringIO(), iter(range(100))
    monkeypatch.setattr("sys.stderr", said)
    with progress(Terminal(environ={}, as_json=True), "copying", None, clock=lambda: float(next(now))) as bar:
        for _ in range(25):
            bar.step(100)
    first = json.loads(said.getvalue().splitlines()[0])["progress"]
    assert first == {"what": "copying", "done": 1000, "total": None, "at": ""}


def test_progress_is_silent_where_quiet_was_asked_for(monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    with progress(Terminal(environ={}, quiet=True), "checking", 1) as bar:
        bar.step()
    assert said.getvalue() == ""
