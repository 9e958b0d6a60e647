"""Expunged mail that is kept: it is out of everybody's sight, comes back with dates and flags, and goes when its time has come."""

import os
import time
from dataclasses import replace

import pytest

from tests.helpers import result_of
from twistmail import disk, tasks
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import FlagChange, NewMessage
from twistmail.store import kept, names
from twistmail.store.mailstore import MailStore
from twistmail.store.upkeep import Rules

ALICE = "alice@blue.test"
MONTH = 30 * 86400.0
LONG_AGO = 1_600_000_000.0


@pytest.fixture
def store(house):
    """A store that keeps expunged mail for a month."""
    made = MailStore(house.root, None, house.committer, tasks.Inline(), hostname="mx", now=house.now, rules=Rules(MONTH))
    house.stores.append(made)
    return made


@pytest.fixture
def filled(house, store):
    """INBOX with UIDs 1 to 3, of which 2 is flagged, deleted, and was expunged."""
    box = house.open(store)
    messages = [NewMessage(Memory(b"Subject: %d\r\n\r\n%d\r\n" % (n, n)), (), LONG_AGO + n) for n in (1, 2, 3)]
    result_of(box.append(messages))
    result_of(box.store([2], FlagChange.ADD, ["\\Deleted", "\\Flagged", "Work"]))
    result_of(box.expunge([2]))
    return box


def tree(store):
    return result_of(store.mailboxes(ALICE)).tree


def test_what_was_expunged_is_neither_seen_nor_counted(house, store, filled):
    assert list(filled.uids) == [1, 3]
    assert len(house.files()) == 2
    assert result_of(result_of(house.store().mailboxes(ALICE)).open("INBOX")).uids[:].tolist() == [1, 3]
    (message,) = kept.messages(house.maildir)
    assert (message.uid, message.letters) == (2, b"FTa")
    assert time.time() - message.expunged < 60


def test_it_comes_back_under_a_new_uid_with_its_date_and_flags(house, store, filled):
    chosen = kept.messages(house.maildir)
    assert kept.restore_messages(chosen, house.maildir, tree(store).fresh_name) == 1
    house.later()
    result_of(filled.refresh())
    assert list(filled.uids) == [1, 3, 4]
    assert result_of(filled.load([4])) == [(4, b"Subject: 2\r\n\r\n2\r\n")]
    path = next(name for name in house.files() if names.letters_of(name.encode()) == b"Fa")
    assert (house.maildir / path).stat().st_mtime == LONG_AGO + 2
    assert kept.messages(house.maildir) == []
    assert kept.restore_messages(chosen, house.maildir, tree(store).fresh_name) == 0, "a second time there is nothing"


def test_it_goes_when_its_time_has_come(house, store, filled):
    house.ahead = MONTH - 60
    result_of(store.tidy())
    assert len(kept.messages(house.maildir)) == 1
    house.ahead = MONTH + 60
    result_of(store.tidy())
    assert kept.messages(house.maildir) == []
    assert len(house.files()) == 2


def test_a_store_that_keeps_nothing_leaves_nothing(house):
    store = house.store()
    house.deliver(store)
    result_of(house.open(store).expunge([1]))
    assert not (house.maildir / "expunged").exists()


def test_a_store_that_has_stopped_keeping_throws_away_what_was_kept(house, store, filled):
    result_of(house.store().tidy())
    assert kept.messages(house.maildir) == []


def test_what_was_published_and_never_promised_is_not_kept(house, store, filled):
    class Failing(disk.InlineCommitter):
        def _sync(self, descriptor):
            raise OSError(5, "broken")

    box = house.open(store)
    box._workshop = replace(box._workshop, committer=Failing())
    with pytest.raises(OSError, match="broken"):
        result_of(box.append([NewMessage(Memory(b"Subject: no\r\n\r\n"))]))
    assert len(kept.messages(house.maildir)) == 1


def test_where_it_cannot_be_kept_it_goes(house, store, filled):
    """The user has asked for it to be deleted; a directory that is in the way must not keep it alive."""
    (house.maildir / "expunged" / kept.messages(house.maildir)[0].name.decode()).unlink()
    (house.maildir / "expunged").rmdir()
    filled.maildir.close()
    (house.maildir / "expunged").write_text("in the way")
    result_of(filled.expunge([1]))
    assert list(filled.uids) == [3]
    assert len(house.files()) == 1


def test_a_directory_that_was_removed_is_made_again(house, store, filled):
    (house.maildir / "expunged" / kept.messages(house.maildir)[0].name.decode()).unlink()
    (house.maildir / "expunged").rmdir()
    result_of(filled.expunge([1]))  # falls through: its file goes
    result_of(filled.expunge([3]))
    assert [message.uid for message in kept.messages(house.maildir)] == [3]


# ----- folders


@pytest.fixture
def deleted(house, store):
    """Work/Old, with two messages, was deleted."""
    boxes = result_of(store.mailboxes(ALICE))
    result_of(boxes.create("Work/Old"))
    house.deliver(store, b"Subject: a\r\n\r\n", b"Subject: b\r\n\r\n", folder="Work/Old")
    box = result_of(boxes.open("Work/Old"))
    result_of(box.store([1], FlagChange.ADD, ["Urgent"]))
    validity = box.uidvalidity
    result_of(boxes.delete("Work/Old"))
    return validity


def test_a_deleted_folder_comes_back_as_it_was(house, store, deleted):
    (gone,) = kept.folders(house.maildir)
    assert gone.name == "Work/Old"
    result_of(result_of(store.mailboxes(ALICE)).delete("Work"))
    assert kept.restore_folder(tree(store), gone) == 2
    box = house.open(store, "Work/Old")
    assert (box.uidvalidity, list(box.uids)) == (deleted, [1, 2])
    assert tree(store).exists("Work"), "the level above comes with it"
    assert [one.name for one in kept.folders(house.maildir)] == ["Work"]


def test_into_a_folder_of_its_name_only_its_mail_comes_back(house, store, deleted):
    boxes = result_of(store.mailboxes(ALICE))
    result_of(boxes.create("Work/Old"))
    house.deliver(store, folder="Work/Old")
    box = result_of(boxes.open("Work/Old"))
    result_of(box.store([1], FlagChange.ADD, ["Other"]))
    (gone,) = kept.folders(house.maildir)
    assert kept.restore_folder(tree(store), gone) == 2
    house.later()
    result_of(box.refresh())
    assert list(box.uids) == [1, 2, 3]
    assert box.keywords == ["Other", "Urgent"]
    assert sorted(box.bits[1:]) == [0, 1 << 9], "its keyword has another letter here"
    assert kept.folders(house.maildir) == []


def test_a_deleted_folder_goes_when_its_time_has_come(house, store, deleted):
    house.ahead = MONTH - 60
    result_of(store.tidy())
    assert len(kept.folders(house.maildir)) == 1
    house.ahead = MONTH + 60
    result_of(store.tidy())
    assert kept.folders(house.maildir) == []
    assert not os.listdir(house.maildir / "expunged")


def test_a_folder_whose_name_leaves_no_room_is_not_kept(house, store):
    boxes = result_of(store.mailboxes(ALICE))
    result_of(boxes.create("x" * 250))
    result_of(boxes.delete("x" * 250))
    assert kept.folders(house.maildir) == []
    assert not tree(store).exists("x" * 250)
