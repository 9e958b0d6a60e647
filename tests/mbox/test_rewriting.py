"""Whatever stops a change half-way, the mail is there; and what is no mbox is left alone."""

from __future__ import annotations

import errno
import os
import shutil
import time

import pytest

from tests.helpers import result_of
from tests.mbox.house import ALICE, House
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery, Flag, FlagChange, StoreError
from twistmail.mbox import boxfile

LETTERS = [b"Subject: %d\r\n\r\nFrom %d\r\n" % (number, number) for number in range(5)]
CHANGES = {
    "expunge": lambda inbox: result_of(inbox.expunge([2, 4])),
    "flags": lambda inbox: result_of(inbox.store([2, 4], FlagChange.ADD, ["\\Seen", "work"])),
}
CALLS = ("write", "rename", "fsync", "fchmod", "open", "close", "unlink", "ftruncate", "pread")


def killed_at(step, act):
    """Run *act* in a process that ends, without a word, before its system call number *step*. Whether it came so far."""
    child = os.fork()
    if child == 0:
        left = [step]

        def dying(call):
            def counted(*arguments, **keywords):
                left[0] -= 1
                if left[0] < 0:
                    os._exit(9)
                return call(*arguments, **keywords)

            return counted

        for name in CALLS:
            setattr(os, name, dying(getattr(os, name)))
        try:
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("change", CHANGES)
def test_a_crash_at_any_step_of_a_rewrite_loses_nothing(tmp_path, change):
    first = House(tmp_path / "first")
    first.deliver(*LETTERS)
    first.open().close()
    for store in first.stores:
        store.close()
    step = 0
    while True:
        house = House(tmp_path / str(step))
        shutil.copytree(first.root, house.root)
        has_crashed = killed_at(step, lambda house=house: CHANGES[change](house.open()))
        for lock in house.root.rglob("*.lock"):  # five minutes later
            os.utime(lock, (time.time() - 400,) * 2)
        inbox = house.open()
        kept = dict(result_of(inbox.load(inbox.uids)))
        everything = dict(enumerate(LETTERS, 1))
        after = {uid: everything[uid] for uid in (1, 3, 5)} if change == "expunge" else everything
        assert kept in (everything, after), f"step {step}"
        assert list(inbox.bits) in ([0] * 5, [0, 257, 0, 257, 0], [0] * 3), f"step {step}"
        house.deliver(b"Subject: afterwards\r\n\r\n")
        result_of(inbox.expunge([1]))
        assert not list(house.inbox.parent.glob(".*.new"))
        for store in house.stores:
            store.close()
        if not has_crashed:
            break
        step += 1
    assert step > 20
    assert kept == after


@pytest.mark.parametrize("call", ["write", "rename", "fsync", "fchmod"])
def test_a_rewrite_that_fails_changes_nothing(house, store, monkeypatch, call):
    house.deliver(*LETTERS, store=store)
    inbox, text = house.open(store), house.inbox.read_bytes()
    monkeypatch.setattr(inbox.file, "_fsync", True)

    def failing(*_):
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(boxfile.os, call, failing)
    with pytest.raises(OSError, match="no room"):
        result_of(inbox.expunge([2]))
    monkeypatch.undo()
    assert house.inbox.read_bytes() == text
    assert list(inbox.uids) == [1, 2, 3, 4, 5]
    assert not list(house.inbox.parent.glob(".*.new"))
    assert result_of(inbox.expunge([2])) == [2]


def test_a_delivery_that_cannot_be_made_durable_is_cut_off_again(house, monkeypatch):
    store = house.store(fsync=True)
    house.deliver(LETTERS[0], store=store)
    text = house.inbox.read_bytes()

    def failing(descriptor):
        raise OSError(errno.EIO, "the disk")

    monkeypatch.setattr(boxfile.os, "fsync", failing)
    [error] = result_of(store.deliver([Delivery(ALICE, b"", Memory(LETTERS[1]))]))
    assert error.errno == errno.EIO
    assert house.inbox.read_bytes() == text
    monkeypatch.undo()
    house.deliver(LETTERS[1], store=store)


def test_content_that_cannot_be_read_hinders_no_other(house, store):
    class Torn(Memory):
        def chunks(self):
            yield self.data[:20]
            raise OSError(errno.EIO, "torn")

    deliveries = [Delivery(ALICE, b"", content) for content in (Memory(LETTERS[0]), Torn(LETTERS[1] * 100), Memory(LETTERS[2]))]
    first, second, third = result_of(store.deliver(deliveries))
    assert (first, second.errno, third) == (None, errno.EIO, None)
    inbox = house.open(store)
    assert [content for _, content in result_of(inbox.load(inbox.uids))] == [LETTERS[0], LETTERS[2]]


def test_a_rewrite_keeps_the_mode_and_what_is_no_message(house, store):
    notes = b"From a@b.test Thu Nov 24 18:22:48 2022\nX-IMAP: 1 2\nSubject: DON'T DELETE -- FOLDER INTERNAL DATA\n\nnotes\n\n"
    path = house.given(b"Somebody's text.\n\n" + notes)
    path.chmod(0o640)
    house.deliver(*LETTERS, store=store)
    inbox = house.open(store)
    result_of(inbox.expunge([1, 3]))
    result_of(inbox.store([2], FlagChange.ADD, ["\\Seen"]))
    assert path.read_bytes().startswith(b"Somebody's text.\n\n" + notes)
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(inbox.uids) == [2, 4, 5]


def test_a_file_that_cannot_be_given_back_to_its_owner_is_not_rewritten(house, store, monkeypatch):
    house.deliver(*LETTERS, store=store)
    inbox, text = house.open(store), house.inbox.read_bytes()
    os.chown(house.inbox, 65534 if os.geteuid() == 0 else os.geteuid(), -1)
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")

    def forbidden(*_):
        raise PermissionError(errno.EPERM, "not yours")

    monkeypatch.setattr(boxfile.os, "fchown", forbidden)
    with pytest.raises(PermissionError):
        result_of(inbox.expunge([1]))
    assert house.inbox.read_bytes() == text
    monkeypatch.undo()
    assert result_of(inbox.expunge([1])) == [1]
    assert house.inbox.stat().st_uid == 65534


# ----- what is no mbox

GARBAGE = [
    pytest.param(b"PK\x03\x04" + bytes(range(256)) * 50, id="another-format"),
    pytest.param(b"Subject: a message\n\nbut no From line\n", id="no-from-line"),
    pytest.param(b"\nFrom nobody in particular\n\ntext\n", id="no-date"),
]


@pytest.mark.parametrize("octets", GARBAGE)
def test_what_is_no_mbox_is_left_as_it_is(house, octets):
    path = house.given(octets)
    store = house.store()
    with pytest.raises(StoreError) as caught:
        house.open(store)
    assert caught.value.code == "CORRUPTION"
    [error] = result_of(store.deliver([Delivery(ALICE, b"", Memory(LETTERS[0]))]))
    assert error.errno == errno.EBADMSG
    assert path.read_bytes() == octets
    assert not os.path.exists(f"{path}.lock")


def test_a_mailbox_that_becomes_garbage_while_it_is_open_is_not_touched(house, store):
    house.deliver(*LETTERS, store=store)
    inbox = house.open(store)
    house.inbox.write_bytes(b"garbage\n")
    result_of(store.poll())
    with pytest.raises(StoreError):
        result_of(inbox.expunge([1]))
    assert house.inbox.read_bytes() == b"garbage\n"


def test_a_ledger_that_is_broken_costs_the_uids_and_nothing_else(house):
    store = house.store()
    house.deliver(*LETTERS, store=store)
    inbox = house.open(store)
    result_of(inbox.store([2], FlagChange.ADD, ["\\Flagged", "work"]))
    uidvalidity = inbox.uidvalidity
    store.close()
    for path in house.folders.glob("twistmail-mbox.sqlite*"):
        path.write_bytes(b"garbage" * 1000)
    house.ahead = 10
    again = house.open()
    assert again.uidvalidity > uidvalidity
    assert [content for _, content in result_of(again.load(again.uids))] == LETTERS
    assert again.bits[1] == Flag.FLAGGED | 1 << 8


def test_more_keywords_than_a_mailbox_can_have_stay_in_the_file(house):
    words = [b"word%d" % number for number in range(40)]
    text = b"".join(b"From a@b.test Thu Nov 24 18:22:48 2022\nX-Keywords: %b\nSubject: x\n\n\n" % word for word in words)
    house.given(text)
    inbox = house.open()
    assert len(inbox.keywords) == 26
    result_of(inbox.store(inbox.uids, FlagChange.ADD, ["\\Seen"]))
    written = house.inbox.read_bytes()
    assert [word for word in words if b"X-Keywords: %b\n" % word not in written] == []
