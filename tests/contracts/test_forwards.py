"""What every IForwards promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from tests.helpers import result_of
from twistmail.aliases.forward import written
from twistmail.aliases.own import Folders, OwnForwards
from twistmail.dotfiles_helper import Found
from twistmail.interfaces import IForwards, Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.alias import Final, Goal
from twistmail.memory.people import MemoryForwards
from twistmail.tasks import Inline

ANN = Account("ann@blue.test", uid=1000)
#: By extension.
GOALS: dict[str, tuple[Goal, ...]] = {
    "": (Final(Address("ann")), parse("ann@far.test")),
    "list": (parse("list@far.test"), parse("bob")),
    "empty": (),
}


def memory(folder: Path) -> Any:
    return MemoryForwards({(ANN.name, extension): goals for extension, goals in GOALS.items()})


def homes(folder: Path) -> Any:
    def read(user: int, extension: str) -> Found:
        return Found(place=f"/home/ann/.forward+{extension}", text=written(GOALS.get(extension, GOALS[""]))) if user == 1000 else Found()

    return OwnForwards(Inline(), home=read)


def files(folder: Path) -> Any:
    place = folder / "blue.test" / "ann"
    place.mkdir(parents=True)
    for extension, goals in GOALS.items():
        (place / ("forward" + (f"+{extension}" if extension else ""))).write_text(written(goals))
    return OwnForwards(Inline(), folders=Folders(folder, "%d/%n"))


@pytest.fixture(params=[memory, homes, files])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Account]:
    """The source, and ann as it knows her."""
    make: Callable[[Path], Any] = request.param
    return make(tmp_path), ANN if make is not files else Account(ANN.name)


def test_it_provides_the_interface(made: Any) -> None:
    verifyObject(IForwards, made[0])


@pytest.mark.parametrize(("extension", "expected"), [("", GOALS[""]), ("list", GOALS["list"]), ("other", GOALS[""])])
def test_goals_come_in_the_order_in_which_they_were_written(made: Any, extension: str, expected: tuple[Goal, ...]) -> None:
    forwards, ann = made
    assert result_of(forwards.lookup(ann, extension)).goals == expected


def test_an_empty_one_means_that_the_mail_stays(made: Any) -> None:
    forwards, ann = made
    assert result_of(forwards.lookup(ann, "empty")) is None


def test_of_others_only_what_is_set_for_them_holds(made: Any) -> None:
    forwards, _ = made
    assert result_of(forwards.lookup(Account("bob@blue.test"), "")) is None
    step = result_of(forwards.lookup(Account("bob@blue.test", forward=("bob@far.test",)), ""))
    assert step.goals == (Final(parse("bob@blue.test")), parse("bob@far.test"))
    step = result_of(forwards.lookup(Account("bob@blue.test", forward=("bob@far.test",), keep_copy=False), "x"))
    assert step.goals == (parse("bob@far.test"),)


class TestWhenItIsAway:
    """A forward that cannot be read is never taken for none."""

    def test_memory(self) -> None:
        forwards = MemoryForwards()
        forwards.available = False
        self.is_unavailable(forwards)

    def test_homes(self) -> None:
        self.is_unavailable(OwnForwards(Inline(), home=lambda user, extension: Found(trouble="/home/ann: Stale file handle")))

    @staticmethod
    def is_unavailable(forwards: Any) -> None:
        with pytest.raises(Unavailable):
            result_of(forwards.lookup(ANN, ""))
