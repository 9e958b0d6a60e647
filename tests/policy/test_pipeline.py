"""The pipeline: who decides, by which rule, and what becomes of a message that nobody refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.helpers import result_of
from twistmail.interfaces import Edit, Point, Verdict
from twistmail.mail.envelope import Fate, Peer, Transaction
from twistmail.mail.status import Status
from twistmail.policy.pipeline import Opinion, Pipeline

NO = Status(550, "5.7.1", "No")
YES = Status(250, "2.1.0", "Yes")
TRANSACTION = Transaction(Peer("c1", "192.0.2.7", 1), "t1", 0.0, None, header=b"A: b\r\n")


class Stage:
    def __init__(self, name: str, point: Point, verdict: Any) -> None:
        self.name, self.point, self.verdict = name, point, verdict
        self.asked = 0
        self.is_gate = False

    async def judge(self, *about: Any) -> Any:
        self.asked += 1
        return self.verdict


@pytest.mark.parametrize(
    ("verdicts", "opinion"),
    [
        pytest.param([None, None], None, id="nobody-minds"),
        pytest.param([None, NO], Opinion("b", NO), id="one-refuses"),
        pytest.param([Verdict(NO, "file:3"), YES], Opinion("a", NO, "file:3"), id="the-first-decides-and-says-why"),
        pytest.param([YES, NO], Opinion("a", YES), id="a-positive-word-ends-the-questions"),
        pytest.param([Verdict(None, "x", Fate.HOLD), NO], Opinion("b", NO), id="who-holds-does-not-keep-others-from-refusing"),
        pytest.param([Verdict(None, "x", Fate.HOLD), None], Opinion("a", None, "x", Fate.HOLD), id="held"),
        pytest.param([Verdict(None, "x", Fate.HOLD), YES], Opinion("a", YES, "x", Fate.HOLD), id="who-accepts-frees-nobody-from-it"),
        pytest.param(
            [Verdict(None, "x", Fate.HOLD), Verdict(None, "y", Fate.DISCARD)], Opinion("b", None, "y", Fate.DISCARD), id="the-gravest-fate"
        ),
    ],
)
def test_who_decides(verdicts: list[Any], opinion: Opinion | None) -> None:
    stages = [Stage(name, Point.SENDER, verdict) for name, verdict in zip("ab", verdicts, strict=True)]
    assert result_of(Pipeline(stages, Clock()).ask(Point.SENDER, TRANSACTION)) == opinion


def test_a_message_keeps_the_gravest_fate_and_all_edits() -> None:
    stages = [
        Stage("a", Point.MESSAGE, Verdict(None, "words", Fate.DISCARD)),
        Stage("b", Point.MESSAGE, Edit(prepend=b"X: 1\r\n", header=b"C: d\r\n")),
        Stage("c", Point.MESSAGE, Verdict(None, "", Fate.HOLD)),
        Stage("d", Point.MESSAGE, Edit(prepend=b"Y: 2\r\n")),
    ]
    opinion, prepend, judged = result_of(Pipeline(stages, Clock()).examine(TRANSACTION))
    assert opinion is None
    assert prepend == b"Y: 2\r\nX: 1\r\n"
    assert (judged.header, judged.fate, judged.fate_reason) == (b"C: d\r\n", Fate.DISCARD, "a: words")


HELD, THROWN_AWAY = Verdict(None, "x", Fate.HOLD), Verdict(None, "y", Fate.DISCARD)
SAYINGS = st.sampled_from([None, NO, YES, HELD, THROWN_AWAY, Verdict(YES, "z"), Verdict(None, "w")])


@given(st.lists(st.tuples(SAYINGS, st.booleans()), max_size=6))
def test_to_consult_is_to_ask_and_to_hear_everybody(said: list[tuple[Any, bool]]) -> None:
    stages = []
    for number, (verdict, is_gate) in enumerate(said):
        stages.append(Stage(str(number), Point.RECIPIENT, verdict))
        stages[-1].is_gate = is_gate
    pipeline = Pipeline(stages, Clock())
    asked = result_of(pipeline.ask(Point.RECIPIENT, TRANSACTION, None))
    everybody, decided = result_of(pipeline.consult(Point.RECIPIENT, TRANSACTION, None))
    assert decided == asked
    assert [name for name, _ in everybody] == [stage.name for stage in stages]
    assert [opinion is None for _, opinion in everybody] == [verdict is None for verdict, _ in said]


def test_a_gate_is_asked_though_another_has_accepted_and_others_are_not() -> None:
    stages = [Stage("a", Point.RECIPIENT, YES), Stage("b", Point.RECIPIENT, NO), Stage("c", Point.RECIPIENT, NO)]
    stages[2].is_gate = True
    assert result_of(Pipeline(stages, Clock()).ask(Point.RECIPIENT, TRANSACTION, None)) == Opinion("c", NO)
    assert stages[1].asked == 0
