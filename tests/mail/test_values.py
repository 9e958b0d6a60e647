"""A changed value is what `dataclasses.replace` would make of it; a kind of values is what `dataclass` would make of it."""

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from twistmail.mail.address import Address
from twistmail.mail.item import Item
from twistmail.mail.values import changed, frozen

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


# ----- kinds of values


@frozen
class Letter:
    to: str
    size: int = 0
    flags: list[str] = field(default_factory=list)
    secret: str = field(default="", repr=False)
    seen: bool = field(default=False, compare=False)


@frozen
class Nothing:
    """Has no fields."""


@frozen
class Parcel(Letter):
    """A Letter in all but its kind."""


@frozen
class Heavy(Letter):
    weight: float = 1.0


def kinds():
    """(ours, the same as a dataclass): as classes in the table of a test."""

    def made(decorator):
        @decorator
        class Plain:
            left: int
            right: str = "r"
            rest: list[int] = field(default_factory=list, compare=False)
            hidden: str = field(default="x", repr=False)

        @decorator
        class Empty:
            pass

        @decorator
        class OwnEq:
            left: int

            def __eq__(self, other):
                return isinstance(other, OwnEq)

            def __hash__(self):
                return 7

            def __repr__(self):
                return "own"

        @decorator
        class BelowOwnEq(OwnEq):
            right: int = 0

        @decorator
        class BelowPlain(Plain):
            more: int = 3

        @decorator
        class SamePlain(Plain):
            def __str__(self):
                return "same"

        return Plain, Empty, OwnEq, BelowOwnEq, BelowPlain, SamePlain

    return list(zip(made(frozen), made(dataclass(frozen=True, slots=True)), strict=True))


@pytest.mark.parametrize(("ours", "theirs"), kinds(), ids=lambda kind: kind.__name__)
def test_it_is_what_a_frozen_dataclass_is(ours, theirs):
    required = {"left": 1} if fields(theirs) else {}
    for given in ({}, {"right": "other"}, {"hidden": "y"}, {"rest": [1]}, {"more": 9}, {"left": 2}):
        if not given.keys() <= {one.name for one in fields(theirs)}:
            continue
        mine, other = ours(**required | given), theirs(**required | given)
        assert repr(mine) == repr(other)
        assert (mine == ours(**required)) == (other == theirs(**required))
        assert (hash(mine) == hash(ours(**required))) == (hash(other) == hash(theirs(**required)))
        assert replace(mine, **required) == ours(**given | required)
        assert mine != other
        assert mine != 1
        assert copy.copy(mine) == mine
    assert ours.__match_args__ == theirs.__match_args__
    assert [(one.name, one.type, one.default) for one in fields(ours)] == [(one.name, one.type, one.default) for one in fields(theirs)]
    with pytest.raises(TypeError):
        ours(**required, unknown=1)
    if required:
        with pytest.raises(TypeError, match="left"):
            ours()


def test_nothing_of_it_can_be_changed_and_nothing_added():
    letter = Letter("ann", flags=["x"])
    for name in ("to", "colour"):
        with pytest.raises(FrozenInstanceError, match=name):
            setattr(letter, name, "bob")
        with pytest.raises(FrozenInstanceError, match=name):
            delattr(letter, name)
    assert letter.to == "ann"
    assert not hasattr(letter, "__dict__")


def test_each_gets_a_default_of_its_own():
    assert Letter("ann").flags == []
    assert Letter("ann").flags is not Letter("ann").flags
    given = ["seen"]
    assert Letter("ann", flags=given).flags is given


def test_what_is_kept_out_of_sight_is_not_shown():
    assert repr(Letter("ann", secret="demo")) == "Letter(to='ann', size=0, flags=[], seen=False)"


def test_a_kind_below_is_another_kind_and_shares_what_it_can():
    assert Parcel("ann") != Letter("ann")
    assert Parcel.__init__ is Letter.__init__
    assert Heavy("ann", weight=2.0) != Heavy("ann")
    assert Heavy("ann", 3, weight=2.0).size == 3
    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(Nothing())


def test_it_can_be_taken_apart_and_put_away():
    match Heavy("ann", 3, ["x"], weight=2.0):
        case Letter(to, size):
            assert (to, size) == ("ann", 3)
    for one in (Letter("ann", 3, ["x"], "demo", seen=True), Heavy("ann", weight=2.0), Nothing()):
        assert pickle.loads(pickle.dumps(one)) == one
    assert changed(Letter("ann"), size=9) == Letter("ann", 9)


def test_what_it_would_not_do_is_refused():
    with pytest.raises(TypeError, match="Later"):

        @frozen
        class Later:
            def __post_init__(self):
                raise AssertionError

    with pytest.raises(TypeError, match="Hidden"):

        @frozen
        class Hidden:
            made: int = field(default=0, init=False)

    with pytest.raises(TypeError, match="Named"):

        @frozen
        class Named:
            name: str = field(kw_only=True)
