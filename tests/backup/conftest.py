"""A house with mail in it, the shelf for its backups, and an empty house to restore them into."""

from __future__ import annotations

import secrets
import time

import pytest

from tests.helpers import result_of
from twistmail import disk, tasks
from twistmail.backup.create import Making, back_up_account
from twistmail.backup.manifest import Summary, read_summary, write_summary
from twistmail.backup.restore import Wish, entries_of, restore_account
from twistmail.backup.shelf import Shelf
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery, FlagChange, NewMessage
from twistmail.store.folders import FolderTree, Surroundings
from twistmail.store.mailstore import MailStore
from twistmail.store.names import UniqueNames

ALICE = "alice@blue.test"
LONG_AGO = 1_600_000_000.0


class House:
    """A store below *root*, without a reactor."""

    def __init__(self, root):
        self.root = root
        self.maildir = root / "mail/blue.test/alice"
        self.store = MailStore(root, None, disk.InlineCommitter(), tasks.Inline(), hostname="mx.blue.test")

    @property
    def tree(self):
        fresh = UniqueNames("cli", 1, time.time, secrets.token_bytes)
        return FolderTree(self.maildir, (), Surroundings(time.time, secrets.token_bytes, fresh.fresh))

    def open(self, name="INBOX"):
        box = result_of(result_of(self.store.mailboxes(ALICE)).open(name))
        box.maildir.known = None
        result_of(box.refresh())
        return box

    def append(self, folder, *contents, flags=()):
        messages = [NewMessage(Memory(content), flags, LONG_AGO + place) for place, content in enumerate(contents)]
        return result_of(self.open(folder).append(messages)).target

    def deliver(self, content):
        assert result_of(self.store.deliver([Delivery(ALICE, b"", Memory(content))])) == [None]

    def seen(self, name="INBOX"):
        """{uid: (content, flags, date)}, and UIDVALIDITY."""
        box = self.open(name)
        contents = dict(result_of(box.load(list(box.uids))))
        from twistmail.mail.mailbox import Column
        from twistmail.store import flags

        dates = dict(result_of(box.rows(list(box.uids), (Column.INTERNALDATE,))))
        words = {uid: sorted(flags.words(mask, box.keywords)) for uid, mask in zip(box.uids, box.bits, strict=True)}
        return {uid: (contents[uid], words[uid], dates[uid]) for uid in box.uids}, box.uidvalidity


@pytest.fixture
def house(tmp_path):
    """INBOX with UIDs 1, 3 and 4 (2 was expunged), flags and keywords; Work/Old with one; special uses and subscriptions."""
    made = House(tmp_path / "here")
    made.append("INBOX", *(b"Subject: %d\r\n\r\n%s\r\n" % (n, b"x" * n) for n in (1, 2, 3)))
    box = made.open()
    result_of(box.store([1], FlagChange.ADD, ["\\Seen", "Work"]))
    result_of(box.store([3], FlagChange.ADD, ["\\Flagged", "$Forwarded"]))
    result_of(box.expunge([2]))
    made.deliver(b"Subject: new\r\n\r\nnew\r\n")
    boxes = result_of(made.store.mailboxes(ALICE))
    result_of(boxes.create("Work/Old"))
    result_of(boxes.subscribe("Work/Old", True))
    made.append("Work/Old", b"Subject: old\r\n\r\nold\r\n", flags=("Work",))
    yield made
    made.store.close()


@pytest.fixture
def elsewhere(tmp_path):
    made = House(tmp_path / "there")
    yield made
    made.store.close()


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "backups")


def back_up(house, shelf, now=None, step=lambda count, at: None):
    """A whole backup of the house: its directory."""
    now = now or time.time()
    known = shelf.complete()
    with shelf.being_made(now) as part:
        summary = Summary(now, "mx.blue.test")
        share, problems = back_up_account(house.tree, ALICE, Making(part, known[-1] if known else None, now, step))
        summary.accounts[ALICE] = share
        write_summary(part, summary)
        assert problems == []
        return shelf.finish(part)


def restore(backup, house, wish=None, step=lambda count, at: None, *, dry_run=False):
    """Into the house: the Outcome."""
    found = entries_of(backup, read_summary(backup), ALICE)
    return restore_account(backup, ALICE, found, house.tree, wish or Wish(), step, dry_run=dry_run)
