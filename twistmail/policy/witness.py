"""A pipeline that remembers who said what: for mail that is only rehearsed (`twistmail explain`).

Its answers are those of every other pipeline; beside that each stage of a point
is asked, also behind the one that has decided, so that all objections are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twistmail.interfaces import Edit, IPolicyStage, Point
from twistmail.mail.envelope import Fate, Transaction
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.policy.pipeline import Opinion, Pipeline
from twistmail.tasks import Deferred

FATES = {Fate.USUAL: "", Fate.HOLD: "held", Fate.DISCARD: "thrown away"}


@frozen
class Said:
    """What one stage has said: `verdict` in words, "" where it had no opinion. `decides`: the answer hangs on it."""

    point: Point
    stage: str
    verdict: str = ""
    rule: str = ""
    decides: bool = False


class Witness(Pipeline):
    """`said` is everything that was said, in order."""

    def __init__(self, stages: Sequence[IPolicyStage], clock: Any, timeout: float = 30.0) -> None:
        super().__init__(stages, clock, timeout)
        self.said: list[Said] = []

    async def ask(self, point: Point, *about: Any) -> Opinion | None:
        opinions, decided = await self.consult(point, *about)
        is_refused = decided is not None and decided.status is not None and not decided.status.is_positive
        for place, (_, opinion) in enumerate(opinions, len(self.said) - len(opinions)):
            if is_refused and opinion is decided:
                self.said[place] = replace(self.said[place], decides=True)
        return decided

    async def examine(self, transaction: Transaction) -> tuple[Opinion | None, bytes, Transaction]:
        found = await super().examine(transaction)
        if found[0] is not None and found[0].status is not None and not found[0].status.is_positive:
            self.said[-1] = replace(self.said[-1], decides=True)
        return found

    def _judge(self, stage: IPolicyStage, about: tuple[Any, ...]) -> Any:
        verdict = super()._judge(stage, about)
        return verdict if isinstance(verdict, Deferred) else self._noted(stage, verdict)

    async def _wait(self, stage: IPolicyStage, verdict: Deferred[Any]) -> Any:
        return self._noted(stage, await super()._wait(stage, verdict))

    def _noted(self, stage: IPolicyStage, verdict: Any) -> Any:
        rule = "" if verdict is None or isinstance(verdict, Status) else verdict.rule
        self.said.append(Said(stage.point, stage.name, _words(verdict), rule))
        return verdict


def _words(verdict: Any) -> str:
    """"" without an opinion; the answer to the peer; or what becomes of the message."""
    if verdict is None:
        return ""
    if isinstance(verdict, Status):
        return str(verdict)
    words = [FATES[verdict.fate]]
    if isinstance(verdict, Edit):
        words += ["changes the header" if verdict.header is not None else "", "adds fields" if verdict.prepend else ""]
    else:
        words.insert(0, str(verdict.status or ""))
    return ", ".join(filter(None, words))
