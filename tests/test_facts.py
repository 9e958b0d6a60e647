"""Who hears which facts."""

from __future__ import annotations

from typing import Any

import pytest

from twistmail.facts import Closed, Fact, Facts, Line, Queued

CLOSED, LINE, QUEUED = (Fact(1.0, "some", what) for what in (Closed("quit", 1, 2), Line("C", b"NOOP"), Queued(1)))


@pytest.mark.parametrize(("how", "heard"), [
    pytest.param({}, [CLOSED, QUEUED], id="all-but-lines"),
    pytest.param({"lines": True}, [CLOSED, LINE, QUEUED], id="lines-too"),
    pytest.param({"of": (Queued,)}, [QUEUED], id="of-one-kind"),
    pytest.param({"of": (Line, Closed)}, [CLOSED, LINE], id="of-two-kinds"),
])  # fmt: skip
def test_a_listener_hears_what_it_wants_until_it_stops(how: dict[str, Any], heard: list[Fact]) -> None:
    facts, told, others = Facts(), [], []
    stop = facts.listen(told.append, **how)
    facts.listen(others.append)
    for fact in (CLOSED, LINE, QUEUED):
        facts.tell(fact)
    assert told == heard
    assert facts.lines_wanted is (LINE in heard)
    stop()
    assert not facts.lines_wanted
    facts.tell(QUEUED)
    assert told == heard
    assert others == [CLOSED, QUEUED, QUEUED]


def test_who_comes_later_hears_what_comes_later() -> None:
    facts, first, second = Facts(), [], []
    assert not facts.listened
    ends = [facts.listen(first.append)]
    facts.tell(QUEUED)
    ends.append(facts.listen(second.append, of=(Queued,)))
    facts.tell(QUEUED)
    assert (len(first), len(second)) == (2, 1)
    for end in ends:
        end()
    assert not facts.listened


def test_a_listener_that_fails_harms_nobody() -> None:
    facts, told = Facts(), []
    facts.listen(lambda fact: 1 / 0)
    facts.listen(told.append)
    facts.tell(QUEUED)
    assert told == [QUEUED]
