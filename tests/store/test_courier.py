"""The courier into mailboxes."""

from __future__ import annotations

import errno

import pytest
from zope.interface.verify import verifyObject

from tests.helpers import result_of
from twistmail.facts import Facts, Teller
from twistmail.interfaces import ICourier
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.store.courier import MailboxCourier

ALICE, INFO = Address("alice", "blue.test"), Address("info", "blue.test")
TARGETS = (Target(Kind.MAILBOX, ALICE, INFO, "alice@blue.test"), Target(Kind.MAILBOX, ALICE, ALICE, "alice@blue.test", "Lists"))
BODY = Memory(b"Subject: x\r\n\r\ny\r\n")


def item(sender):
    return Item("6k3fa2-9akq", sender, tuple(Errand(target) for target in TARGETS), 0.0, 1, b"Received: by us\r\n")


class Refuses:
    def __init__(self, *errors):
        self.errors = errors

    async def deliver(self, deliveries):
        return list(self.errors)


@pytest.mark.parametrize(("sender", "path"), [(Address("ann", "away.test"), b"<ann@away.test>"), (None, b"<>")])
def test_every_target_gets_its_copy_with_the_fields_of_the_final_delivery(house, sender, path):
    store = house.store()
    courier = MailboxCourier(store)
    assert verifyObject(ICourier, courier)
    outcomes = result_of(courier.carry(item(sender), TARGETS, BODY))
    assert [(outcome.target, outcome.result, outcome.host) for outcome in outcomes] == [
        (target, Result.DELIVERED, "mailbox alice@blue.test") for target in TARGETS
    ]
    for folder in ("INBOX", "Lists"):
        wanted = b"Return-Path: " + path + b"\r\nDelivered-To: alice@blue.test\r\nReceived: by us\r\n" + BODY.data
        assert result_of(house.open(store, folder).load([1])) == [(1, wanted)]


@pytest.mark.parametrize(
    ("error", "code"),
    [(OSError(errno.ENOSPC, "full"), 452), (OSError(errno.EIO, "broken"), 451), (ValueError("a bug"), 451)],
)
def test_what_stops_the_store_is_told_as_a_temporary_status(error, code):
    outcomes = result_of(MailboxCourier(Refuses(None, error)).carry(item(None), TARGETS, BODY))
    assert [outcome.result for outcome in outcomes] == [Result.DELIVERED, Result.DEFERRED]
    assert outcomes[1].status.code == code


def test_where_each_copy_lies_is_told_before_its_outcome(house):
    facts, told = Facts(), []
    courier = MailboxCourier(house.store(), Teller(facts, lambda: 7.0))
    result_of(courier.carry(item(None), TARGETS, BODY))
    facts.listen(told.append)
    result_of(courier.carry(item(None), TARGETS, BODY))
    assert [(fact.at, fact.about, fact.what.account, fact.what.mailbox, fact.what.uid) for fact in told] == [
        (7.0, "6k3fa2-9akq", "alice@blue.test", "INBOX", 2), (7.0, "6k3fa2-9akq", "alice@blue.test", "Lists", 2)]
    assert all(fact.what.file.startswith("new/") for fact in told)


def test_many_who_get_it_by_one_list_get_the_same_octets():
    told = []

    class Takes:
        async def deliver(self, deliveries):
            told.extend(deliveries)
            return [None] * len(deliveries)

    everybody = Address("all", "blue.test")
    names = [Address(f"user{number}", "blue.test") for number in range(25)]
    targets = (*(Target(Kind.MAILBOX, name, everybody, str(name)) for name in names), Target(Kind.MAILBOX, ALICE, INFO, str(ALICE)))
    result_of(MailboxCourier(Takes()).carry(item(None), targets, BODY))
    assert {delivery.prefix for delivery in told[:-1]} == {b"Return-Path: <>\r\nDelivered-To: all@blue.test\r\nReceived: by us\r\n"}
    assert b"Delivered-To: alice@blue.test" in told[-1].prefix
