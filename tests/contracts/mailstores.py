"""The stores that keep the promises of IMailStore, each in a house that can start it again; and what the suite says to them."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from tests.helpers import result_of
from twistmail import disk, tasks
from twistmail.facts import Facts
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import FIRST_KEYWORD_BIT, Delivery, Flag, NewMessage, StoreError
from twistmail.mbox.store import MboxStore
from twistmail.memory import store as memory
from twistmail.memory.people import MemoryPeople
from twistmail.servers.imap.sharing.lists import AccessLists
from twistmail.servers.imap.sharing.settings import OPTIONS as SHARING
from twistmail.servers.imap.sharing.sharing import Sharing
from twistmail.store.mailstore import MailStore

ALICE, BOB = "alice@blue.test", "bob@blue.test"
PLAIN = b"From: ann@away.test\r\nSubject: first light\r\n\r\nA line about herons.\r\n"
ENCODED = (
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nw5xiZXIgZGVuIFfDpGxkZXJu\r\n"
)


class House:
    """Stores of one kind, one after another, on the same mail. Time stands still until somebody puts `time` forward."""

    def __init__(self):
        self.time = float(int(time.time()))
        self.limits = {}  # account -> (most octets, most messages)
        self.running = self.made()

    def now(self):
        return self.time

    async def quota_of(self, account):
        return self.limits.get(account, (None, None))

    def restart(self):
        """The store after an orderly end and a new start."""
        self.running.close()
        self.running = self.made()
        return self.running

    def close(self):
        self.running.close()


class MaildirHouse(House):
    def __init__(self, root, committer=None):
        self.root = root
        self.committer = committer or disk.InlineCommitter()
        super().__init__()

    def made(self):
        return MailStore(self.root, None, self.committer, tasks.Inline(), hostname="mx.blue.test", now=self.now, quota_of=self.quota_of)


class MboxHouse(House):
    def __init__(self, root):
        self.root = root
        super().__init__()

    def made(self):
        return MboxStore(self.root, None, tasks.Inline(), now=self.now, quota_of=self.quota_of, fsync=False)


class MemoryHouse(House):
    """Memory outlives no process: its store goes on as it is."""

    def made(self):
        return memory.MailStore(self.now, quota_of=self.quota_of)

    def restart(self):
        return self.running


class SharedStore(memory.MailStore):
    """What users of IMAP are given where mailboxes are shared: each the tree of all that he may see."""

    async def peek(self, account):
        found = await super().peek(account)
        return None if found is None else await self.mailboxes(account)

    async def mailboxes(self, account):
        return self.sharing.tree(account, await super().mailboxes(account), "c1")


class SharedHouse(MemoryHouse):
    def made(self):
        made = SharedStore(self.now, quota_of=self.quota_of)
        people = MemoryPeople(dict.fromkeys((ALICE, BOB), "secret"))
        made.sharing = Sharing(SHARING.defaults(), AccessLists(made), made, people, Facts(), self.now, "blue.test")
        return made


KINDS = {"maildir": MaildirHouse, "mbox": MboxHouse, "memory": lambda root: MemoryHouse(), "shared": lambda root: SharedHouse()}


def message(subject=b"", body=b"text", **fields):
    """A message with the *fields* in the order given; "_" stands for "-"."""
    lines = [b"%b: %b\r\n" % (name.replace("_", "-").encode(), value) for name, value in fields.items()]
    return b"".join([b"Subject: %b\r\n" % subject, *lines, b"\r\n", body, b"\r\n"])


def deliver(store, *contents, folder="INBOX", account=ALICE):
    errors = result_of(store.deliver([Delivery(account, b"", Memory(content), folder) for content in contents]))
    assert errors == [None] * len(contents)


def append(mailbox, *contents, flags=(), date=None):
    return result_of(mailbox.append([NewMessage(Memory(content), tuple(flags), date) for content in contents])).target


def heard_by(mailbox):
    heard = []
    mailbox.watch(heard.append)
    return heard


def folders_of(mailboxes):
    return {folder.name: folder for folder in result_of(mailboxes.folders())}


def code_of(coroutine):
    with pytest.raises(StoreError) as caught:
        result_of(coroutine)
    return caught.value.code


def flags_of(mailbox, uid):
    bits = mailbox.bits[mailbox.uids.index(uid)]
    words = {keyword for number, keyword in enumerate(mailbox.keywords) if bits >> (FIRST_KEYWORD_BIT + number) & 1}
    return Flag(bits & (1 << FIRST_KEYWORD_BIT) - 1), words


def modseq_of(mailbox, uid):
    return mailbox.modseqs[mailbox.uids.index(uid)]


def vanished_since(mailbox, modseq):
    """The UIDs one by one, after a look at how they are told: as ranges that neither overlap nor touch."""
    ranges = result_of(mailbox.vanished_since(modseq))
    assert all(low <= high for low, high in ranges)
    assert all(high + 1 < low for (_, high), (low, _) in pairwise(ranges))
    return [uid for low, high in ranges for uid in range(low, high + 1)]


def told(mailbox, column, *uids):
    """The values of one column, of *uids* or of all messages."""
    rows = result_of(mailbox.rows(uids or tuple(mailbox.uids), (column,)))
    return [value for _, value in rows]


def column_of(mailbox, uid, column):
    [value] = told(mailbox, column, uid)
    return value
