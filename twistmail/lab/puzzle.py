"""Something is broken at random, and the class finds out what: the exercise for the end of a course."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from twistmail import tasks
from twistmail.lab.faults import FAULTS, Board, Fault, NotNow
from twistmail.lab.secret import SOMETHING
from twistmail.lab.talk import NotNow as NotHere

#: Guesses that are remembered.
MOST_GUESSES = 60


class Puzzle:
    """One at a time. Who guesses right ends nothing: others go on, until the teacher tells, or mends everything.

    What is broken is the town's secret: pages and programs that tell what is switched keep it.
    """

    def __init__(self, town: Any, chance: random.Random | None = None) -> None:
        self._town = town
        self._board = Board(town)
        self._chance = chance or random.SystemRandom()
        self._turn = tasks.Limit(1)  # breaking and mending take a while, and a button is pressed twice
        self._told: tuple[Fault, str] | None = None
        self._guesses: list[tuple[str, str, bool]] = []  # who, what, whether it is so

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

    def guess(self, who: str, words: str) -> None:
        """*words*: "office-off green". NotHere where nothing is broken, or for what is no fault."""
        name, _, place = words.partition(" ")
        if self._broken is None:
            raise NotHere("nothing is broken now")
        if name not in FAULTS or place not in self._board.places(name):
            raise NotHere("choose one of the list")
        fault, where = self._broken
        self._guesses = [*self._guesses[1 - MOST_GUESSES :], (who, f"{FAULTS[name].title}: {place}", (name, place) == (fault.name, where))]

    def shown(self) -> Mapping[str, Any]:
        """For the page; the answer only when it has been told."""
        choices = [(f"{fault.name} {place}", f"{fault.title}: {place}") for fault in FAULTS.values() if not fault.hidden
                   for place in self._board.places(fault.name)]  # fmt: skip
        return {"running": self._broken is not None, "told": self._told, "guesses": self._guesses[::-1], "choices": choices}
