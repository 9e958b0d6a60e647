"""Something is broken at random, and the class finds out what: the exercise for the end of a course."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from twistmail import tasks
from twistmail.lab.faults import FAULTS, Board, Fault, NotNow
from twistmail.lab.filters import span
from twistmail.lab.pace import Pace
from twistmail.lab.secret import SOMETHING
from twistmail.lab.talk import NotNow as NotHere
from twistmail.mail.values import frozen

#: Guesses that are remembered.
MOST_GUESSES = 60
#: Seconds between two guesses of one person: there are some eighty things to choose from, and trying all is not finding.
BETWEEN = 10.0


@frozen
class Guess:
    """`owner`: whose (`rules.owner_of`); `words`: what he thinks it is."""

    owner: str
    words: str
    is_right: bool

    @property
    def who(self) -> str:
        """As he is called on the page."""
        return self.owner.partition("@")[0][:6]


class Puzzle:
    """One at a time. Who guesses right ends nothing: others go on, until the teacher tells, or mends everything.

    What is broken is the town's secret: pages and programs that tell what is switched keep it. *seconds*: what time it is.
    """

    def __init__(self, town: Any, chance: random.Random | None = None, seconds: Callable[[], float] | None = None) -> None:
        self._town = town
        self._board = Board(town)
        self._chance = chance or random.SystemRandom()
        self._turn = tasks.Limit(1)  # breaking and mending take a while, and a button is pressed twice
        self._told: tuple[Fault, str] | None = None
        self._guesses: list[Guess] = []
        self._pace = Pace(1, BETWEEN, seconds or town.reactor.seconds)

    @property
    def _broken(self) -> tuple[Fault, str] | None:
        name, place = self._town.secret or ("", "")
        return (FAULTS[name], place) if name else None

    async def begin(self) -> None:
        """Mend everything, then break one thing. NotHere where something is being looked for."""
        async with self._turn:
            if self._broken is not None:
                raise NotHere("something is broken already; tell what it is first")
            self._guesses, self._told = [], None
            try:
                await self._board.clear_all()
                fault, place = self._board.riddle(self._chance)
                self._town.secret = (fault.name, place)
                with self._town.ring.instead("switch", SOMETHING):
                    await self._board.set(fault.name, place)
            except NotNow as trouble:
                self._town.secret = None
                raise NotHere(str(trouble)) from None

    async def end(self) -> None:
        """Tell what it was, and mend it."""
        async with self._turn:
            self._told = self._broken or self._told
            try:
                await self._board.clear_all()
            except NotNow as trouble:
                raise NotHere(str(trouble)) from None

    def guess(self, owner: str, words: str) -> None:
        """*words*: "office-off green". NotHere where nothing is broken, for what is no fault, and for who has guessed just now."""
        name, _, place = words.partition(" ")
        if self._broken is None:
            raise NotHere("nothing is broken now")
        if name not in FAULTS or place not in self._board.places(name):
            raise NotHere("choose one of the list")
        if wait := self._pace.wait(owner):
            raise NotHere(f"one guess in {BETWEEN:.0f} seconds; wait {span(ceil(wait))}, and look meanwhile")
        made = Guess(owner, f"{FAULTS[name].title}: {place}", (name, place) == (self._broken[0].name, self._broken[1]))
        self._guesses = [*self._guesses[1 - MOST_GUESSES :], made]

    def shown(self, owner: str = "") -> Mapping[str, Any]:
        """For the page that *owner* looks at; the answer only when it has been told.

        `guesses`: (who, what he thinks it is, whether he is right), the newest first; until then the words of others are "".
        """
        hidden = self._broken is not None
        guesses = [(one.who, "" if hidden and one.owner != owner else one.words, one.is_right) for one in reversed(self._guesses)]
        choices = [(f"{fault.name} {place}", f"{fault.title}: {place}") for fault in FAULTS.values() if not fault.hidden
                   for place in self._board.places(fault.name)]  # fmt: skip
        return {"running": hidden, "told": self._told, "guesses": guesses, "choices": choices, "between": round(BETWEEN)}
