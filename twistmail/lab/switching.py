"""The switch board as lessons name it: `switch: office-off green on`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twistmail.lab import faults
from twistmail.lab.faults import Board
from twistmail.lab.talk import NotNow


def switcher(town: Any) -> Callable[[Sequence[str], bool], Awaitable[None]]:
    """What breaks (on) or mends what words name: a fault and its place. "everything" with off mends all."""
    board = Board(town)

    async def switch(words: Sequence[str], on: bool) -> None:
        try:
            if list(words) == ["everything"] and not on:
                await board.clear_all()
                return
            name, place = words
            await (board.set if on else board.clear)(name, place)
        except (faults.NotNow, ValueError) as trouble:
            raise NotNow(str(trouble)) from None
        except KeyError:
            raise NotNow(f"there is no fault called {words[0]}") from None

    return switch
