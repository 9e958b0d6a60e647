"""Targets with a sender of their own, as lists and owner- aliases give them: what leaves, what lies in a mailbox, who hears of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.helpers import result_of
from tests.leaving.test_departure import LETTER, depart, item, leaving, target, whole
from twistmail.leaving.departure import VerpRules, apart
from twistmail.leaving.reports import SeparateReports
from twistmail.mail.address import parse
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Notify, Recipient, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.status import Status
from twistmail.mailflow import _errands
from twistmail.store.courier import MailboxCourier

OWNER = parse("owner-all@blue.test")
FAILED = Status(550, "5.1.1", "No")


def owned(address: str, front: bytes = b"") -> Target:
    return replace(target(address, "all@blue.test"), sender=OWNER, front=front)


def test_it_is_said_in_the_envelope_and_the_others_keep_theirs() -> None:
    for house in (leaving(mask=None), leaving(), leaving(srs=True)):
        said = depart(house, item("eve@far.test", owned("a@x.test"), target("b@x.test"), owned("c@x.test")))
        assert [(str(one.item.sender), [str(one.address) for one in one.targets]) for one in said] == [
            ("owner-all@blue.test", ["a@x.test", "c@x.test"]), ("eve@far.test", ["b@x.test"])
        ]  # fmt: skip
        assert all(len(one.item.errands) == len(one.targets) for one in said)


def test_it_is_masqueraded_as_any_other() -> None:
    (one,) = depart(leaving(), item("eve@far.test", replace(owned("a@x.test"), sender=parse("owner-all@pc7.lan"))))
    assert str(one.item.sender) == "owner-all@blue.test"


def test_the_null_sender_stays_null() -> None:
    """Else a report that cannot be delivered would be answered by a report."""
    (one,) = depart(leaving(), item(None, owned("a@x.test")))
    assert one.item.sender is None


def test_what_stands_in_front_of_one_stands_in_front_of_nobody_else() -> None:
    sent, content = item("eve@far.test", owned("a@x.test", b"X-For: a\r\n"), owned("b@x.test")), Memory(LETTER)
    for said in (depart(leaving(mask=None), sent), apart(sent, [errand.target for errand in sent.errands], content)):
        assert [one.item.prefix for one in said] == [sent.prefix + b"X-For: a\r\n", sent.prefix]
        assert [one.item.size - sent.size for one in said] == [len(b"X-For: a\r\n"), 0]
        assert {whole(one) for one in said} == {LETTER}


def test_verp_is_for_the_sender_s_own_recipients() -> None:
    rules = VerpRules(frozenset({parse("news@blue.test")}))
    said = depart(leaving(rules=rules), item("news@blue.test", owned("a@x.test"), target("b@x.test"), account="news"))
    assert [str(one.item.sender) for one in said] == ["owner-all@blue.test", "news+b=x.test@blue.test"]


@pytest.mark.parametrize(("sender", "path"), [("eve@far.test", b"<owner-all@blue.test>"), (None, b"<>")], ids=["a-sender", "a-report"])
def test_in_a_mailbox_it_is_the_return_path(sender: str | None, path: bytes) -> None:
    delivered: list[Any] = []

    class Store:
        async def deliver(self, deliveries: Any) -> list[None]:
            delivered.extend(deliveries)
            return [None] * len(deliveries)

    mine = Target(Kind.MAILBOX, parse("bob@blue.test"), parse("all@blue.test"), "bob@blue.test", sender=OWNER)
    plain = replace(mine, account="ann@blue.test", sender=None)
    result_of(MailboxCourier(Store()).carry(item(sender, mine, plain), (mine, plain), Memory(LETTER)))
    assert [one.prefix.partition(b"\r\n")[0] for one in delivered] == [
        b"Return-Path: " + path, b"Return-Path: <%s>" % (sender.encode() if sender else b"")
    ]  # fmt: skip


class Reports:
    """What `queue.reports` is asked for."""

    def __init__(self) -> None:
        self.asked: list[Item] = []

    async def failures(self, item: Item) -> None:
        self.asked.append(item)

    successes = failures

    async def warning(self, item: Item, give_up_at: float) -> None:
        self.asked.append(item)


def failed(sent: Item) -> Item:
    return replace(sent, errands=tuple(replace(errand, result=Result.FAILED, status=FAILED) for errand in sent.errands))


def test_the_owner_hears_of_what_the_list_could_not_reach_and_the_author_of_the_rest() -> None:
    asked = Reports()
    reports = SeparateReports(asked, leaving())
    sent = failed(item("eve@far.test", owned("a@x.test"), target("b@x.test"), owned("c@x.test")))
    result_of(reports.failures(sent))
    rest = replace(sent, errands=tuple(errand for errand in sent.errands if errand.target.sender is None))
    result_of(reports.failures(rest))
    assert [(str(one.sender), [str(e.target.address) for e in one.errands]) for one in asked.asked] == [
        ("owner-all@blue.test", ["a@x.test", "c@x.test"]), ("eve@far.test", ["b@x.test"])
    ]  # fmt: skip
    assert asked.asked[1] is rest, "as always where nobody has a sender of his own"


def test_the_author_is_not_warned_of_members_who_get_it_late() -> None:
    asked = Reports()
    result_of(SeparateReports(asked, leaving()).warning(item("eve@far.test", owned("a@x.test"), target("b@x.test")), 0.0))
    assert [str(errand.target.address) for errand in asked.asked[0].errands] == ["b@x.test"]


def test_what_the_author_asked_for_ends_at_the_owner() -> None:
    """RFC 3461 §5.2.7.3: he hears that it was expanded; failures are the owner's."""
    recipient = Recipient(parse("all@blue.test"), (owned("a@x.test"),), frozenset({Notify.SUCCESS}), "rfc822;all")
    plain, several = _errands(recipient.targets, (recipient,))
    assert plain == Errand(recipient.targets[0])
    assert (several.result, several.notify, several.orcpt) == (Result.EXPANDED, frozenset({Notify.SUCCESS}), "rfc822;all")
