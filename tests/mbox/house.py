"""An mbox store on a real directory, without a reactor; another one on the same directory is another process, as it were."""

from __future__ import annotations

import time

from tests.helpers import result_of
from twistmail import tasks
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery
from twistmail.mbox.store import MboxStore

ALICE = "alice@blue.test"


class House:
    def __init__(self, root):
        self.root = root
        self.inbox = root / "mbox/blue.test/alice/INBOX"
        self.folders = root / "mbox/blue.test/alice/folders"
        self.ahead = 0.0
        self.stores = []

    def now(self):
        return time.time() + self.ahead

    def store(self, **settings):
        made = MboxStore(self.root, None, tasks.Inline(), now=self.now, **({"fsync": False} | settings))
        self.stores.append(made)
        return made

    def open(self, store=None, name="INBOX"):
        return result_of(result_of((store or self.store()).mailboxes(ALICE)).open(name))

    def deliver(self, *contents, store=None, folder="INBOX"):
        errors = result_of((store or self.store()).deliver([Delivery(ALICE, b"", Memory(content), folder) for content in contents]))
        assert errors == [None] * len(contents)

    def given(self, octets, name="INBOX"):
        """The file of a mailbox, as another program has written it."""
        path = self.inbox if name == "INBOX" else self.folders / f"{name}.mbox"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)
        return path
