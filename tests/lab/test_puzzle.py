"""Something is broken at random: who guesses right, what is told, and that it is mended."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from tests.lab.living import living
from twistmail import tasks
from twistmail.lab import site as sites
from twistmail.lab.faults import ALL, FAULTS, Board
from twistmail.lab.puzzle import Puzzle
from twistmail.lab.talk import NotNow
from twistmail.web.page import Asked


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


@pytest_twisted.ensureDeferred
async def test_who_presses_the_button_twice_breaks_one_thing(town):
    puzzle, board = Puzzle(town, random.Random(1)), Board(town)
    await board.set("office-off", "red")  # mending that takes a while

    async def pressed() -> str:
        try:
            await puzzle.begin()
        except NotNow as trouble:
            return str(trouble)
        return "broken"

    said = await tasks.gather(pressed(), pressed())
    assert said == ["broken", "something is broken already; tell what it is first"]
    assert len(list(board.now())) == 1
    await tasks.gather(puzzle.end(), puzzle.end())
    assert puzzle.shown()["told"]
    assert list(board.now()) == []


@pytest_twisted.ensureDeferred
async def test_the_others_see_who_is_right_and_not_by_what_words_until_the_teacher_tells(town):
    puzzle = Puzzle(town, Wanted("office-off"))
    await puzzle.begin()
    (right,) = [name for name, _ in puzzle.shown()["choices"] if name == " ".join(town.secret)]
    words = dict(puzzle.shown()["choices"])[right]
    puzzle.guess("s01@blue.test", right)
    puzzle.guess("s02@green.test", "slow blue>green")
    assert puzzle.shown("s01@blue.test")["guesses"] == [("s02", "", False), ("s01", words, True)]
    assert puzzle.shown("s03@red.test")["guesses"] == [("s02", "", False), ("s01", "", True)]
    assert words not in re.sub(r"<select.*?</select>", "", await looked(town, "/find/now"), flags=re.DOTALL)
    await puzzle.end()
    assert ("s01", words, True) in puzzle.shown("s03@red.test")["guesses"]


@pytest_twisted.ensureDeferred
async def test_whoever_guesses_thinks_for_a_while_before_he_guesses_again(town):
    clock = Clock()
    puzzle = Puzzle(town, Wanted("office-off"), clock.seconds)
    await puzzle.begin()
    puzzle.guess("s01", "slow blue>green")
    clock.advance(3)
    for _ in range(2):
        with pytest.raises(NotNow, match="one guess in 10 seconds; wait 7 s"):
            puzzle.guess("s01", "office-off green")
    puzzle.guess("s02", "slow blue>green")
    clock.advance(7)
    puzzle.guess("s01", "slow blue>green")
    assert [who for who, *_ in puzzle.shown()["guesses"]] == ["s01", "s02", "s01"]
    await puzzle.end()


class Wanted(random.Random):
    """Chance that falls on one fault, at its last place."""

    def __init__(self, name: str) -> None:
        super().__init__(1)
        self._name = name

    def choice(self, among: Sequence[Any]) -> Any:
        return FAULTS[self._name] if FAULTS[self._name] in among else among[-1]


async def looked(town: Any, path: str) -> str:
    """A page, without the times in it."""
    site = sites.make(town)
    found: Any = site.routes.find("GET", path)
    page = (await found.handler(Asked("GET", path, names=found.names))).body.decode()
    return re.sub(r"[0-9]+:[0-9:]+|(data-now|data-last|name=\"token\" value)=\"[^\"]*\"", "", page)


#: What tells how things are switched.
TELLING = ("/net/board", "/queue/rows", "/map/picture", "/about", "/dns/zones", "/readyz", "/api/v1/faults", "/api/v1/town",
           "/inbox", "/inbox/rows")  # fmt: skip
#: What the inboxes say when an office is to be found: that mail is missing is seen, of whom is not said.
MISSING = '<p class="warning">Some mail cannot be read now.</p>\n'


@pytest.mark.parametrize("name", [fault.name for fault in ALL if not fault.hidden])
@pytest_twisted.ensureDeferred
async def test_what_is_to_be_found_stands_on_no_page_and_in_no_event(town, name):
    puzzle, began = Puzzle(town, Wanted(name)), town.ring.last
    before = {path: await looked(town, path) for path in TELLING}
    await puzzle.begin()
    ((fault, _),) = list(Board(town).now())
    after = {path: await looked(town, path) for path in TELLING}
    told = [event for event in town.ring.since(began) if event.kind == "switch"]
    await puzzle.end()
    assert fault.name == name
    if name in ("mx-to-nowhere", "null-mx", "two-mx"):
        records = after.pop("/dns/zones")  # whoever asks the DNS sees the records; nobody says what is wrong with them
        assert "has no address" not in records
        assert "takes no mail" not in records
    if name == "office-off":
        assert all(MISSING in after[path] for path in ("/inbox", "/inbox/rows"))
    assert {path: page for path, page in after.items() if page.replace(MISSING, "") != before[path]} == {}
    assert [(event.office, event.about, event.what) for event in told] == [("", "", {"what": "something", "state": "broken"})] * len(told)
    assert told, "pages look again"


@pytest.mark.parametrize("how", ["mend everything", "reset"])
@pytest_twisted.ensureDeferred
async def test_where_everything_is_mended_nothing_is_to_be_found(town, how):
    puzzle = Puzzle(town, Wanted("office-off"))
    await puzzle.begin()
    await (Board(town).clear_all() if how == "mend everything" else town.reset())
    assert not puzzle.shown()["running"]
    await Board(town).set("office-off", "red")
    assert "1 thing is broken" in await looked(town, "/net/board")
    await Board(town).clear_all()
