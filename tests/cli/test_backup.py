"""`twistmail backup`: what it prints, where, and how it ends."""

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.helpers import result_of
from twistmail import disk, tasks
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.aliases.book import AliasBook
from twistmail.cli.exits import Exit
from twistmail.cli.main import status
from twistmail.lists.book import Book
from twistmail.lists.notes import Note
from twistmail.mail.address import parse
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery
from twistmail.store.mailstore import MailStore

CONFIG = "[server]\nhostname = mail.blue.example\ndata_dir = data\n[aliases]\nsource = config sqlite file:aliases\n"
ANNA, BERT = "anna@blue.example", "bert@blue.example"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """anna has two messages and bert one; there is a queue, a database of accounts, and a configuration in two files."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("conf.d").mkdir()
    Path("config.ini").write_text(CONFIG)
    Path("conf.d/more.ini").write_text("[imap]\nidle_timeout = 20m\n")
    folder = tmp_path / "data"
    store = MailStore(folder, None, disk.InlineCommitter(), tasks.Inline(), hostname="mx")
    for account, count in ((ANNA, 2), (BERT, 1)):
        for number in range(count):
            result_of(store.deliver([Delivery(account, b"", Memory(b"To: %s\r\nSubject: %d\r\n\r\n" % (account.encode(), number)))]))
    store.close()
    (folder / "aliases").write_text("info: anna\n")
    (folder / "queue/ready").mkdir(parents=True)
    (folder / "queue/ready/abc.content").write_bytes(b"Subject: waits\r\n\r\n")
    (folder / "queue/ready/abc.envelope").write_bytes(b"an envelope\n")
    (folder / "queue/ready/half.content").write_bytes(b"no envelope yet")
    database = AccountDatabase(folder / "accounts.db")
    database.add(ANNA, "long-password")
    database.close()
    return folder


@pytest.fixture
def run(capsys, data):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(line: str):
        code = status(line.split())
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_there_and_back_again(run, data):
    code, said, _ = run("backup create")
    assert code == Exit.OK
    assert said.startswith(str(data / "backup/2"))
    assert ": 2 accounts, 3 messages, " in said
    assert run("backup verify")[0] == Exit.OK
    before = sorted(path.name for path in (data / "mail/blue.example/anna/new").iterdir())
    uids = (data / "mail/blue.example/anna/dovecot-uidlist").read_bytes()
    shutil.rmtree(data / "mail")
    code, said, _ = run("backup restore latest")
    assert (code, said) == (Exit.OK, f"{ANNA}: 2 messages restored, 0 were there\n{BERT}: 1 message restored, 0 were there\n")
    assert sorted(path.name for path in (data / "mail/blue.example/anna/new").iterdir()) == before
    assert (data / "mail/blue.example/anna/dovecot-uidlist").read_bytes() == uids
    assert run("verify")[0] == Exit.NOTHING, "only the queue made by hand is damaged"
    assert run("verify anna bert")[0] == Exit.OK


def test_a_new_machine_gets_accounts_queue_and_configuration(run, data):
    run("alias add info anna")
    news = parse("news@blue.example")
    Book(data / "lists").keep(news, [("carl@far.example", Note(left=True))])
    run("backup create --to elsewhere")
    (backup,) = Path("elsewhere").iterdir()
    assert sorted(path.name for path in (backup / "server/config").iterdir()) == ["aliases", "config.ini", "more.ini"]
    assert sorted(path.name for path in (backup / "server/queue").iterdir()) == ["abc.content", "abc.envelope"]
    shutil.rmtree(data)
    code, _, hints = run(f"backup restore {backup} --users --queue")
    assert code == Exit.OK
    assert "1 item put into the queue" in hints
    assert (data / "queue/ready/abc.envelope").read_bytes() == b"an envelope\n"
    assert [str(alias.address) for alias in AliasBook(data / "aliases.db").all()] == ["info"]
    assert Book(data / "lists").notes(news) == {"carl@far.example": Note(left=True)}, "who has left stays away"
    assert [account.name for account in AccountDatabase(data / "accounts.db").list()] == [ANNA]
    assert len(list((data / "mail/blue.example/anna/new").iterdir())) == 2
    code, _, complaint = run(f"backup restore {backup} --users")
    assert code == Exit.CANTCREAT
    assert "accounts.db exists; move it away first" in complaint


def test_the_database_is_whole_although_it_is_in_use(run, data):
    with sqlite3.connect(data / "accounts.db") as live:
        live.execute("PRAGMA journal_mode = WAL")
        live.execute("BEGIN IMMEDIATE")
        assert run("backup create --to elsewhere")[0] == Exit.OK
    (copy,) = Path("elsewhere").glob("*/server/accounts.sqlite")
    assert sqlite3.connect(copy).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_one_account_into_another(run, data):
    run("backup create anna")
    code, said, _ = run(f"backup restore latest --as {BERT} --json")
    assert code == Exit.OK
    (told,) = [json.loads(line) for line in said.splitlines()]
    assert (told["account"], told["restored"], told["present"], told["merged"]) == (BERT, 2, 0, ["INBOX"])
    assert len(json.loads(run("backup list --json")[1])["accounts"]) == 1
    assert "without accounts, queue and configuration" in run("backup create anna --to other")[1]


def test_backups_are_listed_and_pruned(run, data):
    assert "no backups in" in run("backup")[2]
    for name in ("20260101T000000Z", "20260102T000000Z"):
        run("backup create")
        (newest,) = [path for path in (data / "backup").iterdir() if not path.name.startswith("202601")]
        newest.rename(newest.with_name(name))
    (data / "backup/20260101T120000Z.part").mkdir()
    code, said, hints = run("backup list")
    assert code == Exit.OK
    assert [line.split()[0] for line in said.splitlines()] == ["NAME", "20260101T000000Z", "20260102T000000Z"]
    assert "20260101T120000Z.part was begun and not finished" in hints
    rows = [json.loads(line) for line in run("backup list --json")[1].splitlines()]
    assert [(row["name"], row["accounts"], row["messages"], row["server"]) for row in rows] == [
        ("20260101T000000Z", [ANNA, BERT], 3, True),
        ("20260102T000000Z", [ANNA, BERT], 3, True),
    ]
    assert run("backup prune --keep 1 --dry-run")[1].splitlines() == [
        "20260101T000000Z would be deleted",
        "20260101T120000Z.part would be deleted",
    ]
    assert run("backup prune --keep 1")[0] == Exit.OK
    assert [path.name for path in (data / "backup").iterdir()] == ["20260102T000000Z"]
    assert run("backup verify 20260102")[0] == Exit.OK


def test_damage_is_told_and_ends_with_1(run, data):
    run("backup create")
    (backup,) = (data / "backup").iterdir()
    bad = next((backup / "mail" / ANNA / "new").iterdir())
    bad.unlink()
    code, said, hints = run("backup verify")
    assert (code, said) == (Exit.NOTHING, f"{bad}: is missing\n")
    assert "1 problem" in hints
    assert json.loads(run("backup verify --json")[1]) == {"problem": f"{bad}: is missing"}
    shutil.rmtree(data / "mail")
    code, said, complaint = run("backup restore latest anna")
    assert (code, said) == (Exit.NOTHING, f"{ANNA}: 1 message restored, 0 were there\n")
    assert f"warning: {bad} is missing, or not what was backed up; left out" in complaint


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        pytest.param("backup create nobody@blue.example", Exit.NOUSER, "has no mail here", id="unknown-account"),
        pytest.param("--set server.data_dir=none backup create", Exit.NOINPUT, "does not exist", id="no-data"),
        pytest.param("backup verify 2019", Exit.NOINPUT, "there is no backup 2019", id="unknown-backup"),
        pytest.param("backup verify data/mail", Exit.DATAERR, "is no backup", id="no-backup"),
        pytest.param("backup restore", Exit.USAGE, "Missing argument", id="restore-what"),
        pytest.param(
            "backup restore latest carl@blue.example", Exit.NOUSER, "it has: anna@blue.example, bert@blue.example", id="not-in-it"
        ),
        pytest.param("backup restore latest --as carl@blue.example", Exit.USAGE, "which of these goes into it", id="two-into-one"),
        pytest.param("backup restore latest anna@blue.example --as ../x@y", Exit.USAGE, "cannot be an account", id="climbing-out"),
        pytest.param("backup restore latest --message 1", Exit.USAGE, "add --folder NAME", id="message-of-no-folder"),
        pytest.param(
            "backup restore latest anna@blue.example --folder Nowhere", Exit.NOINPUT, "has no folder Nowhere", id="no-such-folder"
        ),
        pytest.param("backup restore latest --folder a//b", Exit.USAGE, "not a name for a mailbox", id="no-folder-s-name"),
        pytest.param("backup prune --keep 0", Exit.USAGE, "0 is not in the range", id="keep-nothing"),
    ],
)
def test_what_cannot_be_done_says_so(run, data, line, code, told):
    if "latest" in line:
        run("backup create")
    found, said, complaint = run(line)
    assert (found, said) == (code, "")
    assert told in complaint
    assert complaint.count("\nerror: ") + complaint.startswith("error: ") <= 1


def test_another_backup_that_is_being_made_is_waited_for(run, data):
    import fcntl

    (data / "backup").mkdir()
    descriptor = os.open(data / "backup", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    code, _, complaint = run("backup create")
    os.close(descriptor)
    assert code == Exit.TEMPFAIL
    assert "another backup is being made" in complaint
