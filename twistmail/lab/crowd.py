"""Thirty students at once: letters over real connections, so many at a time, and how far that is.

The letters are submitted as everybody's are. Rounds are bounded, and a second one does not begin before the first has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twistmail import tasks
from twistmail.lab.driver import Driver
from twistmail.lab.lesson import Act
from twistmail.lab.talk import NotNow

MOST_STUDENTS, MOST_LETTERS, AT_ONCE = 60, 20, 10


@dataclass
class Round:
    """`wanted` letters; of these `sent` were accepted and `failed` were not, lately because of `trouble`. Seconds of the real clock."""

    wanted: int = 0
    sent: int = 0
    failed: int = 0
    trouble: str = ""
    began: float = 0.0
    ended: float = 0.0

    @property
    def is_over(self) -> bool:
        return self.sent + self.failed >= self.wanted


class Crowd:
    """*driver* sends; everybody writes to somebody of the next office."""

    def __init__(self, town: Any, driver: Driver) -> None:
        self._town = town
        self._driver = driver
        self.round = Round()

    async def write(self, students: int = 30, letters: int = 3) -> None:
        """So many students write so many letters each. NotNow as `check` says it."""
        self.check(students, letters)
        acts = [self._letter(student, letter) for letter in range(letters) for student in range(students)]
        self.round = Round(len(acts), began=self._town.reactor.seconds())
        turns = tasks.Limit(AT_ONCE)
        try:
            await tasks.gather(*(self._one(act, turns) for act in acts))
        finally:
            self.round.ended = self._town.reactor.seconds()

    def check(self, students: int, letters: int) -> None:
        """NotNow while the last round is under way, and where it would be too much."""
        if not self.round.is_over:
            raise NotNow("the last round is still under way")
        if not 1 <= students <= MOST_STUDENTS or not 1 <= letters <= MOST_LETTERS:
            raise NotNow(f"1 to {MOST_STUDENTS} students, 1 to {MOST_LETTERS} letters each")

    def _letter(self, student: int, letter: int) -> Act:
        accounts = [(office, account) for office in self._town.offices for account in office.accounts]
        office, sender = accounts[student % len(accounts)]
        others = [account for other, account in accounts if other is not office]
        recipient = others[(student + letter) % len(others)]
        return Act("send", (f"from={sender}", f"to={recipient}", f"subject=Student {student + 1}, letter {letter + 1}"))

    async def _one(self, act: Act, turns: tasks.Limit) -> None:
        round = self.round
        async with turns:
            try:
                await self._driver.do(act)
                round.sent += 1
            except NotNow as trouble:
                round.failed += 1
                round.trouble = str(trouble)
