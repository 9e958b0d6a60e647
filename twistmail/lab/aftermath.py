"""What a lesson has set up, put back when it is left: files of the offices, switches, the DNS.

A lesson breaks things in one step and mends them in a later one. Who went on to another lesson in between would take a smart host or
a closed office along, and a step there would wait for ever. What a lesson can touch is what its acts name, whether they are done by
"Show me" or by hand. `course` says when a lesson is begun and left.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from twistmail.lab import kept_files
from twistmail.lab.faults import Board, NotNow
from twistmail.lab.lesson import Act, Lesson, Step
from twistmail.mail.values import frozen

Records = dict[str, list[str]]


@frozen
class _Before:
    """`records`: by name, None where there was none; `broken`: (fault, place) of what was broken already."""

    records: dict[str, Records | None]
    broken: frozenset[tuple[str, str]]


class Aftermath:
    """*town* as `Course` has it."""

    def __init__(self, town: Any) -> None:
        self._town = town
        self._board = Board(town)
        self._before: dict[int, _Before] = {}  # by number of the lesson

    def begin(self, lesson: Lesson) -> None:
        """Remember how everything is before *lesson*; nothing where that is known."""
        if lesson.number in self._before:
            return
        for _, path in self._written(lesson):
            kept_files.keep(path)
        there = self._town.zones.records
        records = {name: _copied(there.get(name)) for name in _names(lesson.steps)}
        self._before[lesson.number] = _Before(records, frozenset(switch for switch in _switches(lesson.steps) if self._is_broken(switch)))

    async def put_back(self, lesson: Lesson, steps: int) -> bool:
        """As it was before *lesson* was begun; its first *steps* may have been done. Whether something was otherwise."""
        before = self._before.pop(lesson.number, None)
        if before is None:
            return False
        changed = {office for office, path in self._written(lesson) if kept_files.put_back(path)}
        for office in changed:
            if (service := self._town.service(office)) is not None:
                service.reload()
        done = lesson.steps[:steps]
        moved = [name for name in _names(done) if self._put_back_name(name, before.records[name])]
        mended = [switch for switch in _switches(done) if switch not in before.broken and await self._mended(switch)]
        return bool(changed or moved or mended)

    def _written(self, lesson: Lesson) -> list[tuple[str, Path]]:
        """(office, file in its folder) for each that a command of *lesson* writes with tee."""
        folders = {office.name: Path(self._town.config_file(office.name)).parent for office in self._town.offices}
        found = dict.fromkeys((act.words[0], Path(act.words[-1])) for act in _acts(lesson.steps, "run") if act.words[1] == "tee")
        return [(office, path) for office, path in found if path.parent == folders.get(office)]

    def _put_back_name(self, name: str, records: Records | None) -> bool:
        there = self._town.zones.records
        if there.get(name) == records:
            return False
        there.pop(name, None)
        if records is not None:
            there[name] = records
        return True

    def _is_broken(self, switch: tuple[str, str]) -> bool:
        """As far as it is shown: what the class is to find stays broken."""
        try:
            return self._board.shows(*switch)
        except (KeyError, ValueError):  # a lesson of somebody's own may name what there is not
            return False

    async def _mended(self, switch: tuple[str, str]) -> bool:
        """Whether it was broken, and is not any more."""
        if not self._is_broken(switch):
            return False
        try:
            await self._board.clear(*switch)
        except NotNow:
            return False  # the switch board says so
        return True


def _acts(steps: Iterable[Step], kind: str) -> list[Act]:
    return [act for step in steps for act in step.acts if act.kind == kind]


def _names(steps: Iterable[Step]) -> dict[str, None]:
    """Names of the DNS that are changed."""
    return dict.fromkeys(act.words[0].lower().rstrip(".") for act in _acts(steps, "zone"))


def _switches(steps: Iterable[Step]) -> dict[tuple[str, str], None]:
    """(fault, place) of what is broken."""
    return dict.fromkeys((act.words[0], act.words[1]) for act in _acts(steps, "switch") if len(act.words) == 3 and act.words[2] == "on")


def _copied(records: Records | None) -> Records | None:
    return None if records is None else {kind: list(values) for kind, values in records.items()}
