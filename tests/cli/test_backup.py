"""`twistmail backup`: what it prints, where, and how it ends."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
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


LISTS = "[list:news@blue.example]\nmembers = book file:news.members file:{elsewhere}\nowners = anna\npost = members\n"


@pytest.fixture
def lists(tmp_path, data):
    """Two lists of members in files, and a secret: {file: what is in it}."""
    elsewhere = tmp_path / "elsewhere/news.members"
    elsewhere.parent.mkdir()
    Path("config.ini").write_text(CONFIG + LISTS.format(elsewhere=elsewhere))
    files = {data / "secret": b"s" * 32, data / "news.members": b"carl@red.example\n", elsewhere: b"dora@red.example\n"}
    for path, content in files.items():
        path.write_bytes(content)
    return files


def test_the_server_s_secret_and_members_in_files_come_back_with_the_accounts(run, data, lists):
    assert run("backup create")[0] == Exit.OK
    assert run("backup verify")[0] == Exit.OK
    (data / "accounts.db").unlink()
    for path in lists:
        path.unlink()
    code, _, err = run("backup restore latest --users")
    assert code == Exit.OK
    assert {path: path.read_bytes() for path in lists} == lists
    assert all(f"{path} restored" in err for path in lists)
    assert (data / "secret").stat().st_mode & 0o777 == 0o600


def test_another_secret_is_kept_until_somebody_moves_it_away(run, data, lists):
    run("backup create")
    (data / "accounts.db").unlink()
    assert run("backup restore latest --users")[0] == Exit.OK, "the same secret is in nobody's way"
    (data / "accounts.db").unlink()
    (data / "secret").write_bytes(b"t" * 32)
    code, _, err = run("backup restore latest --users")
    assert code == Exit.CANTCREAT
    assert f"{data}/secret exists; move it away first" in err
    assert not (data / "accounts.db").exists()


def test_members_that_are_others_now_stay_and_are_told(run, data, lists):
    run("backup create")
    (data / "accounts.db").unlink()
    (data / "news.members").write_text("new@red.example\n")
    code, _, err = run("backup restore latest --users")
    assert code == Exit.NOTHING
    assert f"{data}/news.members is there, and stays as it is; the members of then are in {data}/backup/" in err
    assert (data / "news.members").read_text() == "new@red.example\n"


def test_members_that_cannot_be_read_are_told_and_the_rest_is_kept(run, data, lists):
    (data / "news.members").unlink()
    (data / "news.members").mkdir()
    code, _, err = run("backup create")
    assert code == Exit.NOTHING
    assert f"{data}/news.members is left out" in err
    assert run("backup verify")[0] == Exit.OK


AS_ANOTHER = """
import os, sys
class Unreadable:
    def find_spec(self, name, *_):
        raise ImportError(f"{name} lies where this user cannot read it")
os.geteuid = lambda: 0
os.setegid = lambda _: None
os.seteuid = lambda _: sys.meta_path.insert(0, Unreadable())
real = os.stat
from pathlib import Path
class Owned:
    def __init__(self, status):
        self.status = status
    def __getattr__(self, name):
        return 1234 if name in ("st_uid", "st_gid") else getattr(self.status, name)
from twistmail.cli import backup, stored
from twistmail.cli.main import status
stored.Path.stat = lambda self, **words: Owned(real(self, **words))
code = status(sys.argv[1:])
assert isinstance(sys.meta_path[0], Unreadable)
sys.exit(code)
"""


def test_root_who_becomes_the_server_imports_nothing_after_that(data, lists):
    """Python may lie where only root can read it: codecs are imported where they are used first."""
    for words in (["create"], ["restore", "latest"]):
        done = subprocess.run([sys.executable, "-c", AS_ANOTHER, "backup", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
