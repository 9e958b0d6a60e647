"""The journal: facts on disk, one line each, so that a message's story can be told after a restart.

A file a day (`2026-11-21.jsonl`, UTC) of JSON lines `{"at": 1795.., "id": "6k3fa2-9akq",
"what": "Accepted", ...}`. Lines gather in memory and are written once a second
in a thread; a journal that cannot be written never fails mail. What is lost by
a crash is at most the last second of the story, never mail.

Reading (`story`, `find`) is plain blocking Python without Twisted, so the
command line uses it whether or not the server runs.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from twistmail import compact
from twistmail.mail.address import Address
from twistmail.mail.ids import born
from twistmail.mail.status import Status

DAY = 86400
#: Characters of one text, and entries of one list, that are written down.
LONGEST_TEXT = 1000
MOST_LISTED = 100
#: Characters of a line within which it says what it tells of.
BEGINNING = 200
#: Beside the journal: who said what on connections whose transcript is kept (`transcripts`).
TRANSCRIPTS = "transcripts"


def as_json(value: Any) -> Any:
    """*value* as JSON can hold it: addresses and statuses as text, other values as objects by field."""
    kind: Any = type(value)
    return value if kind in _PLAIN else _way(kind)(value)


#: What JSON knows, and cannot be too long.
_PLAIN = frozenset({int, float, bool, type(None)})


@cache
def _way(kind: Any) -> Callable[[Any], Any]:
    """How values of *kind* become JSON: every message has four lines of them, so it is found out once."""
    for of, way in _WAYS:
        if issubclass(kind, of):
            return way
    return _by_field(kind) if is_dataclass(kind) else str


_WAYS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    ((Address, Status), lambda value: str(value)[:LONGEST_TEXT]),
    (bytes, lambda value: value[:LONGEST_TEXT].decode("latin-1")),
    (Enum, lambda value: value.value),
    (str, lambda value: str(value)[:LONGEST_TEXT]),
    ((int, float), lambda value: value),
    ((tuple, list), lambda value: [as_json(one) for one in value[:MOST_LISTED]]),
)


def _by_field(kind: Any) -> Callable[[Any], dict[str, Any]]:
    """An object of the fields that are shown: not those that keep out of the `repr`, such as secrets."""
    names = [field.name for field in fields(kind) if field.repr]
    way: Any = _way
    return lambda value: {name: one if type(one := getattr(value, name)) in _PLAIN else way(type(one))(one) for name in names}


class Journal:
    """Listens to facts (`note`); `write` appends what has gathered. `threads` runs the writing."""

    def __init__(self, folder: Path, keep: float) -> None:
        self.folder = folder
        self._keep = keep  # seconds
        self._waiting: list[Any] = []

    def note(self, fact: Any) -> None:
        """Remember *fact* (facts.Fact) for the next write. Cheap: nothing is rendered here."""
        self._waiting.append(fact)

    @property
    def has_news(self) -> bool:
        return bool(self._waiting)

    def write(self) -> None:
        """Append what has gathered; delete files older than `keep`. Blocking. OSError where the disk will not."""
        waiting, self._waiting = self._waiting, []
        by_day: dict[str, list[bytes]] = {}
        for fact in waiting:
            by_day.setdefault(_day_of(int(fact.at // DAY)), []).append(_line(fact))
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for day, lines in by_day.items():
            path = self.folder / f"{day}.jsonl"
            is_new = not path.exists()
            with path.open("ab") as file:
                file.write(b"".join(lines))
            if is_new:
                path.chmod(0o600)
                self._forget_old(waiting[-1].at)

    def _forget_old(self, now: float) -> None:
        oldest = _day(now - self._keep)
        for path in self.folder.glob("????-??-??.jsonl"):
            if path.stem < oldest:
                path.unlink(missing_ok=True)


def _line(fact: Any) -> bytes:
    entry = {"at": round(fact.at, 6), "id": fact.about, "what": type(fact.what).__name__}
    entry.update(as_json(fact.what))
    return compact.line(entry) + b"\n"


def _day(at: float) -> str:
    return _day_of(int(at // DAY))


@lru_cache(maxsize=4)
def _day_of(number: int) -> str:
    """The day *number* since the beginning of 1970."""
    return time.strftime("%Y-%m-%d", time.gmtime(number * DAY))


def entries(folder: Path, since: float = 0.0, kinds: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """All entries from the day of *since* (POSIX seconds) on, oldest first. A damaged line is left out.

    *kinds*: only those that tell of these ("Outcome"); the others are not even read as JSON, which makes it four times as fast.
    """
    first_day = _day(since)
    is_wanted = re.compile('"what":"(?:' + "|".join(map(re.escape, kinds)) + ')"').search if kinds else None
    for path in sorted(folder.glob("????-??-??.jsonl")):
        if path.stem < first_day:
            continue
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if is_wanted is not None and not is_wanted(line, 0, BEGINNING):
                    continue
                try:
                    yield json.loads(line)
                except ValueError:
                    continue


def story(folder: Path, identifier: str) -> list[dict[str, Any]]:
    """The entries about the message or connection *identifier* (or its unique beginning), by time, with its transcript if one was kept.

    Raises KeyError where nothing is known of it, ValueError where the beginning fits several.
    """
    try:
        since = born(identifier) - DAY
    except ValueError:
        since = 0.0
    everything = [entry for entry in entries(folder, since) if entry["id"].startswith(identifier)]
    found = {entry["id"] for entry in everything if entry["id"].startswith(identifier)}
    if not found:
        raise KeyError(identifier)
    if len(found) > 1 and identifier not in found:
        raise ValueError(f"{identifier} fits {len(found)} messages: {', '.join(sorted(found)[:5])}")
    wanted = identifier if identifier in found else found.pop()
    told = [entry for entry in everything if entry["id"] == wanted]
    told += [entry for entry in entries(folder.with_name(TRANSCRIPTS), since) if entry["id"] == wanted]
    return sorted(told, key=lambda entry: float(entry["at"]))
