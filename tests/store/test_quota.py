"""How a quota is kept where others change the same folders: counted again when there seems to be no room, but not each time."""

from __future__ import annotations

import errno

import pytest

from tests.helpers import result_of
from tests.store.conftest import ALICE, PLAIN
from twistmail import disk, tasks
from twistmail.store.mailboxes import RECOUNTED_AFTER, Mailboxes
from twistmail.store.mailstore import MailStore


@pytest.fixture
def store(house):
    """A store in which an account may hold two messages."""

    async def two(_):
        return None, 2

    made = MailStore(house.root, None, disk.InlineCommitter(), tasks.Inline(), now=house.now, quota_of=two)
    house.stores.append(made)
    return made


@pytest.fixture
def counts(monkeypatch):
    """How often an account was counted."""
    made, counted = [], Mailboxes._counted

    def count(mailboxes):
        made.append(mailboxes.account)
        return counted(mailboxes)

    monkeypatch.setattr(Mailboxes, "_counted", count)
    return made


def test_mail_that_others_have_removed_makes_room(house, store):
    assert house.deliver(store, PLAIN, PLAIN) == [None, None]
    (house.maildir / house.files()[0]).unlink()
    assert house.deliver(store) == [None]
    assert result_of(result_of(store.mailboxes(ALICE)).quota()).messages == 2


def test_a_full_account_is_not_counted_for_each_message_that_comes(house, store, counts):
    house.deliver(store, PLAIN, PLAIN)
    refused = [error.errno for _ in range(50) for error in house.deliver(store)]
    assert refused == [errno.EDQUOT] * 50
    assert counts == [ALICE] * 2
    (house.maildir / house.files()[0]).unlink()
    house.ahead += RECOUNTED_AFTER
    assert house.deliver(store) == [None]
    assert counts == [ALICE] * 3
