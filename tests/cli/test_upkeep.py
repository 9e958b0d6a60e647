"""`twistmail mailbox undelete` and its neighbours: commands that work on the files of an account."""

import json
import os
from pathlib import Path

import pytest

from tests.helpers import result_of
from twistmail import disk, tasks, tenancy
from twistmail.cli.exits import Exit
from twistmail.cli.main import status
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import FlagChange, NewMessage
from twistmail.store.mailstore import MailStore
from twistmail.store.upkeep import Rules

CONFIG = "[server]\nhostname = mail.blue.example\ndata_dir = data\n"
ANNA = "anna@blue.example"


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The mail of anna: INBOX with UIDs 1 to 3; the configuration is the current one."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("config.ini").write_text(CONFIG)
    made = MailStore(tmp_path / "data", None, disk.InlineCommitter(), tasks.Inline(), hostname="mx", rules=Rules(86400.0))
    append(made, "INBOX", *(b"Subject: %d\r\n\r\n" % n for n in (1, 2, 3)))
    yield made
    made.close()


@pytest.fixture
def run(capsys, store):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(line: str):
        code = status(line.split())
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def open_box(store, name="INBOX"):
    return result_of(result_of(store.mailboxes(ANNA)).open(name))


def append(store, folder, *contents, date=None):
    return result_of(open_box(store, folder).append([NewMessage(Memory(content), (), date) for content in contents]))


# ----- undelete


def test_what_was_deleted_is_listed_and_put_back(run, store):
    box = open_box(store)
    result_of(box.store([2, 3], FlagChange.ADD, ["\\Flagged", "\\Deleted"]))
    result_of(box.expunge([2, 3]))
    code, said, _ = run("mailbox undelete anna --dry-run --json")
    assert code == Exit.OK
    assert [(row["uid"], row["flags"], row["size"]) for row in map(json.loads, said.splitlines())] == [(2, "FT", 12), (3, "FT", 12)]
    assert run("mailbox undelete anna 3")[:2] == (Exit.OK, "INBOX: 1 message put back\n")
    assert json.loads(run("mailbox undelete anna --since 1h --json")[1]) == {"folder": "INBOX", "folders": 0, "messages": 1}
    code, said, hints = run("mailbox undelete anna")
    assert (code, said) == (Exit.NOTHING, "")
    assert "nothing to put back into INBOX" in hints
    box.maildir.known = None
    result_of(box.refresh())
    assert list(box.uids) == [1, 4, 5]


def test_a_deleted_folder_comes_back_whole(run, store):
    boxes = result_of(store.mailboxes(ANNA))
    result_of(boxes.create("Work"))
    append(store, "Work", b"Subject: w\r\n\r\n")
    result_of(boxes.delete("Work"))
    code, said, hints = run("mailbox undelete anna")
    assert (code, said) == (Exit.NOTHING, "")
    assert "there is in: Work" in hints
    assert run("mailbox undelete anna --folder Work --dry-run")[1].startswith("Work: the whole folder, deleted 0s ago")
    assert run("mailbox undelete anna --folder Work")[1] == "Work: the folder with 1 message, and 0 messages put back\n"
    assert list(open_box(store, "Work").uids) == [1]


# ----- expire


def test_what_has_lain_long_is_deleted(run, store):
    assert json.loads(run("mailbox expire anna --folder inbox --older 1h --json")[1])["messages"] == 0
    for path in Path("data/mail/blue.example/anna/cur").iterdir():
        if ",S=12," in path.name and b"Subject: 2" not in path.read_bytes():
            old = path.with_name("1600000000." + path.name.partition(".")[2])
            path.rename(old)
            os.utime(old, (1_600_000_000, 1_600_000_000))
    code, said, _ = run("mailbox expire anna --folder INBOX --older 90d --dry-run")
    assert (code, said) == (Exit.OK, "INBOX: 2 messages, 24 bytes would be deleted\n")
    code, said, complaint = run("mailbox expire anna --folder INBOX --older 90d")
    assert (code, said) == (Exit.USAGE, "")
    assert "Delete 2 messages, 24 bytes, the oldest" in complaint
    assert "add --yes" in complaint
    assert run("mailbox expire anna --folder INBOX --older 90d --yes")[1] == "INBOX: 2 messages, 24 bytes deleted\n"
    assert len(list(Path("data/mail/blue.example/anna/cur").iterdir())) == 1
    assert not Path("data/mail/blue.example/anna/expunged").exists()
    assert run("mailbox expire anna --folder INBOX --older 90d --yes")[0] == Exit.NOTHING


def test_it_can_be_had_back_where_expunged_mail_is_kept(run, store):
    assert run("--set store.keep_expunged=30d mailbox expire anna --folder INBOX --older 0s --yes")[0] == Exit.OK
    assert run("mailbox undelete anna")[1] == "INBOX: 3 messages put back\n"


# ----- list, usage, check, repair


def test_the_folders_of_an_account_are_listed(run, store):
    result_of(open_box(store).store([1], FlagChange.ADD, ["\\Seen"]))
    result_of(open_box(store).expunge([3]))
    code, said, _ = run("mailbox list anna --json")
    rows = {row["name"]: row for row in map(json.loads, said.splitlines())}
    assert code == Exit.OK
    assert rows["INBOX"] == {
        "name": "INBOX",
        "messages": 2,
        "unseen": 1,
        "octets": 28,
        "subscribed": True,
        "uses": [],
        "kept": 1,
    }
    assert rows["Trash"]["uses"] == ["\\Trash"]
    assert run("mailbox list anna")[1].splitlines()[1].split() == ["INBOX", "2", "1", "28", "bytes", "yes", "1"]


def test_usage_of_one_and_of_all(run, store):
    result_of(store.mailboxes("bert@blue.example"))
    rows = [json.loads(line) for line in run("mailbox usage --all --json")[1].splitlines()]
    assert rows == [
        {"account": ANNA, "folders": 6, "messages": 3, "octets": 42, "kept": 0},
        {"account": "bert@blue.example", "folders": 6, "messages": 0, "octets": 0, "kept": 0},
    ]
    assert run("mailbox usage anna")[1].splitlines()[1].split() == [ANNA, "6", "3", "42", "bytes", "0"]


def test_what_check_finds_repair_cures_and_says_so(run, store):
    (first, *_) = sorted(Path("data/mail/blue.example/anna/cur").iterdir())
    first.write_bytes(b"")
    code, said, _ = run("mailbox check anna")
    assert code == Exit.NOTHING
    assert "error: is empty" in said
    code, said, hints = run("mailbox repair anna --dry-run")
    assert (code, said) == (Exit.OK, f"{first.absolute()}: moved to damaged/: is empty\n")
    assert "1 thing would be done" in hints
    assert run("mailbox check anna")[0] == Exit.NOTHING, "nothing was done"
    assert json.loads(run("mailbox repair anna --folder INBOX --json")[1]) == {
        "path": str(first.absolute()),
        "did": "moved to damaged/: is empty",
        "dry_run": False,
    }
    assert run("mailbox check anna")[0] == Exit.OK
    assert "0 things were done" in run("mailbox repair anna")[2]


def test_a_wrong_index_is_mended_while_no_server_runs(run, store):
    store.close()
    index = Path("data/mail/blue.example/anna/twistmail-index.sqlite")
    index.write_bytes(b"rubbish" * 1000)
    for name in ("-wal", "-shm"):
        index.with_name(index.name + name).unlink(missing_ok=True)
    home = tenancy.occupy(Path("data"))
    assert "stop the server, then repair again" in run("mailbox repair anna")[2]
    assert "index-damaged" in run("mailbox check anna --json")[1]
    os.close(home)
    assert f"{index.absolute()}: deleted: " in run("mailbox repair anna")[1]
    assert "index-damaged" not in run("mailbox check anna --json")[1]


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        pytest.param("mailbox undelete", Exit.USAGE, "Missing argument", id="no-account"),
        pytest.param("mailbox undelete nobody@blue.example", Exit.NOUSER, "has no mail here", id="unknown-account"),
        pytest.param("mailbox undelete anna --since 5", Exit.USAGE, "write 5s", id="since-without-unit"),
        pytest.param("mailbox undelete anna 0", Exit.USAGE, "0 is not in the range", id="no-uid"),
        pytest.param("mailbox undelete anna x", Exit.USAGE, "not a valid integer", id="not-a-number"),
        pytest.param("mailbox usage", Exit.USAGE, "whose mail?", id="usage-of-nobody"),
        pytest.param("mailbox list", Exit.USAGE, "Missing argument", id="list-of-nobody"),
        pytest.param("mailbox list ann", Exit.NOUSER, "did you mean anna@blue.example?", id="list-of-a-stranger"),
        pytest.param("mailbox repair anna --folder Nowhere", Exit.NOINPUT, "there is no folder Nowhere", id="repair-nowhere"),
        pytest.param("mailbox expire anna", Exit.USAGE, "Missing option", id="expire-what"),
        pytest.param("mailbox expire anna --folder INBOX --older 90", Exit.USAGE, "write 90s", id="older-without-unit"),
        pytest.param("mailbox expire anna --folder No --older 90d", Exit.NOINPUT, "there is no folder No", id="expire-nowhere"),
        pytest.param("mailbox expire anna --folder a//b --older 90d", Exit.USAGE, "not a name for a mailbox", id="expire-no-name"),
        pytest.param("mailbox undelete anna --folder a//b", Exit.USAGE, "not a name for a mailbox", id="no-folder-s-name"),
    ],
)
def test_what_cannot_be_done_says_so(run, line, code, told):
    found, said, complaint = run(line)
    assert (found, said) == (code, "")
    assert told in complaint
