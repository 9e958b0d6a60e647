"""An index may be behind; it must not be wrong where it believes that nothing has changed."""

import os
import sqlite3
import time
from array import array

import pytest

from tests.backup.conftest import ALICE, House
from tests.helpers import result_of
from twistmail.mail.mailbox import FlagChange
from twistmail.store.repair import repair_index
from twistmail.store.verify import verify_account

NEW = b"Subject: one\r\n\r\nOne.\r\n"


@pytest.fixture
def house(tmp_path):
    """Three messages; the server has stopped, and its index believes that nothing has changed since."""
    made = House(tmp_path)
    made.append("INBOX", NEW, NEW, NEW)
    box = made.open()
    result_of(box.store([2], FlagChange.ADD, ["\\Seen"]))
    settle(made)
    made.open().close()
    made.store.close()
    return made


def settle(house):
    """The directories were changed long ago."""
    for place in ("new", "cur"):
        os.utime(house.maildir / place, (time.time() - 60, time.time() - 60))


def index_oddities(house):
    found = verify_account(house.tree, ALICE, time.time()).anomalies
    return [anomaly for anomaly in found if anomaly.kind.startswith("index")]


def change(house, statement, *values):
    database = sqlite3.connect(house.maildir / "twistmail-index.sqlite")
    with database:
        database.execute(statement, values)
    database.close()


def believe(house):
    """The index is told that it is true as the directories are now."""
    times = [os.stat(house.maildir / place).st_mtime_ns for place in ("new", "cur")]
    change(house, "UPDATE mailbox SET new_changed = ?, cur_changed = ? WHERE directory = ''", *times)


def test_what_the_server_has_written_is_true(house):
    believe(house)
    assert index_oddities(house) == []


def test_looking_changes_nothing(house):
    before = sqlite3.connect(house.maildir / "twistmail-index.sqlite").execute("SELECT * FROM mailbox").fetchall()
    verify_account(house.tree, ALICE, time.time())
    assert sqlite3.connect(house.maildir / "twistmail-index.sqlite").execute("SELECT * FROM mailbox").fetchall() == before


def _forget_uid(house):
    next((house.maildir / "cur").iterdir()).unlink()


def _rename(house):
    path = next(path for path in (house.maildir / "cur").iterdir() if path.name.endswith(",S"))
    path.rename(path.with_name(path.name + "T"))


def _sizes(house):
    change(house, "UPDATE block SET sizes = ?", array("Q", [1, 2, 3]).tobytes())


def _blocks(house):
    change(house, "DELETE FROM block")
    change(house, "UPDATE mailbox SET messages = 0")


def _modseqs(house):
    change(house, "UPDATE flags SET modseqs = ?", array("Q", [1, 2, 1 << 60]).tobytes())


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        pytest.param(_forget_uid, "has no file", id="file-gone"),
        pytest.param(_rename, "is called", id="other-flags"),
        pytest.param(_sizes, "UID 1 has 1 octets; UID 2 has 2 octets; UID 3 has 3 octets", id="sizes"),
        pytest.param(_modseqs, "above that of the mailbox", id="modification-sequence"),
        pytest.param(
            _blocks, "UID 1 is not in it; UID 2 is not in it; UID 3 is not in it", id="empty"
        ),
    ],
)
def test_what_it_says_otherwise_is_an_error_only_where_it_is_believed(house, harm, told):
    harm(house)
    if harm in (_forget_uid, _rename):
        assert index_oddities(house) == [], "whoever opens the mailbox looks"
    believe(house)
    (found,) = index_oddities(house)
    assert (found.severity.value, found.kind, found.folder) == ("error", "index-differs", "INBOX")
    assert told in found.what
    assert "stop the server; twistmail mailbox repair" in found.cure
    assert found.path == str(house.maildir / "twistmail-index.sqlite")
    assert len(repair_index(house.tree, dry_run=True)) == 1
    assert len(index_oddities(house)) == 1
    (cure,) = repair_index(house.tree)
    assert cure.did.startswith("INBOX forgotten: ")
    assert index_oddities(house) == []


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda house: (house.maildir / "twistmail-index.sqlite").write_bytes(b"rubbish" * 1000), id="no-database"),
        pytest.param(lambda house: change(house, "UPDATE flags SET modseqs = x'00'"), id="a-column-of-another-length"),
        pytest.param(lambda house: change(house, "DROP TABLE block"), id="no-table"),
    ],
)
def test_one_that_cannot_be_read_is_a_warning(house, harm):
    for name in ("-wal", "-shm"):
        (house.maildir / f"twistmail-index.sqlite{name}").unlink(missing_ok=True)
    harm(house)
    (found,) = index_oddities(house)
    assert (found.severity.value, found.kind) == ("warning", "index-damaged")
    assert len(repair_index(house.tree)) == 1
    assert index_oddities(house) == []


def test_a_folder_that_it_knows_and_that_is_not_there_is_a_note(house):
    change(house, "UPDATE mailbox SET directory = '.Gone' WHERE directory = ''")
    (found,) = index_oddities(house)
    assert (found.severity.value, found.kind) == ("note", "index-folder")


def test_one_of_another_version_is_nobody_s_business(house):
    change(house, "PRAGMA user_version = 99")
    assert index_oddities(house) == []


def test_without_an_index_there_is_nothing_to_compare(house):
    for path in house.maildir.glob("twistmail-index*"):
        path.unlink()
    assert index_oddities(house) == []
