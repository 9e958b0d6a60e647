"""Full disks, syncs that fail, processes that die in between, and damaged lists: no promise is broken."""

from __future__ import annotations

import errno
import os
import re
import sqlite3

import pytest

from tests.helpers import result_of
from tests.store.conftest import ALICE, PLAIN
from twistmail import tasks
from twistmail.disk import status_of
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery, FlagChange, NewMessage
from twistmail.store import mailbox, maildir, scan, settling, uidlist

FULL = OSError(errno.ENOSPC, "No space left on device")


class NeverSettles(tasks.Inline):
    """Threads that die with the process before the file names are changed."""

    async def run(self, function, *args, **keywords):
        if function is settling.settle:
            await tasks.Deferred()
        return await super().run(function, *args, **keywords)


class LateScans(tasks.Inline):
    """Threads in which a scan waits until it is let go."""

    def __init__(self):
        self.free = tasks.Deferred()

    async def run(self, function, *args, **keywords):
        if function is scan.scan and not self.free.called:
            await self.free
        return await super().run(function, *args, **keywords)


def failing(error):
    def fail(*args, **keywords):
        raise error

    return fail


def abandoned(house, store):
    """The process of *store* has been killed: what it had only in memory is lost."""
    house.stores.remove(store)


def full_after(monkeypatch, writes):
    """The disk is full after so many messages."""
    real = maildir._write_all
    count = iter(range(writes))

    def write(descriptor, chunks):
        if next(count, None) is None:
            os.write(descriptor, b"a piece")
            raise FULL
        return real(descriptor, chunks)

    monkeypatch.setattr(maildir, "_write_all", write)


def test_a_full_disk_stops_one_copy_and_leaves_no_file(house, monkeypatch):
    store = house.store()
    inbox = house.open(store)
    full_after(monkeypatch, 1)
    errors = house.deliver(store, PLAIN, PLAIN)
    assert errors == [None, FULL]
    assert status_of(errors[1]).code == 452
    assert list(inbox.uids) == [1]
    assert len(house.files(which=["new", "cur", "tmp"])) == 1


def test_an_append_on_a_full_disk_appends_nothing(house, monkeypatch):
    inbox = house.open(house.store())
    full_after(monkeypatch, 1)
    with pytest.raises(OSError, match="No space"):
        result_of(inbox.append([NewMessage(Memory(PLAIN)), NewMessage(Memory(PLAIN))]))
    assert house.files(which=["new", "cur", "tmp"]) == []
    assert list(inbox.uids) == []


def test_a_uid_list_that_cannot_be_written_publishes_nothing(house, monkeypatch):
    store = house.store()
    house.deliver(store)
    inbox = house.open(store)
    real = os.write

    def write(descriptor, data):
        if data.startswith(b"2 :"):
            real(descriptor, data[:20])
            raise FULL
        return real(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        assert house.deliver(store) == [FULL]
    assert len(house.files(which=["new", "cur", "tmp"])) == 1
    assert len(house.lines()) == 3
    assert house.deliver(store) == [None]
    assert list(inbox.uids) == [1, 2]


def test_a_rename_that_fails_takes_the_whole_append_back(house, monkeypatch):
    inbox = house.open(house.store())
    real, count = os.rename, iter(range(1))

    def rename(*args, **keywords):
        if keywords and next(count, None) is None:
            raise OSError(errno.EIO, "Input/output error")
        return real(*args, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        with pytest.raises(OSError, match="Input/output"):
            result_of(inbox.append([NewMessage(Memory(PLAIN)), NewMessage(Memory(PLAIN))]))
    assert house.files(which=["new", "cur", "tmp"]) == []
    house.later()
    assert result_of(inbox.append([NewMessage(Memory(PLAIN))])).target == (3,)
    assert list(inbox.uids) == [3]


@pytest.mark.parametrize("adds", ["append", "copy"])
def test_after_uids_were_wasted_a_message_is_there_when_its_uid_is_told(house, monkeypatch, adds):
    """The scan that a gap in the UIDs asks for takes its time: the answer waits for it, so that its UID means something."""
    threads = LateScans()
    store = house.store(threads)
    house.deliver(store)
    inbox = house.open(store)
    with monkeypatch.context() as patch:
        patch.setattr(maildir.Maildir, "_publish", failing(OSError(errno.EIO, "Input/output error")))
        with pytest.raises(OSError, match="Input/output"):
            result_of(inbox.append([NewMessage(Memory(PLAIN))]))
    adding = inbox.append([NewMessage(Memory(PLAIN))]) if adds == "append" else inbox.copy([1], "INBOX")
    added = tasks.shielded(adding).addCallback(lambda copied: (copied.target, list(inbox.uids)))
    threads.free.callback(None)
    assert result_of(tasks.awaiting(added)) == ((3,), [1, 3])


def test_a_directory_that_cannot_be_synced_takes_the_delivery_back(house, monkeypatch):
    store = house.store()
    inbox = house.open(store)
    broken = OSError(errno.EIO, "Input/output error")

    class Breaks:
        async def commit(self, job):
            job.write()
            job.publish()
            job.close()
            raise broken

    with monkeypatch.context() as patch:
        patch.setattr(house.committer.__class__, "commit", Breaks.commit)
        assert house.deliver(store) == [broken]
    assert house.files(which=["new", "cur", "tmp"]) == []
    house.deliver(store)
    house.later()
    result_of(inbox.refresh())
    assert list(inbox.uids) == [2]


@pytest.mark.parametrize("adds", ["deliver", "append"])
def test_where_nothing_can_be_taken_back_either_the_first_trouble_is_told(house, monkeypatch, adds):
    """A disk that has become read-only between the publishing and its sync."""
    store = house.store()
    inbox = house.open(store)
    broken, read_only = OSError(errno.EIO, "Input/output error"), OSError(errno.EROFS, "Read-only file system")

    class Breaks:
        async def commit(self, job):
            job.write()
            job.publish()
            job.close()
            raise broken

    with monkeypatch.context() as patch:
        patch.setattr(house.committer.__class__, "commit", Breaks.commit)
        patch.setattr(maildir.Maildir, "_unlink", failing(read_only))
        if adds == "deliver":
            assert house.deliver(store) == [broken]
        else:
            with pytest.raises(OSError, match="Input/output"):
                result_of(inbox.append([NewMessage(Memory(PLAIN))]))


def test_flags_that_had_not_reached_the_names_are_replayed_at_the_next_start(house):
    store = house.store(NeverSettles())
    house.deliver(store, *[PLAIN] * 50)
    inbox = house.open(store)
    tasks.start(inbox.store(range(1, 51), FlagChange.ADD, ["\\Seen", "work"]), "test")
    assert all(name.startswith("new/") for name in house.files())
    abandoned(house, store)
    again = house.open(house.store())
    assert set(again.bits) == {1 | 1 << 8}
    assert all(name.endswith(":2,Sa") for name in house.files())


def test_a_scan_does_not_mistake_names_that_wait_for_changes_by_others(house):
    store = house.store(NeverSettles())
    house.deliver(store, *[PLAIN] * 50)
    inbox = house.open(store)
    tasks.start(inbox.store(range(1, 51), FlagChange.ADD, ["\\Seen"]), "test")
    assert set(inbox.bits) == {1}
    assert len(result_of(inbox.load(range(1, 51)))) == 50
    abandoned(house, store)


def test_a_crash_between_name_and_list_gives_the_file_a_uid_at_the_next_start(house):
    store = house.store()
    house.deliver(store)
    house.deliver(store)
    path = house.maildir / "dovecot-uidlist"
    store.close()
    path.write_bytes(b"\n".join(house.lines()[:2]) + b"\n2 :17952")
    again = house.open(house.store())
    assert list(again.uids) == [1, 2]
    assert [line.partition(b" ")[0] for line in house.lines()[1:-1]] == [b"1", b"2"]


def test_a_line_without_a_file_is_a_message_that_was_expunged(house):
    store = house.store()
    house.deliver(store)
    store.close()
    with (house.maildir / "dovecot-uidlist").open("ab") as file:
        file.write(b"7 :1795.never.published,S=1,W=1\n")
    again = house.store()
    assert list(house.open(again).uids) == [1]
    house.deliver(again)
    assert list(house.open(again).uids) == [1, 8]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(None, id="lost"),
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: b"\0" * len(data), id="zeroes"),
        pytest.param(lambda data: data.replace(b"2 :", b"1 :"), id="uid-twice"),
        pytest.param(lambda data: data.replace(b"2 :", b"two :"), id="no-number"),
        pytest.param(lambda data: b"1" + data[1:], id="other-version"),
        pytest.param(lambda data: re.sub(rb"V\d+", b"V0", data), id="no-uidvalidity"),
        pytest.param(lambda data: re.sub(rb"2 :", b"99999999999 :", data), id="uid-too-large"),
    ],
)
@pytest.mark.parametrize("running", [False, True], ids=["at-start", "while-running"])
def test_a_list_that_cannot_be_trusted_means_a_larger_uidvalidity(house, damage, running):
    store = house.store()
    house.deliver(store)
    house.deliver(store)
    inbox = house.open(store)
    heard = []
    inbox.watch(heard.append)
    path = house.maildir / "dovecot-uidlist"
    if not running:
        store.close()
        store = house.store()
    data = path.read_bytes()
    path.unlink()
    if damage:
        path.write_bytes(damage(data))
    if running:
        house.drop("1.makes.it.look")
        result_of(inbox.refresh())
        assert [change.gone for change in heard] == [True]
    again = house.open(store)
    assert again.uidvalidity > inbox.uidvalidity
    assert list(again.uids) == list(range(1, 3 + running))


def test_an_older_list_that_comes_back_is_not_believed(house):
    store = house.store()
    house.deliver(store)
    old = (house.maildir / "dovecot-uidlist").read_bytes()
    house.deliver(store)
    inbox = house.open(store)
    (house.maildir / "dovecot-uidlist").write_bytes(old)
    house.deliver(store)
    house.later()
    result_of(inbox.refresh())
    assert house.open(store).uidvalidity > inbox.uidvalidity


def test_mail_under_a_list_that_was_begun_again_does_not_come_under_the_old_uidvalidity(house):
    """The mailbox is open, nobody but us has changed its directories, and UIDs that it has given are given again."""
    store = house.store()
    house.deliver(store)
    old = (house.maildir / "dovecot-uidlist").read_bytes()
    house.deliver(store)
    inbox = house.open(store)
    heard = []
    inbox.watch(heard.append)
    (house.maildir / "dovecot-uidlist").write_bytes(old)
    house.deliver(store, b"a: b\r\n\r\n")
    house.deliver(store, b"a: b\r\n\r\n", b"a: c\r\n\r\n")
    assert [change.gone for change in heard] == [True]
    assert not inbox.maildir.is_shared()
    again = house.open(store)
    assert again.uidvalidity > inbox.uidvalidity
    assert len(again.uids) == 5


@pytest.mark.parametrize("adds", ["append", "copy"])
def test_whoever_adds_to_a_list_that_is_begun_again_is_told_no_uid(house, adds):
    store = house.store()
    house.deliver(store)
    old = (house.maildir / "dovecot-uidlist").read_bytes()
    house.deliver(store)
    inbox = house.open(store)
    (house.maildir / "dovecot-uidlist").write_bytes(old)
    added = result_of(inbox.append([NewMessage(Memory(PLAIN))]) if adds == "append" else inbox.copy([1], "INBOX"))
    assert added.target == ()
    assert inbox.gone
    assert len(house.files()) == 3


def test_a_list_of_dead_lines_is_rewritten_and_keeps_uids(house):
    store = house.store()
    house.deliver(store, *[b"a: b\r\n\r\n"] * 1100)
    inbox = house.open(store)
    result_of(inbox.expunge(range(1, 1100)))
    validity = inbox.uidvalidity
    store.close()
    (house.maildir / "twistmail-index.sqlite").unlink()
    again = house.store()
    inbox = house.open(again)
    assert (list(inbox.uids), inbox.uidnext, inbox.uidvalidity) == ([1100], 1101, validity)
    assert len(house.lines()) == 3
    house.deliver(again)
    assert list(inbox.uids) == [1100, 1101]


def test_many_are_expunged_in_portions_and_others_hear_of_each(house, monkeypatch):
    monkeypatch.setattr(mailbox, "STRETCH", 10)
    monkeypatch.setattr(mailbox, "PORTIONS", 4)
    store = house.store()
    house.deliver(store, *[b"a: b\r\n\r\n"] * 100)
    inbox = house.open(store)
    heard = []
    inbox.watch(lambda change: heard.append(len(change.expunged)))
    assert result_of(inbox.expunge(range(1, 90))) == list(range(1, 90))
    assert heard == [25, 25, 25, 14]
    assert list(inbox.uids) == list(range(90, 101))
    assert len(house.files(which=["new", "cur"])) == 11


def test_news_from_before_a_crash_is_not_lost_with_the_index(house):
    store = house.store()
    house.deliver(store)
    house.later()
    inbox = house.open(store)
    result_of(inbox.save())
    house.deliver(store)
    abandoned(house, store)
    assert list(house.open(house.store()).uids) == [1, 2]


def test_the_same_content_for_several_accounts_is_one_job(house):
    jobs = []
    store = house.store()
    real = house.committer.commit

    async def commit(job):
        jobs.append(job)
        await real(job)

    house.committer.commit = commit
    copies = [Delivery(account, b"", Memory(PLAIN)) for account in (ALICE, "bob@blue.test", "carl@blue.test")]
    assert result_of(store.deliver(copies)) == [None] * 3
    assert len(jobs) == 1


def test_a_folder_that_a_crash_left_half_made_is_none_until_it_is_made_again(house):
    store = house.store()
    home = result_of(store.mailboxes(ALICE))
    (house.maildir / ".Half/tmp").mkdir(parents=True)
    assert "Half" not in [folder.name for folder in result_of(home.folders())]
    result_of(home.create("Half"))
    assert "Half" in [folder.name for folder in result_of(home.folders())]
    house.deliver(store, folder="Half")
    assert list(house.open(store, "Half").uids) == [1]


def test_a_message_whose_adoption_failed_is_adopted_by_the_next_look(house, monkeypatch):
    store = house.store()
    house.deliver(store)
    inbox = house.open(store)
    house.drop("1700000000.dropped.host")
    real = house.committer.__class__.commit

    async def commit(committer, job):
        job.close()
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(house.committer.__class__, "commit", commit)
        with pytest.raises(OSError, match="Input/output"):
            result_of(inbox.refresh())
    assert house.committer.__class__.commit is real
    result_of(inbox.refresh())
    assert list(inbox.uids) == [1, 2]


def test_what_is_known_can_be_read_while_nothing_can_be_written(house, monkeypatch):
    store = house.store()
    house.deliver(store)
    inbox = house.open(store)
    house.drop("1700000000.dropped.host")

    def lock(_):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(uidlist.UidList, "_lock_file", lock)
        result_of(inbox.refresh())
        assert len(result_of(inbox.load([1]))) == 1
    result_of(inbox.refresh())
    assert list(inbox.uids) == [1, 2]


def test_flags_that_the_index_cannot_take_are_put_into_the_names_at_once(house, monkeypatch):
    store = house.store()
    house.deliver(store, *[PLAIN] * 50)
    inbox = house.open(store)

    def save(*_):
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(type(inbox._index), "save", save)
        patch.setattr(type(inbox), "_settle_soon", lambda _: None)
        result_of(inbox.store(range(1, 51), FlagChange.ADD, ["\\Seen"]))
    assert all(name.endswith(":2,S") for name in house.files())


def test_what_could_not_be_expunged_comes_back_under_another_uid(house, monkeypatch):
    store = house.store()
    house.deliver(store, PLAIN, PLAIN)
    inbox = house.open(store)

    def unlink(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        with pytest.raises(OSError, match="Read-only"):
            result_of(inbox.expunge([1]))
    result_of(inbox.refresh())
    assert list(inbox.uids) == [2, 3]
    assert [len(content) for _, content in result_of(inbox.load([2, 3]))] == [len(PLAIN)] * 2
    listed = [line.partition(b" :")[2] for line in house.lines()[1:-1]]
    assert len(listed) == len(set(listed)) == 2


def test_a_name_that_is_listed_twice_has_its_last_uid(house):
    store = house.store()
    house.deliver(store, PLAIN, PLAIN)
    store.close()
    path = house.maildir / "dovecot-uidlist"
    first = house.lines()[1].partition(b" :")[2]
    path.write_bytes(path.read_bytes() + b"3 :" + first + b"\n")
    for index in house.maildir.glob("twistmail-index*"):
        index.unlink()
    assert list(house.open(house.store()).uids) == [2, 3]
