"""Something is broken at random: who guesses right, what is told, and that it is mended."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import pytest_twisted

from tests.lab.living import living
from twistmail.lab.faults import Board
from twistmail.lab.puzzle import Puzzle
from twistmail.lab.talk import NotNow


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Iterator[object]:
    with living(tmp_path_factory.mktemp("town")) as (made, _):
        yield made


@pytest.mark.parametrize("chance", [1, 7])
@pytest_twisted.ensureDeferred
async def test_it_is_really_broken_and_whoever_says_what_is_right(town, chance):
    puzzle, board = Puzzle(town, random.Random(chance)), Board(town)
    with pytest.raises(NotNow, match="nothing is broken"):
        puzzle.guess("s01", "office-off green")
    await puzzle.begin()
    ((fault, place),) = list(board.now())
    with pytest.raises(NotNow, match="already"):
        await puzzle.begin()
    for words in ("", "office-off", "office-off moon", "<script> green"):
        with pytest.raises(NotNow, match="of the list"):
            puzzle.guess("s01", words)
    wrong = next(name for name, _ in puzzle.shown()["choices"] if name != f"{fault.name} {place}")
    puzzle.guess("s01", wrong)
    puzzle.guess("s02", f"{fault.name} {place}")
    shown = puzzle.shown()
    assert [(who, right) for who, _, right in shown["guesses"]] == [("s02", True), ("s01", False)]
    assert (shown["running"], shown["told"]) == (True, None)
    await puzzle.end()
    assert puzzle.shown()["told"] == (fault, place)
    assert list(board.now()) == []
