"""Passwords of a class are hashed beside the reactor thread, and each of them once."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from tests.lab.test_owners import ANNA, LAN
from twistmail.accounts import passwords
from twistmail.lab.faults import Board
from twistmail.lab.lan import Lan
from twistmail.lab.offices import PASSWORD
from twistmail.lab.town import Town, Trouble


class Hashing:
    """Stands in for `passwords.hash_password`: what was hashed, and what of it on the reactor thread."""

    def __init__(self) -> None:
        self.hashed: list[str] = []
        self.on_reactor: list[str] = []

    def __call__(self, password: str) -> str:
        self.hashed.append(password)
        if threading.current_thread() is threading.main_thread():
            self.on_reactor.append(password)
        return "{PLAIN}" + password


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> Hashing:
    found = Hashing()
    monkeypatch.setattr(passwords, "hash_password", found)
    return found


@asynccontextmanager
async def started(folder: Path, lan: Lan | None = None) -> AsyncIterator[Town]:
    town = Town(folder, reactor, any_ports=True, lan=lan)
    try:
        await town.start()
        yield town
    finally:
        await town.stop()


@pytest_twisted.ensureDeferred
async def test_a_class_is_hashed_beside_the_reactor_and_nobody_twice(tmp_path: Path, hashing: Hashing) -> None:
    everybody = {PASSWORD, *LAN.passwords.values()}
    async with started(tmp_path, LAN) as town:
        assert (set(hashing.hashed), len(hashing.hashed), hashing.on_reactor) == (everybody, len(everybody), [])
        await town.reset()
        assert len(hashing.hashed) == len(everybody), "a reset needs no new ones"


@pytest_twisted.ensureDeferred
async def test_who_is_there_is_not_hashed_again_and_who_comes_back_is_hashed_beside_the_reactor(tmp_path: Path, hashing: Hashing) -> None:
    async with started(tmp_path, LAN):
        hashing.hashed.clear()
    async with started(tmp_path, LAN) as town:
        assert hashing.hashed == []
        board = Board(town)
        await board.set("unknown-user", ANNA.account)
        await board.clear("unknown-user", ANNA.account)
        assert (hashing.hashed, hashing.on_reactor) == ([ANNA.password], [])
        service = town.service("blue")
        assert service is not None
        assert service.foundation.database.get(ANNA.account) is not None


@pytest_twisted.ensureDeferred
async def test_a_database_that_is_none_is_told_by_the_start(tmp_path: Path) -> None:
    async with started(tmp_path) as town:
        await town.switch_off("blue")
        (tmp_path / "blue" / "data" / "accounts.db").write_bytes(b"no database at all " * 100)
        with pytest.raises(Trouble, match="a database there: file is not a database"):
            await town.switch_on("blue")
