"""Maildir users and mbox users in one house: the contract holds for both, and mail goes where its account says."""

from __future__ import annotations

import errno

import pytest
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from tests.helpers import result_of
from twistmail import tasks
from twistmail.by_format import StoreByFormat
from twistmail.interfaces import Unavailable
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery
from twistmail.memory.store import MailStore
from twistmail.store_interfaces import IMailStore

PLAIN = Memory(b"Subject: x\r\n\r\ntext\r\n")
ANN, BOB, EVE = "ann@blue.test", "bob@blue.test", "eve@blue.test"


@pytest.fixture
def stores():
    return {"maildir": MailStore(lambda: 1e9), "mbox": MailStore(lambda: 1e9)}


@pytest.fixture
def store(stores):
    async def format_of(account):
        if account == EVE:
            raise Unavailable("the table is out of reach")
        return "mbox" if account == BOB else "maildir"

    return StoreByFormat(stores, format_of)


def messages(store, account):
    return result_of(result_of(store.mailboxes(account)).status("INBOX")).messages


def test_it_is_a_store(store):
    assert verifyObject(IMailStore, store)


def test_each_delivery_goes_to_the_store_of_its_account(store, stores):
    errors = result_of(store.deliver([Delivery(account, b"", PLAIN) for account in (ANN, BOB, EVE, ANN, "../x@blue.test", BOB)]))
    assert [error and type(error) for error in errors] == [None, None, BlockingIOError, None, ValueError, None]
    assert [messages(stores["maildir"], ANN), messages(stores["mbox"], ANN)] == [2, 0]
    assert [messages(stores["maildir"], BOB), messages(stores["mbox"], BOB)] == [0, 2]
    assert [messages(store, ANN), messages(store, BOB)] == [2, 2]


def test_mail_waits_while_nobody_knows_where_it_belongs(store):
    with pytest.raises(OSError, match="out of reach") as caught:
        result_of(store.mailboxes(EVE))
    assert caught.value.errno == errno.EAGAIN


def test_an_account_is_removed_from_its_own_store_only(store, stores):
    for one in stores.values():
        assert result_of(one.deliver([Delivery(BOB, b"", PLAIN)])) == [None]
    result_of(store.remove_account(BOB))
    assert [messages(stores["maildir"], BOB), messages(stores["mbox"], BOB)] == [1, 0]


def test_a_store_that_is_made_later_is_made_for_the_first_who_has_it_and_for_who_is_called_otherwise():
    async def format_of(account):
        return "mbox" if account == BOB else "maildir"

    made = []

    def make():
        made.append(MailStore(lambda: 1e9))
        return made[-1]

    for act in (
        lambda store: store.deliver([Delivery(ANN, b"", PLAIN), Delivery(BOB, b"", PLAIN)]),
        lambda store: store.rename_account(ANN, EVE),
    ):
        made.clear()
        store = StoreByFormat({"maildir": MailStore(lambda: 1e9)}, format_of, later={"mbox": make})
        result_of(store.deliver([Delivery(ANN, b"", PLAIN)]))
        result_of(store.poll())
        result_of(store.tidy())
        assert made == []
        result_of(act(store))
        assert len(made) == 1
        result_of(store.mailboxes(BOB))
        store.close()
        assert len(made) == 1


def test_a_store_may_be_made_while_another_is_tidied():
    gate: Deferred[None] = Deferred()
    tidied = []

    class Slow(MailStore):
        async def tidy(self):
            await gate
            tidied.append(self)

    async def format_of(account):
        return "mbox" if account == BOB else "maildir"

    store = StoreByFormat({"maildir": Slow(lambda: 1e9)}, format_of, later={"mbox": lambda: MailStore(lambda: 1e9)})
    ending = tasks.shielded(store.tidy())
    result_of(store.deliver([Delivery(BOB, b"", PLAIN)]))
    gate.callback(None)
    result_of(tasks.awaiting(ending))
    assert len(tidied) == 1
