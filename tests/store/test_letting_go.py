"""Files stay open for the accounts that were used last, and for those that somebody looks at; how many look makes no difference."""

from __future__ import annotations

import os

import pytest

from tests.helpers import result_of
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery
from twistmail.store import mailstore

LETTER = b"Subject: plain\r\n\r\nOne line.\r\n"
FEW = 4


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def store(house, monkeypatch):
    monkeypatch.setattr(mailstore, "MOST_WARM_ACCOUNTS", FEW)
    monkeypatch.setattr(mailstore, "MOST_IDLE_MAILBOXES", FEW)
    return house.store()


def deliver(store, name):
    assert result_of(store.deliver([Delivery(f"{name}@blue.test", b"", Memory(LETTER), "INBOX")])) == [None]


def visit(store, name):
    result_of(result_of(store.mailboxes(f"{name}@blue.test")).open("INBOX")).close()


@pytest.mark.parametrize("use", [deliver, visit])
@pytest.mark.parametrize("busy", [0, 20], ids=["nobody-looks", "many-look"])
def test_files_stay_open_for_the_latest_accounts_only(store, use, busy):
    for number in range(busy):
        result_of(result_of(store.mailboxes(f"busy{number}@blue.test")).open("INBOX"))
    for number in range(2 * FEW):
        use(store, f"early{number}")
    before = open_files()
    for number in range(60):
        use(store, f"guest{number}")
    assert open_files() <= before


def test_whoever_is_let_go_of_can_be_used_again(store):
    for turn in range(3):
        for number in range(3 * FEW):
            deliver(store, f"guest{number}")
            inbox = result_of(result_of(store.mailboxes(f"guest{number}@blue.test")).open("INBOX"))
            assert len(inbox.uids) == turn + 1
            inbox.close()
