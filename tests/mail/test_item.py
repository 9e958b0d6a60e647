"""An item with many recipients: each outcome finds its own, and the last one settles it."""

from __future__ import annotations

from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result, outcome_of
from twistmail.mail.status import Status

TAKEN = Status(250, "2.0.0", "Taken")


def many(number: int) -> Item:
    names = (Address(f"r{n}", "far.test") for n in range(number))
    return Item("i1", Address("ann", "blue.test"), tuple(Errand(Target(Kind.REMOTE, name, name)) for name in names), 0.0, 0)


def test_an_outcome_changes_its_own_recipient_and_no_other() -> None:
    item = many(3)
    name = Address("r1", "far.test")
    after = item.after(outcome_of(Target(Kind.REMOTE, name, name), TAKEN, "mx.far.test"))
    assert [errand.result for errand in after.errands] == [None, Result.RELAYED, None]
    assert after.errands[0] is item.errands[0]


def test_an_outcome_of_somebody_else_changes_nothing() -> None:
    item, other = many(2), Address("r1", "elsewhere.test")
    assert item.after(outcome_of(Target(Kind.REMOTE, other, other), TAKEN)) == item


def test_it_is_settled_when_the_last_one_is() -> None:
    item = many(3)
    for errand in reversed(item.errands):
        assert not item.is_settled
        item = item.after(outcome_of(errand.target, TAKEN))
    assert item.is_settled
