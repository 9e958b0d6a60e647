"""What an expansion met on its way, move by move: the values that `expansion` tells and that people are shown."""

from __future__ import annotations

from collections.abc import Sequence

from twistmail.mail.address import Address
from twistmail.mail.alias import Discard, Final, Goal, Refusal, ToFile, ToList, ToProgram
from twistmail.mail.envelope import Target
from twistmail.mail.status import Status
from twistmail.mail.values import frozen


@frozen
class Move:
    """One thing that was looked at on the way.

    `address` is what it was called: the goal itself where that is an address, else the alias whose goal it is. `depth` counts
    the aliases that led here, so that the moves of a walk, in their order, are a tree. `what` says in words what it turned out
    to be; `origin` where that is written ("/etc/aliases:12"), `goals` where it leads on to. `target` is what was found here;
    it may have been found before. `status` is what is said of it where it leads nowhere.
    """

    address: Address
    depth: int
    what: str
    origin: str = ""
    goals: tuple[Goal, ...] = ()
    goal: Goal | None = None  # what stands there, where that is no address
    target: Target | None = None
    status: Status | None = None

    @property
    def name(self) -> str:
        """How it is written."""
        return str(self.address) if self.goal is None else words(self.goal)

    @property
    def text(self) -> str:
        """`what`, and where it is written."""
        return f"{self.what}, {self.origin}" if self.origin else self.what


def above_of(trail: Sequence[Move], place: int) -> Move:
    """The move that led to the one at *place*, which is not the first of *trail*."""
    depth = trail[place].depth
    while trail[place].depth >= depth:
        place -= 1
    return trail[place]


def words(goal: Goal) -> str:
    """*goal* as it would be written in aliases(5)."""
    match goal:
        case Final(address):
            return f"\\{address}"
        case ToFile(path):
            return path
        case ToProgram(command):
            return f"|{command}"
        case Refusal(status):
            return f":{'defer' if status.is_temporary else 'fail'}: {status.text}"
        case ToList(name):
            return f"list:{name}"
        case Discard():
            return ":blackhole:"
    return str(goal)
