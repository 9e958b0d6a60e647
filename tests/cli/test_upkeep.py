"""`twistmail mailbox undelete` and its neighbours: commands that work on the files of an account."""

import json
import os
from pathlib import Path

import pytest

from tests.helpers import result_of
from twistmail import disk, tasks
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


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        pytest.param("mailbox undelete", Exit.USAGE, "Missing argument", id="no-account"),
        pytest.param("mailbox undelete nobody@blue.example", Exit.NOUSER, "has no mail here", id="unknown-account"),
        pytest.param("mailbox undelete anna --since 5", Exit.USAGE, "write 5s", id="since-without-unit"),
        pytest.param("mailbox undelete anna 0", Exit.USAGE, "0 is not in the range", id="no-uid"),
        pytest.param("mailbox undelete anna x", Exit.USAGE, "not a valid integer", id="not-a-number"),
        pytest.param("mailbox undelete anna --folder a//b", Exit.USAGE, "not a name for a mailbox", id="no-folder-s-name"),
    ],
)
def test_what_cannot_be_done_says_so(run, line, code, told):
    found, said, complaint = run(line)
    assert (found, said) == (code, "")
    assert told in complaint
