"""A changed value is what `dataclasses.replace` would make of it."""

from dataclasses import dataclass, replace

import pytest

from twistmail.mail.address import Address
from twistmail.mail.item import Item
from twistmail.mail.values import changed

ITEM = Item("6k3fa2-9akq", Address("ann", "here.example"), (), 1795.5, 10, b"Received: x\r\n", held=True)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"size": 3}, id="one"),
        pytest.param({"id": "other", "via": "smtp:[far.test]", "sender": None}, id="first-last-and-none"),
    ],
)
def test_it_is_as_replaced(fields):
    assert changed(ITEM, **fields) == replace(ITEM, **fields)
    assert ITEM.size == 10


def test_a_field_that_is_not_there_is_an_error():
    with pytest.raises(KeyError, match="colour"):
        changed(ITEM, colour="red")


def test_every_kind_has_its_own_fields():
    @dataclass(frozen=True, slots=True)
    class Pair:
        left: int
        right: int = 2

    assert changed(Pair(1), right=3) == Pair(1, 3)
    assert changed(ITEM, body="7BIT").body == "7BIT"
