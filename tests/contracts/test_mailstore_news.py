"""What every IMailboxes tells those who watch a whole account."""

from __future__ import annotations

import os

import pytest

from tests.contracts.mailstores import ALICE, BOB, PLAIN, MaildirHouse, append, deliver
from tests.helpers import result_of
from twistmail.mail.mailbox import FlagChange, StoreError, TreeChange, TreeEvent


@pytest.fixture
def heard(mailboxes):
    """What is told, as pairs of event and name."""
    news = []
    mailboxes.watch(lambda change: news.append((change.what, change.name)))
    return news


@pytest.mark.parametrize("folder", ["INBOX", "Archive"])
@pytest.mark.parametrize("is_open", [pytest.param(True, id="open"), pytest.param(False, id="closed")])
def test_a_delivery_is_told_whether_or_not_the_mailbox_is_open(store, mailboxes, heard, folder, is_open):
    opened = result_of(mailboxes.open(folder)) if is_open else None
    deliver(store, PLAIN, folder=folder)
    assert heard == [(TreeEvent.ARRIVED, folder)]
    assert (opened is None) or opened.uids


def test_what_sessions_do_to_messages_is_told(mailboxes, heard):
    inbox = result_of(mailboxes.open("INBOX"))
    append(inbox, PLAIN, PLAIN)
    result_of(inbox.store([1], FlagChange.ADD, ("\\Seen",)))
    result_of(inbox.copy([1], "Archive"))
    result_of(inbox.expunge([1]))
    result_of(inbox.move([2], "Trash"))
    assert heard == [
        (TreeEvent.ARRIVED, "INBOX"), (TreeEvent.FLAGGED, "INBOX"), (TreeEvent.ARRIVED, "Archive"), (TreeEvent.EXPUNGED, "INBOX"),
        (TreeEvent.ARRIVED, "Trash"), (TreeEvent.EXPUNGED, "INBOX")]  # fmt: skip


def test_what_happens_to_the_tree_is_told(mailboxes):
    news = []
    mailboxes.watch(news.append)
    result_of(mailboxes.create("a/b"))
    result_of(mailboxes.rename("a", "c"))
    result_of(mailboxes.subscribe("c", True))
    result_of(mailboxes.annotate("c", {"/private/comment": b"x", "/shared/comment": None}))
    result_of(mailboxes.annotate("", {"/shared/admin": b"x"}))
    result_of(mailboxes.subscribe("c", False))
    result_of(mailboxes.delete("c/b"))
    assert news == [
        TreeChange(TreeEvent.CREATED, "a/b"), TreeChange(TreeEvent.RENAMED, "c", "a"), TreeChange(TreeEvent.STIRRED, "c/b"),
        TreeChange(TreeEvent.SUBSCRIBED, "c"), TreeChange(TreeEvent.ANNOTATED, "c", entries=("/private/comment", "/shared/comment")),
        TreeChange(TreeEvent.ANNOTATED, "", entries=("/shared/admin",)), TreeChange(TreeEvent.SUBSCRIBED, "c"),
        TreeChange(TreeEvent.DELETED, "c/b")]  # fmt: skip


def test_what_fails_is_not_told(mailboxes, heard):
    missing = (mailboxes.rename("nothing", "x"), mailboxes.annotate("nothing", {}))
    for wrong in (mailboxes.create("INBOX"), mailboxes.delete("INBOX"), *missing):
        with pytest.raises(StoreError):
            result_of(wrong)
    assert heard == []


def test_what_happens_to_others_is_not_told(store, heard):
    deliver(store, PLAIN, account=BOB)
    result_of(result_of(store.mailboxes(BOB)).create("x"))
    assert heard == []


def test_who_listens_no_more_is_told_nothing(mailboxes):
    first, second = [], []
    for watcher in (first.append, second.append):
        mailboxes.watch(watcher)
    mailboxes.unwatch(first.append)
    mailboxes.unwatch(print)
    result_of(mailboxes.create("x"))
    mailboxes.unwatch(second.append)
    result_of(mailboxes.create("y"))
    assert (first, [change.name for change in second]) == ([], ["x"])


def test_what_others_do_to_a_closed_mailbox_is_noticed(tmp_path):
    """By the directory alone: nothing of it is read."""
    house = MaildirHouse(tmp_path)
    deliver(house.running, PLAIN, folder="Archive")
    mailboxes = result_of(house.running.mailboxes(ALICE))
    result_of(mailboxes.create("Late"))
    heard = []
    mailboxes.watch(heard.append)
    result_of(mailboxes.create("Later"))
    for name in ("Archive", "Later"):
        new = mailboxes.tree.maildir(name).path / "new"
        (new / "1.else.where").write_bytes(PLAIN)
        os.utime(new, ns=(1, 1))
    del heard[:]
    result_of(house.running.poll())
    result_of(house.running.poll())
    assert heard == [TreeChange(TreeEvent.STIRRED, "Archive"), TreeChange(TreeEvent.STIRRED, "Later")]
    assert mailboxes.in_memory == ()
    mailboxes.unwatch(heard.append)
    os.utime(new, ns=(2, 2))
    result_of(house.running.poll())
    assert len(heard) == 2
    house.close()
