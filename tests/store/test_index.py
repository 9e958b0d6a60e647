"""The index is a convenience: whatever becomes of it, mailboxes say what lies on the disk."""

from __future__ import annotations

import errno
import sqlite3
from dataclasses import replace

import pytest

from tests.contracts.mailstores import vanished_since
from tests.helpers import result_of
from twistmail.mail import mime
from twistmail.mail.mailbox import Column, FlagChange, SortKey
from twistmail.store import blocks, loading, writing
from twistmail.store.database import FILE

LETTERS = [b"Subject: letter %d\r\n\r\nText.\r\n" % number for number in range(240)]


@pytest.fixture
def small(monkeypatch):
    """Blocks of few messages, two of them in a transaction."""
    monkeypatch.setattr(blocks, "MOST", 12)
    monkeypatch.setattr(loading, "MOST", 12)
    monkeypatch.setattr(writing, "TOGETHER", 2)


@pytest.fixture
def listings(monkeypatch):
    """One entry for each time that a mailbox was listed."""
    seen = []
    listing = loading.Maildir.listing
    monkeypatch.setattr(loading.Maildir, "listing", lambda self, *which: seen.append(self.path.name) or listing(self, *which))
    return seen


def contents(mailbox):
    """What a mailbox says of all its messages."""
    loaded = dict(result_of(mailbox.load(list(mailbox.uids))))
    return [(uid, bits, loaded.get(uid)) for uid, bits in zip(mailbox.uids, mailbox.bits, strict=True)]


def quiet(house, mailbox):
    """So that the index may believe that it has seen everything."""
    house.later()
    result_of(mailbox.refresh())


def test_a_mailbox_that_is_mostly_holes_is_divided_anew(house, small, listings):
    store = house.store()
    house.deliver(store, *LETTERS)
    inbox = house.open(store)
    result_of(inbox.expunge([uid for uid in inbox.uids if uid % 12 != 1]))
    quiet(house, inbox)
    expected = contents(inbox)
    for _ in range(3):
        house.stores.pop().close()
        del listings[:]
        inbox = house.open(house.store())
        assert listings == []
        assert contents(inbox) == expected


def test_an_index_that_is_thrown_away_for_one_mailbox_is_built_anew_for_all(house, small):
    store = house.store()
    house.deliver(store, *LETTERS[:20])
    house.deliver(store, *LETTERS[:20], folder="Sent")
    for name in ("INBOX", "Sent"):
        quiet(house, house.open(store, name))
    house.stores.pop().close()
    store = house.store()
    inbox = house.open(store)
    with sqlite3.connect(house.maildir / FILE) as database:
        [number] = database.execute("SELECT id FROM mailbox WHERE directory = '.Sent'").fetchone()
        database.execute("UPDATE block SET sizes = x'00' WHERE id >> 32 = ?", (number,))
    database.close()
    assert len(house.open(store, "Sent").uids) == 20
    result_of(inbox.store([3], FlagChange.ADD, ["\\Seen"]))
    quiet(house, inbox)
    expected = contents(inbox)
    order = list(result_of(inbox.sort(inbox.uids, [(SortKey.SUBJECT, True)])))
    assert order == sorted(inbox.uids, key=lambda uid: str(uid - 1), reverse=True)
    house.stores.pop().close()
    assert contents(house.open(house.store())) == expected


@pytest.mark.parametrize("orderly", [True, False], ids=["orderly-end", "crash"])
def test_what_could_not_be_removed_has_not_vanished(house, monkeypatch, orderly):
    store = house.store()
    house.deliver(store, *LETTERS[:20])
    inbox = house.open(store)
    before = inbox.highest_modseq

    def fails(*_):
        result_of(inbox.save())
        raise OSError(errno.EIO, "the disk fails")

    monkeypatch.setattr(inbox.maildir, "remove", fails)
    with pytest.raises(OSError, match="the disk fails"):
        result_of(inbox.expunge([2, 3]))
    if orderly:
        house.stores.pop().close()
    again = house.open(house.store())
    assert list(again.uids) == list(range(1, 21))
    assert set(again.uids).isdisjoint(vanished_since(again, before))
    assert set(again.changed_since(before)) >= {2, 3}


def test_sorting_does_not_rest_on_what_could_not_be_kept(house):
    store = house.store()
    house.deliver(store, *LETTERS[99:9:-1])
    inbox = house.open(store)
    result_of(inbox.save())
    with sqlite3.connect(house.maildir / FILE) as database:
        database.execute("CREATE TRIGGER full BEFORE INSERT ON summary BEGIN SELECT RAISE(FAIL, 'disk full'); END")
    database.close()
    assert list(result_of(inbox.sort(inbox.uids, [(SortKey.SUBJECT, False)]))) == sorted(inbox.uids, reverse=True)
    assert result_of(inbox.header_search(inbox.uids, "subject", "letter 10")) == {90}
    assert list(result_of(inbox.sort(inbox.uids, [(SortKey.SUBJECT, True)]))) == list(inbox.uids)


def test_nothing_that_was_said_of_a_deleted_mailbox_is_said_of_the_next(house):
    store = house.store()
    mailboxes = result_of(store.mailboxes("alice@blue.test"))
    result_of(mailboxes.create("A"))
    house.deliver(store, LETTERS[1], folder="A")
    old = house.open(store, "A")

    def described(content):
        """Somebody deletes the mailbox, just then."""
        result_of(mailboxes.delete("A"))
        return mime.describe(content)

    store._workshop = replace(store._workshop, describe=described)
    old._workshop = store._workshop
    result_of(old.rows([1], (Column.ENVELOPE,)))
    result_of(mailboxes.create("A"))
    house.deliver(store, LETTERS[2], folder="A")
    [(_, envelope)] = result_of(house.open(store, "A").rows([1], (Column.ENVELOPE,)))
    assert b"letter 2" in envelope
    assert result_of(old.rows([1], (Column.ENVELOPE,))) == []
