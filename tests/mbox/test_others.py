"""Other programs work on the same file: what they do is seen, UIDs stay, and nobody's mail is lost."""

from __future__ import annotations

import mailbox
import os
import threading
import time

import pytest
from twisted.internet.task import Clock

from tests.helpers import result_of
from tests.mbox.house import ALICE
from twistmail import tasks
from twistmail.formats.locks import MailboxBusy, locked
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Change, Delivery, Flag, FlagChange, NewMessage
from twistmail.mbox import boxfile
from twistmail.mbox.ledger import Ledger
from twistmail.mbox.store import MboxStore
from twistmail.mbox.turns import KEPT, Turns

LETTER = b"Subject: %d\r\n\r\nFrom %d\r\n"
THEIRS = b"From them Thu Nov 24 18:22:48 2022\nSubject: theirs\n\ntext\n\n"


def letters(*numbers):
    return [LETTER % (number, number) for number in numbers]


def in_threads(*functions):
    failures = []

    def guarded(function):
        try:
            function()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def by_python(path, octets):
    """As a program does that uses Python's library: it opens the file anew for each attempt to lock it."""
    while True:
        box = mailbox.mbox(path)
        try:
            box.lock()
        except mailbox.ExternalClashError:
            box.close()
            time.sleep(0.002)
            continue
        try:
            box.add(octets)
            box.flush()
            return
        finally:
            box.unlock()
            box.close()


def test_ten_deliveries_at_once_leave_ten_whole_messages(house):
    """R60. Ten stores, which know nothing of each other."""
    body = b"".join(b"From line %d\r\n" % number for number in range(3000))
    stores = [house.store() for _ in range(10)]
    in_threads(*(lambda n=n, s=s: house.deliver(b"Subject: %d\r\n\r\n" % n + body, store=s) for n, s in enumerate(stores)))
    inbox = house.open()
    assert len(inbox.uids) == 10
    found = sorted(content for _, content in result_of(inbox.load(inbox.uids)))
    assert found == sorted(b"Subject: %d\r\n\r\n" % number + body for number in range(10))
    assert not os.path.exists(f"{house.inbox}.lock")


def test_a_writer_with_locks_and_our_rewrites_lose_nothing(house):
    house.deliver(*letters(0))
    store = house.store()

    def write():
        for number in range(100, 130):
            by_python(house.inbox, b"Subject: %d\n\ntheirs\n" % number)

    def deliver():
        for number in range(200, 230):
            house.deliver(*letters(number), store=house.store())

    def change():
        inbox = house.open(store)
        for number in range(30):
            result_of(inbox.append([NewMessage(Memory(LETTER % (300 + number, 0)))]))
            result_of(inbox.store(inbox.uids[:3], FlagChange.ADD, ["\\Seen"] if number % 2 else ["\\Flagged"]))
            result_of(inbox.expunge(inbox.uids[-1:] if number == 29 else []))

    in_threads(write, deliver, change)
    box = mailbox.mbox(house.inbox, create=False)
    subjects = sorted(int(message["Subject"]) for message in box)
    everybody = {0, *range(100, 130), *range(200, 230), *range(300, 330)}
    assert len(subjects) == 90
    assert len(everybody.difference(subjects)) == 1  # the one that was expunged
    inbox = house.open(store)
    result_of(inbox.refresh())
    assert len(inbox.uids) == 90


# ----- what others have done is told


@pytest.fixture
def inbox(house, store):
    house.deliver(*letters(1, 2, 3), store=store)
    return house.open(store)


def heard_of(store, mailbox):
    heard = []
    mailbox.watch(heard.append)
    result_of(store.poll())
    mailbox.unwatch(heard.append)
    return heard


def test_a_delivery_by_another_program_is_told_at_the_next_poll(house, store, inbox):
    with house.inbox.open("ab") as file:
        file.write(THEIRS)
    assert heard_of(store, inbox) == [Change(arrived=[4])]
    assert result_of(inbox.load([4])) == [(4, b"Subject: theirs\r\n\r\ntext\r\n")]
    assert heard_of(store, inbox) == []


def test_flags_that_another_program_sets_are_told(house, store, inbox):
    text = house.inbox.read_bytes()
    house.inbox.write_bytes(text.replace(b"Subject: 2\n", b"Subject: 2\nStatus: RO\nX-Status: A\nX-Keywords: work\n"))
    assert heard_of(store, inbox) == [Change(flagged=[2])]
    assert inbox.keywords == ["work"]
    assert inbox.bits[1] == Flag.SEEN | Flag.ANSWERED | 1 << 8
    assert inbox.changed_since(inbox.modseqs[0]) == [2]


def test_messages_that_another_program_removes_or_moves_are_known_again(house, store, inbox):
    head, first, _, third = house.inbox.read_bytes().split(b"From MAILER-DAEMON ")
    parts = [b"From MAILER-DAEMON " + part for part in (third, first)]
    house.inbox.write_bytes(head + b"".join(parts) + THEIRS)
    assert heard_of(store, inbox) == [Change(expunged=[2]), Change(arrived=[4])]
    assert result_of(inbox.load([1, 3])) == [(1, LETTER % (1, 1)), (3, LETTER % (3, 3))]


def test_uids_outlive_a_rewrite_that_nobody_saw(house, store, inbox):
    numbers = inbox.uidvalidity, list(inbox.uids)
    inbox.close()
    store.close()
    box = mailbox.mbox(house.inbox, create=False)
    message = box[1]
    message.set_flags("RO")
    box[1] = message
    box.close()
    again = house.open()
    assert (again.uidvalidity, list(again.uids)) == numbers
    assert list(again.bits) == [0, Flag.SEEN, 0]


def test_of_what_has_only_grown_the_tail_is_read(house, store, inbox, monkeypatch):
    size, scanned = house.inbox.stat().st_size, []
    real = boxfile.messages.scan
    monkeypatch.setattr(boxfile.messages, "scan", lambda read_at, end, path, base=0: scanned.append(base) or real(read_at, end, path, base))
    house.deliver(*letters(4), store=house.store())
    result_of(inbox.refresh())
    assert scanned == [size]
    assert list(inbox.uids) == [1, 2, 3, 4]


def test_an_unchanged_file_is_not_read_again_after_a_restart(house, store, inbox, monkeypatch):
    store.close()
    monkeypatch.setattr(boxfile.messages, "scan", lambda *_: pytest.fail("it was scanned"))
    assert list(house.open().uids) == [1, 2, 3]


def test_a_file_that_has_got_longer_in_another_way_is_read_from_the_beginning(house, store, inbox):
    text = house.inbox.read_bytes()
    house.inbox.write_bytes(THEIRS + text)
    result_of(inbox.refresh())
    assert [content.split(b"\r\n")[0] for _, content in result_of(inbox.load(inbox.uids))] == [
        b"Subject: 1", b"Subject: 2", b"Subject: 3", b"Subject: theirs"
    ]  # fmt: skip


def test_a_message_that_goes_on_is_another_message(house, store, inbox):
    with house.inbox.open("ab") as file:
        file.write(b"a line more\n")
    assert heard_of(store, inbox) == [Change(expunged=[3]), Change(arrived=[4])]


def test_our_flags_that_are_not_written_yet_outlive_what_others_do(house):
    clock = Clock()
    store = MboxStore(house.root, clock, tasks.Inline(), fsync=False)
    house.stores.append(store)
    house.deliver(*letters(1, 2), store=store)
    inbox = house.open(store)
    result_of(inbox.store([1], FlagChange.ADD, ["\\Flagged"]))
    assert b"Status" not in house.inbox.read_bytes()
    text = house.inbox.read_bytes()
    house.inbox.write_bytes(text.replace(b"Subject: 2\n", b"Subject: 2\nStatus: RO\n") + THEIRS)
    result_of(store.poll())
    assert list(inbox.bits) == [Flag.FLAGGED, Flag.SEEN, 0]
    clock.advance(10)
    written = house.inbox.read_bytes()
    assert written.count(b"X-Status: F\n") == written.count(b"Status: RO\n") == written.count(b"theirs") == 1


def test_a_folder_that_another_program_deletes_is_gone(house, store):
    house.deliver(*letters(1), store=store, folder="Lists")
    lists = house.open(store, "Lists")
    heard = []
    lists.watch(heard.append)
    (house.folders / "Lists.mbox").unlink()
    result_of(store.poll())
    assert heard == [Change(gone=True)]


def test_files_that_others_put_there_are_folders(house, store, inbox):
    (house.folders / "Old").mkdir()
    (house.folders / "Old" / "Mail.mbox").write_bytes(THEIRS)
    folders = {folder.name: folder for folder in result_of(result_of(store.mailboxes(ALICE)).folders())}
    assert not folders["Old"].selectable
    assert list(house.open(store, "Old/Mail").uids) == [1]


def test_who_changes_nothing_writes_nothing_down(house, store, inbox, monkeypatch):
    inbox.close()
    for name in ("save", "write", "unsaved"):
        monkeypatch.setattr(Ledger, name, lambda *_: pytest.fail("it was written"))
    again = house.open(store)
    result_of(again.load(again.uids))
    again.close()


def test_a_file_that_is_no_mbox_is_looked_at_once(house, store, inbox, monkeypatch):
    house.inbox.write_bytes(b"garbage\n")
    result_of(store.poll())
    scans = []
    monkeypatch.setattr(boxfile.messages, "scan", lambda *_: scans.append(1))
    result_of(store.poll())
    assert scans == []
    assert list(inbox.uids) == [1, 2, 3]


# ----- locks


def test_who_waits_for_a_lock_waits_in_no_thread(house):
    clock = Clock()
    path = house.given(b"")
    turns = Turns(tasks.Inline(), lambda seconds: tasks.sleep(clock, seconds), clock.seconds)
    results = []
    with locked(path):
        running = tasks.shielded(turns.run(path, lambda held: os.fstat(held.descriptor).st_size, exclusive=True))
        running.addBoth(results.append)
        clock.pump([0.1] * 50)
        assert results == []
    clock.advance(1)
    assert results == [0]


def test_waiting_for_a_lock_comes_to_an_end(house):
    clock = Clock()
    path = house.given(b"")
    turns = Turns(tasks.Inline(), lambda seconds: tasks.sleep(clock, seconds), clock.seconds)
    results = []
    with locked(path):
        running = tasks.shielded(turns.run(path, lambda held: 0, exclusive=True, patience=5.0))
        running.addErrback(lambda failure: results.append(failure.type))
        clock.pump([0.1] * 60)
    assert results == [MailboxBusy]


def test_a_delivery_into_a_locked_mailbox_is_for_later(house, monkeypatch):
    clock = Clock()
    store = MboxStore(house.root, clock, tasks.Inline(), fsync=False)
    house.stores.append(store)
    house.deliver(*letters(1), store=store)
    monkeypatch.setattr(store._turns, "seconds", clock.seconds)
    results = []
    with locked(house.inbox):
        tasks.shielded(store.deliver([Delivery(ALICE, b"", Memory(LETTER % (2, 2)))])).addBoth(results.append)
        clock.pump([0.2] * 200)
    [[error]] = results
    assert isinstance(error, MailboxBusy)
    assert house.inbox.read_bytes().count(b"Subject") == 1


def test_a_replaced_file_stays_locked_for_those_who_have_opened_it(house, store, inbox):
    """Else they would add their mail to a file without a name."""
    before = os.open(house.inbox, os.O_RDWR)
    result_of(inbox.expunge([2]))
    with pytest.raises(BlockingIOError):
        os.lockf(before, os.F_TLOCK, 0)
    store._turns.let_go(time.monotonic() + KEPT + 1)
    os.lockf(before, os.F_TLOCK, 0)
    os.close(before)
