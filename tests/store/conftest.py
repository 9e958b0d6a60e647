"""A maildir store on a real directory, without a reactor, whose clock can be put forward."""

from __future__ import annotations

import time

import pytest

from tests.helpers import result_of
from twistmail import disk, tasks
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery
from twistmail.store.mailstore import MailStore

ALICE = "alice@blue.test"
PLAIN = b"Subject: plain\r\n\r\nOne line.\r\n"


class House:
    """Stores one after another, or side by side, on one directory."""

    def __init__(self, root):
        self.root = root
        self.maildir = root / "mail/blue.test/alice"
        self.ahead = 0.0
        self.committer = disk.InlineCommitter()
        self.stores = []

    def now(self):
        return time.time() + self.ahead

    def store(self, threads=None):
        """Another process, as it were."""
        made = MailStore(self.root, None, self.committer, threads or tasks.Inline(), hostname="mx.blue.test", now=self.now)
        self.stores.append(made)
        return made

    def open(self, store, name="INBOX"):
        return result_of(result_of(store.mailboxes(ALICE)).open(name))

    def deliver(self, store, *contents, folder="INBOX"):
        return result_of(store.deliver([Delivery(ALICE, b"", Memory(content), folder) for content in contents or (PLAIN,)]))

    def files(self, folder="", which=("new", "cur")):
        return sorted(str(path.relative_to(self.maildir / folder)) for sub in which for path in (self.maildir / folder / sub).iterdir())

    def drop(self, name, data=b"Subject: dropped\n\nBy hand.\n", folder="new"):
        (self.maildir / folder / name).write_bytes(data)
        self.later()

    def later(self):
        """So much later that the directories are quiet."""
        self.ahead += 5

    def lines(self, folder=""):
        return (self.maildir / folder / "dovecot-uidlist").read_bytes().split(b"\n")


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    for store in made.stores:
        store.close()
