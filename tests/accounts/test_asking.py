"""Questions to services elsewhere: patience, bounds, and connections that are kept."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.helpers import result_of
from twistmail import tasks
from twistmail.accounts import asking
from twistmail.accounts.asking import Asking, Connections, Trouble, can_be_asked
from twistmail.interfaces import Unavailable


class Stuck:
    """Threads that never come back; `asked` are the questions."""

    def __init__(self) -> None:
        self.asked: list[Deferred[Any]] = []

    async def run(self, question: Any, *arguments: Any) -> Any:
        self.asked.append(Deferred())
        return await self.asked[-1]


class Queue(Stuck):
    """Threads that are busy until `work`."""

    async def run(self, question: Any, *arguments: Any) -> Any:
        await super().run(question)
        return question(*arguments)

    def work(self) -> None:
        for waiting in self.asked:
            waiting.callback(None)


def outcome(coroutine: Any) -> list[Any]:
    """Filled when *coroutine* has ended."""
    results: list[Any] = []
    tasks.shielded(coroutine).addBoth(results.append)
    return results


def test_a_question_that_takes_too_long_is_weather(logged: list[str]) -> None:
    clock, threads = Clock(), Stuck()
    results = outcome(Asking("the database", clock, threads, 5.0).ask(print))
    clock.advance(4.9)
    assert results == []
    clock.advance(0.2)
    assert isinstance(results[0], Failure)
    assert results[0].check(Unavailable)
    assert logged == ["accounts: no answer from the database: a question to the database took longer than 5 s"]
    threads.asked[0].callback("too late, and no matter")


def test_so_many_questions_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MOST_WAITING", 3)
    clock, threads = Clock(), Stuck()
    made = Asking("the database", clock, threads, 5.0)
    waiting = [outcome(made.ask(print)) for _ in range(3)]
    (refused,) = outcome(made.ask(print))
    assert refused.check(Unavailable)
    threads.asked[0].callback("an answer")
    assert waiting[0] == ["an answer"]
    assert outcome(made.ask(print)) == [], "there is room again"
    clock.advance(6)


def test_a_question_that_nobody_waits_for_any_more_takes_a_place_until_its_thread_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MOST_WAITING", 3)
    clock, threads = Clock(), Stuck()
    made = Asking("the database", clock, threads, 5.0)
    for _ in range(3):
        outcome(made.ask(print))
    clock.advance(6)
    (refused,) = outcome(made.ask(print))
    assert refused.check(Unavailable)
    assert len(threads.asked) == 3
    threads.asked[0].callback("too late")
    assert outcome(made.ask(print)) == [], "there is room again"
    clock.advance(6)


def test_what_comes_to_its_turn_too_late_is_not_asked() -> None:
    clock, threads, asked = Clock(), Queue(), []
    results = outcome(Asking("the database", clock, threads, 5.0).ask(asked.append, "who is ann?"))
    clock.advance(6)
    assert results[0].check(Unavailable)
    threads.work()
    assert asked == []


def test_the_log_hears_of_it_twice_a_minute(logged: list[str]) -> None:
    clock = Clock()
    made = Asking("the database", clock, tasks.Inline(), 5.0)

    def fail() -> None:
        raise Trouble("connection refused")

    for _ in range(120):
        with pytest.raises(Unavailable, match="the database: connection refused"):
            result_of(made.ask(fail))
        clock.advance(0.5)
    assert len(logged) == 2


def test_a_bug_is_no_weather() -> None:
    with pytest.raises(ZeroDivisionError):
        result_of(Asking("it", Clock(), tasks.Inline(), 5.0).ask(lambda: 1 // 0))


class Server:
    """Connections are numbers. `dead` are those that do not work any more."""

    def __init__(self, most: int = 2) -> None:
        self.made = 0
        self.closed: list[int] = []
        self.dead: set[int] = set()
        self.connections = Connections(self.open, self.closed.append, most)

    def open(self) -> int:
        self.made += 1
        return self.made

    def ask(self, connection: int) -> int:
        if connection in self.dead:
            raise Trouble("it is dead")
        return connection


def test_a_connection_is_kept_for_the_next_question() -> None:
    server = Server()
    assert [server.connections.use(server.ask) for _ in range(3)] == [1, 1, 1]
    assert server.closed == []


def test_those_that_have_died_are_closed_and_the_question_is_asked_once_more() -> None:
    server = Server()
    server.connections.use(lambda _: server.connections.use(server.ask))  # two at a time
    server.dead = {1, 2}
    assert server.connections.use(server.ask) == 3
    assert sorted(server.closed) == [1, 2]


def test_a_new_connection_that_does_not_work_is_trouble() -> None:
    server = Server()
    server.dead = {1}
    with pytest.raises(Trouble):
        server.connections.use(server.ask)
    assert server.closed == [1]


def test_no_more_are_kept_than_allowed() -> None:
    server = Server(most=1)
    server.connections.use(lambda _: server.connections.use(server.ask))
    assert server.made == 2
    assert len(server.closed) == 1


def test_who_has_retired_keeps_none() -> None:
    server = Server()
    server.connections.use(server.ask)
    server.connections.retire()
    assert server.closed == [1]
    assert server.connections.use(server.ask) == 2
    assert server.closed == [1, 2]


@pytest.mark.parametrize(("text", "can"), [
    ("ann@here.example", True), ("bjørn@blåbær.example", True), ("", False), ("a\0b", False), ("a\x7f", False), ("a\n", False),
    ("\ud800", False), ("é" * 160, True), ("é" * 161, False),
])  # fmt: skip
def test_what_nobody_can_be_called(text: str, can: bool) -> None:
    assert can_be_asked(text) is can
