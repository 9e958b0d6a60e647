"""Where mail goes, as the configuration says it: the programs that a server may run, and mail that goes on to somebody here."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from tests.journeys.conftest import build
from tests.journeys.house import House, identifier
from twistmail import assembly, routing
from twistmail.mail.outcome import Result

__all__ = ["build"]

MESSAGE = b"From: ann@blue.test\r\nSubject: x\r\n\r\nhello\r\n"
USER = "games" if os.geteuid() == 0 else ""


def with_programs(build: Any, *commands: str, user: str = USER) -> House:
    """A house whose routes lead to programs p0, p1 and so on, which are those of a server that has just been started."""
    sections = "".join(
        f"[pipe:p{n}]\ncommand = /bin/sh -c '{command}'\nuser = {user}\n[route:p{n}.test]\nvia = pipe:p{n}\n"
        for n, command in enumerate(commands)
    )
    house: House = build(sections)
    piper = routing.piper_of(house.config, None)
    if piper is not None:
        house.foundation.ground = replace(house.foundation.ground, piper=piper)
    house.parts = assembly.build(house.config, house.foundation)
    house.parts.hand_over()
    return house


def results(house: House) -> list[tuple[Result, str]]:
    return [(fact.result, fact.status.enhanced) for fact in house.told() if getattr(fact, "host", "").startswith("program")]


def test_mail_for_a_program_is_given_to_it(build: Any) -> None:
    house = with_programs(build, "exit 0", "echo no such ticket; exit 67", "exit 75")
    for number in range(3):
        identifier(house.submit(MESSAGE, f"x@p{number}.test"))
        house.settle()
    assert results(house) == [(Result.DELIVERED, "2.0.0"), (Result.FAILED, "5.1.1"), (Result.DEFERRED, "4.3.0")]
    (report,) = house.files("ann")
    assert b"no such ticket" in report


@pytest.mark.skipif(os.geteuid() != 0, reason="a server that is root")
@pytest.mark.parametrize("user", ["", "root", "no-such-user"])
def test_a_program_that_may_not_run_makes_its_mail_wait(build: Any, user: str) -> None:
    house = with_programs(build, "exit 0", user=user)
    assert house.foundation.ground.piper is None
    identifier(house.submit(MESSAGE, "x@p0.test"))
    house.settle()
    assert results(house) == [(Result.DEFERRED, "4.3.5")]
