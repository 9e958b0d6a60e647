"""The redo log: what was acknowledged is there after a crash, whatever of the files has reached the disk."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

from tests.helpers import result_of
from tests.inline_log import LoggingCommitter
from tests.store.conftest import ALICE, PLAIN
from tests.store.inline_log import prepare
from twistmail import disk, segments, tasks
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery, NewMessage
from twistmail.store import redolog, syncing
from twistmail.store.mailstore import MailStore
from twistmail.store.uidlist import UidList


class House:
    """A store with a redo log, and what can happen to its directory."""

    def __init__(self, root):
        self.root = root
        self.maildir = root / "mail/blue.test/alice"
        self.committer = LoggingCommitter()
        self.stores = []

    def store(self):
        made = MailStore(self.root, None, self.committer, tasks.Inline(), hostname="mx.blue.test")
        self.stores.append(made)
        if made._redo:
            prepare(made._redo)
        return made

    def crash(self):
        """The process is killed: nothing is written down any more, the locks are gone."""
        for store in self.stores:
            if store._redo:
                store._redo._close_files()
        self.stores.clear()

    def deliver(self, store, *contents, folder="INBOX"):
        return result_of(store.deliver([Delivery(ALICE, b"", Memory(content), folder) for content in contents or (PLAIN,)]))

    def open(self, store, name="INBOX"):
        return result_of(result_of(store.mailboxes(ALICE)).open(name))

    def messages(self, store, name="INBOX"):
        """{UID: content}"""
        inbox = self.open(store, name)
        return dict(result_of(inbox.load(inbox.uids)))

    def files(self, folder=""):
        return sorted(path for sub in ("new", "cur") for path in (self.maildir / folder / sub).iterdir())

    @property
    def list(self):
        return self.maildir / "dovecot-uidlist"


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    for store in made.stores:
        store.close()


def lose_everything(house):
    """The worst that a power loss may do: no file's content, no name and no line since the last sync has reached the disk."""
    for path in house.files():
        path.unlink()
    house.list.write_bytes(house.list.read_bytes().split(b"\n")[0] + b"\n")


def lose_contents(house):
    for path in house.files():
        path.write_bytes(b"")


def lose_lines(house):
    house.list.write_bytes(house.list.read_bytes().split(b"\n")[0] + b"\n")


def tear_a_line(house):
    house.list.write_bytes(house.list.read_bytes()[:-7])


def zero_lines(house):
    first, rest = house.list.read_bytes().split(b"\n", 1)
    house.list.write_bytes(first + b"\n" + bytes(len(rest)))


def zero_the_first_lines(house):
    first, rest = house.list.read_bytes().split(b"\n", 1)
    house.list.write_bytes(first + b"\n" + bytes(len(rest) // 2) + rest[len(rest) // 2 :])


def empty_the_list(house):
    house.list.write_bytes(b"")


def zero_the_list(house):
    house.list.write_bytes(bytes(500))


def lose_nothing(house):
    """As after kill -9."""


DAMAGE = [
    lose_nothing,
    lose_everything,
    lose_contents,
    lose_lines,
    tear_a_line,
    zero_lines,
    zero_the_first_lines,
    empty_the_list,
    zero_the_list,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_was_acknowledged_survives_with_its_uid(house, damage):
    store = house.store()
    contents = [b"Subject: %d\r\n\r\nbody\r\n" % n for n in range(5)]
    assert house.deliver(store, *contents[:3]) == [None] * 3
    inbox = house.open(store)
    result_of(inbox.append([NewMessage(Memory(content), frozenset(["\\Seen"]), 1_000_000_000.0) for content in contents[3:]]))
    assert house.committer.logged == 2
    validity = inbox.uidvalidity
    house.crash()
    damage(house)
    again = house.store()
    assert house.messages(again) == dict(enumerate(contents, 1))
    inbox = house.open(again)
    assert inbox.uidvalidity == validity
    assert inbox.uidnext == 6
    assert list(inbox.bits) == [0, 0, 0, 1, 1]
    assert [path.stat().st_mtime for path in house.files() if path.parent.name == "cur"] == [1_000_000_000.0] * 2


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_crash_in_the_replay_is_harmless(house, damage, monkeypatch):
    store = house.store()
    house.deliver(store, PLAIN, PLAIN)
    house.crash()
    damage(house)

    def killed(self, mailboxes):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(syncing.Syncer, "sync", killed)
        redo = redolog.RedoLog(house.root)
        with pytest.raises(KeyboardInterrupt):
            redo.open()
        redo._close_files()
    again = house.store()
    assert house.messages(again) == {1: PLAIN, 2: PLAIN}
    assert len(house.files()) == 2


@pytest.mark.parametrize("damage", [lose_nothing, lose_lines, tear_a_line])
def test_what_was_expunged_is_not_brought_back_and_its_uid_is_not_given_again(house, damage):
    store = house.store()
    house.deliver(store, PLAIN, PLAIN)
    result_of(house.open(store).expunge([2]))
    house.crash()
    damage(house)
    again = house.store()
    assert list(house.messages(again)) == [1]
    house.deliver(again)
    assert list(house.messages(again)) == [1, 3]


def watched(monkeypatch, name, events):
    """Calls of `os.`*name* are noted in *events*: with the name of what a descriptor stands for."""
    real = getattr(os, name)

    def call(what, *rest, **keywords):
        events.append((name, os.path.basename(os.readlink(f"/proc/self/fd/{what}")) if isinstance(what, int) else "message"))
        return real(what, *rest, **keywords)

    monkeypatch.setattr(os, name, call)


def test_what_is_expunged_for_good_is_noted_durably_before_and_the_directories_are_synced_after(house, monkeypatch):
    store = house.store()
    house.deliver(store, PLAIN, PLAIN, PLAIN)
    inbox = house.open(store)
    events = []
    for name in ("unlink", "fsync", "fdatasync"):
        watched(monkeypatch, name, events)
    assert result_of(inbox.expunge([1, 3], durable=True)) == [1, 3]
    gone = ("unlink", "message")
    assert events == [("fdatasync", "twistmail-redo.0"), gone, gone, ("fsync", "new"), ("fsync", "cur")]


def test_an_expunge_that_cannot_be_made_durable_says_so(house, monkeypatch):
    store = house.store()
    house.deliver(store, PLAIN, PLAIN)
    inbox = house.open(store)

    def broken(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    for name in ("fsync", "fdatasync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, broken)
            with pytest.raises(OSError, match="Input/output"):
                result_of(inbox.expunge([inbox.uids[0]], durable=True))


def test_a_message_that_somebody_has_expunged_with_its_line_stays_away(house):
    store = house.store()
    house.deliver(store, PLAIN, PLAIN)
    maildir = result_of(store.mailboxes(ALICE)).tree.maildir("INBOX")
    first = house.files()[0]
    first.unlink()
    with maildir.uids.locked():
        uids, bases = maildir.uids.read()
        kept = [(uid, base) for uid, base in zip(uids, bases, strict=True) if base != os.fsencode(first.name)]
        maildir.uids.rewrite([uid for uid, _ in kept], [base for _, base in kept])
    house.crash()
    again = house.store()
    assert list(house.messages(again)) == [uid for uid, _ in kept]


def test_flags_that_were_set_since_stay(house):
    store = house.store()
    house.deliver(store)
    house.crash()
    (path,) = house.files()
    path.rename(house.maildir / "cur" / (path.name + ":2,F"))
    assert list(house.open(house.store()).bits) == [4]
    assert len(house.files()) == 1


def test_a_list_that_was_started_again_keeps_the_file(house):
    store = house.store()
    house.deliver(store)
    house.crash()
    house.list.write_bytes(b"3 V4000000000 N5 G%032x\n" % 7)
    for path in house.files():
        path.unlink()
    again = house.store()
    assert house.messages(again) == {5: PLAIN}


def test_a_list_with_other_damage_is_left_to_be_started_again(house):
    store = house.store()
    house.deliver(store, PLAIN, PLAIN)
    validity = house.open(store).uidvalidity
    house.crash()
    house.list.write_bytes(house.list.read_bytes().replace(b"2 :", b"two :"))
    again = house.store()
    assert house.open(again).uidvalidity > validity
    assert len(house.messages(again)) == 2


def test_after_a_checkpoint_the_log_has_no_say(house):
    store = house.store()
    house.deliver(store)
    store._redo.checkpoint()
    (path,) = house.files()
    path.unlink()
    house.crash()
    assert house.messages(house.store()) == {}


def test_a_store_that_is_closed_leaves_an_empty_log(house):
    store = house.store()
    house.deliver(store)
    store.close()
    house.stores.clear()
    shutil.rmtree(house.maildir / "new")
    (house.maildir / "new").mkdir()
    assert house.messages(house.store()) == {}


def test_segments_take_turns(house, monkeypatch):
    store = house.store()
    redo = store._redo
    monkeypatch.setattr(redo, "_wait_for_room", redo.checkpoint)
    contents = {uid: b"Subject: %d\r\n\r\n%s\r\n" % (uid, b"x" * 30_000) for uid in range(1, 40)}
    for content in contents.values():
        assert house.deliver(store, content) == [None]
    assert redo._generation > 6
    house.crash()
    assert house.messages(house.store()) == contents


def test_of_messages_in_both_segments_none_is_forgotten(house):
    store = house.store()
    house.deliver(store, PLAIN)
    with store._redo._batch:
        assert store._redo._turn()
    house.deliver(store, PLAIN)
    result_of(house.open(store).expunge([1]))
    house.deliver(store, PLAIN)
    house.crash()
    for path in house.files():
        path.unlink()
    assert list(house.messages(house.store())) == [2, 3]


def test_a_large_message_goes_the_other_way(house):
    store = house.store()
    assert house.deliver(store, b"Subject: large\r\n\r\n" + b"x\r\n" * 100_000) == [None]
    assert house.committer.logged == 0
    assert house.deliver(store) == [None]
    assert house.committer.logged == 1


def broken(*_):
    raise OSError(errno.EIO, "Input/output error")


def test_a_log_that_cannot_be_synced_condemns_the_batch_and_is_left_alone(house, monkeypatch):
    store = house.store()
    assert house.deliver(store) == [None]
    with monkeypatch.context() as patch:
        patch.setattr(segments.os, "fdatasync", broken)
        (error,) = house.deliver(store, b"Subject: lost\r\n\r\n")
    assert error.errno == errno.EIO
    assert house.committer.logged == 2
    assert house.deliver(store) == [None]
    assert house.committer.logged == 2
    assert list(house.messages(store).values()) == [PLAIN, PLAIN]
    house.crash()
    assert list(house.messages(house.store()).values()) == [PLAIN, PLAIN]


def test_a_checkpoint_that_fails_leaves_the_log_and_is_not_believed_the_next_time(house, monkeypatch):
    store = house.store()
    redo = store._redo
    house.deliver(store)
    with monkeypatch.context() as patch:
        patch.setattr(redo._syncer, "sync", broken)
        with pytest.raises(OSError):
            redo.checkpoint()
    (path,) = house.files()
    before = path.stat().st_ino
    redo.checkpoint()
    assert path.stat().st_ino != before
    assert house.messages(store) == {1: PLAIN}
    assert redo._current.is_empty


def test_after_a_checkpoint_that_failed_and_a_crash_every_file_is_written_again(house, monkeypatch):
    store = house.store()
    house.deliver(store)
    monkeypatch.setattr(store._redo._syncer, "sync", broken)
    with pytest.raises(OSError):
        store._redo.checkpoint()
    (path,) = house.files()
    before = path.stat().st_ino
    house.crash()
    assert house.messages(house.store()) == {1: PLAIN}
    assert path.stat().st_ino != before


def test_a_delivery_that_cannot_be_published_is_not_brought_back(house, monkeypatch):
    store = house.store()
    assert house.deliver(store) == [None]
    real = os.rename

    def rename(*args, **keywords):
        if keywords:
            broken()
        return real(*args, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        assert isinstance(house.deliver(store)[0], OSError)
    house.crash()
    assert list(house.messages(house.store())) == [1]


def test_a_list_that_cannot_be_written_costs_its_own_mailbox_a_delivery_and_no_other(house, monkeypatch):
    store = house.store()
    assert house.deliver(store) == [None]
    assert house.deliver(store, folder="Other") == [None]
    real = UidList._write
    with monkeypatch.context() as patch:
        patch.setattr(UidList, "_write", lambda self, data: real(self, data) if "Other" in str(self.path) else broken())
        assert isinstance(house.deliver(store, b"Subject: lost\r\n\r\n")[0], OSError)
        assert house.deliver(store, folder="Other") == [None]
    assert house.deliver(store) == [None]
    house.crash()
    store = house.store()
    assert list(house.messages(store).values()) == [PLAIN, PLAIN]
    assert list(house.messages(store, "Other").values()) == [PLAIN, PLAIN]


def test_a_copy_does_not_depend_on_what_the_log_says_about_its_original(house):
    store = house.store()
    house.deliver(store)
    inbox = house.open(store)
    redo = store._redo
    result_of(inbox.move([1], "Sent"))
    assert redo._current.is_empty
    house.crash()
    again = house.store()
    assert house.messages(again) == {}
    assert house.messages(again, "Sent") == {1: PLAIN}


@pytest.mark.parametrize("change", ["rename", "delete", "account"])
def test_nothing_is_in_the_log_when_names_change(house, change, monkeypatch):
    store = house.store()
    house.deliver(store, folder="Sent")
    redo = store._redo
    seen = []
    at_rest = redo.at_rest

    def watched():
        seen.append(redo._current.is_empty)
        return at_rest()

    monkeypatch.setattr(redo, "at_rest", watched)
    mailboxes = result_of(store.mailboxes(ALICE))
    if change == "rename":
        result_of(mailboxes.rename("Sent", "Gone"))
    elif change == "delete":
        result_of(mailboxes.delete("Sent"))
    else:
        result_of(store.remove_account(ALICE))
    assert seen == [False]
    assert redo._current.is_empty
    assert redo._other.is_empty
    house.crash()
    again = house.store()
    if change == "rename":
        assert house.messages(again, "Gone") == {1: PLAIN}
    else:
        assert not list((house.maildir / ".Sent").glob("new/*"))


def test_a_mailbox_that_has_gone_is_not_made_again(house):
    store = house.store()
    house.deliver(store, folder="Sent")
    house.deliver(store)
    house.crash()
    shutil.rmtree(house.maildir / ".Sent")
    again = house.store()
    assert not (house.maildir / ".Sent").exists()
    assert house.messages(again) == {1: PLAIN}


def test_the_command_line_completes_what_a_crash_has_left(house):
    store = house.store()
    house.deliver(store)
    house.crash()
    lose_everything(house)
    house.committer = disk.InlineCommitter()
    assert house.messages(house.store()) == {1: PLAIN}


def test_a_second_process_leaves_the_log_to_the_first(house):
    store = house.store()
    house.deliver(store)
    second = MailStore(house.root, None, disk.InlineCommitter(), tasks.Inline(), hostname="mx.blue.test")
    assert house.deliver(second) == [None]
    assert house.deliver(store) == [None]
    second.close()
    house.crash()
    lose_contents(house)  # also that of the second process, which had synced it
    assert [content for content in house.messages(house.store()).values() if content] == [PLAIN, PLAIN]


def test_a_committer_that_syncs_nothing_gets_no_log(tmp_path):
    store = MailStore(tmp_path, None, disk.InlineCommitter(), tasks.Inline())
    assert result_of(store.deliver([Delivery(ALICE, b"", Memory(PLAIN))])) == [None]
    assert not list(tmp_path.glob("twistmail-redo*"))
    store.close()


def test_without_room_for_it_there_is_no_log(house, monkeypatch):
    store = house.store()
    redo = store._redo
    redo._ready = False
    monkeypatch.setattr(segments.os, "statvfs", lambda path: os.statvfs_result((4096, 4096, 10, 10, 10, 0, 0, 0, 0, 255)))
    assert not redo._prepared()
    assert [path.stat().st_size for path in sorted(house.root.glob("twistmail-redo*"))] == [0, 0]
    assert house.deliver(store) == [None]
    assert house.committer.logged == 0
