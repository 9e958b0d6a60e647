"""The async tools."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.helpers import result_of
from twistmail import tasks


async def value(of: Any) -> Any:
    return await of if isinstance(of, Deferred) else of


def test_a_shielded_coroutine_runs_at_once_and_its_end_can_be_awaited() -> None:
    waiting: Deferred[int] = Deferred()
    done = tasks.shielded(value(waiting))
    assert not done.called
    waiting.callback(3)
    assert done.result == 3


def test_what_an_awaited_deferred_fails_with_is_raised_where_it_is_awaited() -> None:
    waiting: Deferred[int] = Deferred()

    async def forgiving() -> str:
        try:
            await waiting
        except KeyError:
            return "caught"
        return "missed"

    done = tasks.shielded(forgiving())
    waiting.errback(KeyError())
    assert done.result == "caught"


def test_a_coroutine_that_is_thrown_away_while_it_waits_raises_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """As garbage is at the end of a process: what it closes at its end may be what it waits for."""
    waiting: Deferred[None] = Deferred()
    ended = []

    async def holder() -> None:
        try:
            await waiting
        finally:
            ended.append("closed")
            waiting.errback(ConnectionError("closed"))

    coroutine = holder()
    outcome: list[Any] = []
    tasks.shielded(coroutine).addBoth(outcome.append)
    coroutine.close()
    assert ended == ["closed"]
    assert outcome == []

    waiting = Deferred()
    unwatched = holder()
    monkeypatch.setattr(tasks, "log", None)  # whatever is logged raises
    tasks.go(unwatched, "holding")
    unwatched.close()
    assert ended == ["closed", "closed"]


@pytest.mark.parametrize("start", [tasks.start, tasks.go, lambda coroutine, _: tasks.begun(coroutine)])
def test_what_nobody_will_ever_answer_is_thrown_away_without_an_alarm(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector may begin inside: it comes to what is younger than the last small collection first."""
    alarms: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", alarms.append)
    ended = []

    async def inner() -> None:
        try:
            await Deferred()
        finally:
            ended.append("inner")

    async def outer(waiting: Deferred[None]) -> None:
        try:
            await waiting
            await inner()
        finally:
            ended.append("outer")

    gc.collect()
    waiting: Deferred[None] = Deferred()
    start(outer(waiting), "waiting")
    gc.collect(0)
    waiting.callback(None)
    del waiting
    gc.collect()
    assert ended == ["inner", "outer"]
    assert not alarms


def test_gather_runs_side_by_side_keeps_order_and_waits_for_all_before_it_raises() -> None:
    first: Deferred[int] = Deferred()
    second: Deferred[int] = Deferred()
    done = tasks.shielded(tasks.gather(value(first), value(second), value(3)))
    second.callback(2)
    first.callback(1)
    assert done.result == [1, 2, 3]

    slow: Deferred[int] = Deferred()
    broken: Deferred[int] = Deferred()
    failing = tasks.shielded(tasks.gather(value(broken), value(slow)))
    broken.errback(ValueError("no"))
    assert not failing.called
    slow.callback(1)
    failures: list[Any] = []
    failing.addErrback(failures.append)
    assert failures[0].type is ValueError
    assert result_of(tasks.gather()) == []


def test_a_time_out_is_raised_and_the_late_end_ignored() -> None:
    clock = Clock()
    late: Deferred[int] = Deferred()
    done = tasks.shielded(tasks.with_timeout(clock, 5, value(late), "the answer"))
    clock.advance(6)
    failures: list[Any] = []
    done.addErrback(failures.append)
    assert failures[0].getErrorMessage() == "the answer took longer than 5 s"
    late.callback(1)
    quick = tasks.shielded(tasks.with_timeout(clock, 5, value(1), "the answer"))
    assert quick.result == 1
    assert clock.getDelayedCalls() == []


def test_a_limit_lets_so_many_in_and_the_others_in_order() -> None:
    limit = tasks.Limit(2)
    gates: list[Deferred[None]] = [Deferred() for _ in range(4)]
    entered: list[int] = []

    async def visit(number: int) -> None:
        async with limit:
            entered.append(number)
            await gates[number]

    for number in range(4):
        tasks.start(visit(number), "visit")
    assert entered == [0, 1]
    assert limit.waiting == 2
    gates[1].callback(None)
    assert entered == [0, 1, 2]
    gates[0].callback(None)
    gates[2].callback(None)
    gates[3].callback(None)
    assert entered == [0, 1, 2, 3]
    assert limit.held == 0


@pytest.mark.parametrize("start", [tasks.start, tasks.go])
@pytest.mark.parametrize("waits", [False, True])
def test_a_started_coroutine_that_fails_is_logged_under_its_name(start: Any, waits: bool) -> None:
    from twisted.logger import globalLogPublisher

    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)
    try:

        sheep: Deferred[None] = Deferred()

        async def broken() -> None:
            if waits:
                await sheep
            raise ZeroDivisionError

        started = start(broken(), "counting sheep")
        sheep.callback(None)
        assert started is None or started.result is None
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [event["what"] for event in events if "log_failure" in event] == ["counting sheep"]


def test_behind_the_end_of_the_threads_nothing_runs_and_nobody_is_answered():
    threads = tasks.Threads(None, "few", 1)
    threads.stop()
    done = tasks.shielded(threads.run(pytest.fail, "it must not run"))
    assert not done.called
