"""What is remembered of logins, and what never is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import argon2
import pytest

from tests.helpers import result_of
from twistmail import tasks
from twistmail.accounts import passwords, verified
from twistmail.accounts.verified import LIFETIME, Verifier
from twistmail.interfaces import Unavailable

QUICK = argon2.PasswordHasher(1, 8, 1)
STORED = QUICK.hash("secret")


class CountingThreads:
    """Runs at once, and notes what it compared."""

    def __init__(self) -> None:
        self.compared: list[str] = []

    async def run(self, function: Callable[..., Any], stored: str, *rest: str) -> Any:
        self.compared.append(stored)
        return function(stored, *rest)


class Bench:
    def __init__(self, **settings: Any) -> None:
        self.time = 0.0
        self.threads = CountingThreads()
        self.verifier = Verifier(self.threads, lambda: self.time, b"k" * 32, **settings)

    def matches(self, stored: str, password: str) -> bool:
        return result_of(self.verifier.matches(stored, password))


def test_a_right_password_is_compared_once_a_minute() -> None:
    bench = Bench()
    assert all(bench.matches(STORED, "secret") for _ in range(3))
    assert len(bench.threads.compared) == 1
    bench.time = LIFETIME
    assert bench.matches(STORED, "secret")
    assert len(bench.threads.compared) == 2


def test_a_wrong_password_is_compared_every_time_even_after_a_right_one() -> None:
    bench = Bench()
    assert bench.matches(STORED, "secret")
    assert not any(bench.matches(STORED, "wrong") for _ in range(3))
    assert len(bench.threads.compared) == 4


def test_a_changed_password_is_noticed_at_once() -> None:
    bench = Bench()
    assert bench.matches(STORED, "secret")
    assert not bench.matches(QUICK.hash("other"), "secret")


def test_the_same_password_of_somebody_else_is_not_known() -> None:
    bench = Bench()
    bench.matches(STORED, "secret")
    bench.matches(QUICK.hash("secret"), "secret")
    assert len(bench.threads.compared) == 2


@pytest.mark.parametrize("stored", [
    pytest.param("", id="nobody"),
    pytest.param("{PLAIN}secret", id="kept-in-clear"),
    pytest.param("{SSHA}28TrVrTIkN1y8O6uQtPQjK9sRKJzYWx0", id="kept-as-a-quick-hash"),
])
def test_who_is_unknown_or_quickly_compared_costs_a_comparison_when_wrong(stored: str) -> None:
    bench = Bench()
    assert not bench.matches(stored, "wrong")
    assert bench.threads.compared == [passwords.NOBODYS]


def test_what_is_quickly_compared_is_right_at_once() -> None:
    bench = Bench()
    assert bench.matches("{PLAIN}secret", "secret")
    assert bench.matches("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret")
    assert bench.threads.compared == []


def test_a_hash_that_mixes_in_the_name_is_compared_for_that_name() -> None:
    bench = Bench()
    stored = passwords.hash_password("secret", "DIGEST-MD5", "ann@here.example")
    assert result_of(bench.verifier.matches(stored, "secret", "ann@here.example"))
    assert not result_of(bench.verifier.matches(stored, "secret", "bob@here.example"))


def test_no_password_makes_anybody_of_nobody() -> None:
    bench = Bench()
    assert not bench.matches("", "")
    assert not bench.matches("", "nobody")


def test_memory_is_bounded() -> None:
    bench = Bench(most_pairs=3)
    for number in range(10):
        assert bench.matches(QUICK.hash(str(number)), str(number))
    assert len(bench.verifier._until) == 3


def test_a_crowd_is_told_to_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "MOST_WAITING", 1)
    waiting: list[tasks.Deferred[bool]] = []

    class Stuck:
        async def run(self, *args: Any) -> bool:
            waiting.append(tasks.Deferred())
            return await waiting[-1]

    verifier = Verifier(Stuck(), lambda: 0.0, b"k" * 32)
    asked = [tasks.shielded(verifier.matches(STORED, str(number))) for number in range(3)]
    with pytest.raises(Unavailable):
        result_of(verifier.matches(STORED, "one more"))
    while waiting:
        waiting.pop().callback(True)
    assert all(one.result for one in asked)


def test_a_program_that_opens_many_connections_at_once_pays_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[tasks.Deferred[bool]] = []

    class Slow:
        async def run(self, *args: Any) -> bool:
            waiting.append(tasks.Deferred())
            return await waiting[-1]

    verifier = Verifier(Slow(), lambda: 0.0, b"k" * 32)
    asked = [tasks.shielded(verifier.matches(STORED, "secret")) for _ in range(5)]
    stranger = tasks.shielded(verifier.matches(STORED, "wrong"))
    assert len(waiting) == 2
    for one in waiting[:2]:
        one.callback(True)
    assert [one.result for one in asked] == [True] * 5
    assert len(waiting) == 3
    waiting[2].callback(False)
    assert stranger.result is False
