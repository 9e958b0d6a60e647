"""What messages say, so that nobody has to read them again: in two tables of the index.

`rendered`: what FETCH tells, as it goes over the wire. `summary`: what SORT,
THREAD and SEARCH compare (`mail.summary.Summary`, column by column). Both are
filled at first use and never change.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twistmail.mail.mailbox import SortKey
from twistmail.mail.mime import Description
from twistmail.mail.summary import Summary
from twistmail.store.database import Database

RENDERED = ("envelope", "body", "bodystructure", "listed", "header")
#: The header fields that have a column of their own, decoded and case folded.
FIELDS = {"subject": "subject", "from": "sender", "to": '"to"', "cc": "cc", "bcc": "bcc"}
#: The columns that SORT compares; ARRIVAL and SIZE are in memory.
SORTED = {
    SortKey.CC: "sort_cc",
    SortKey.DATE: "sent",
    SortKey.FROM: "sort_from",
    SortKey.SUBJECT: "base_subject",
    SortKey.TO: "sort_to",
    SortKey.DISPLAYFROM: "display_from",
    SortKey.DISPLAYTO: "display_to",
}
_PLACES = {name: ("rendered", place) for place, name in enumerate(RENDERED)} | {
    name: ("summary", place) for place, name in enumerate(Summary._fields)
}
_QUOTED = {name: f'"{name}"' for name in _PLACES}
_INSERT_RENDERED = f"INSERT OR REPLACE INTO rendered VALUES (?{', ?' * len(RENDERED)})"
_INSERT_SUMMARY = f"INSERT OR REPLACE INTO summary VALUES (?{', ?' * len(Summary._fields)})"

#: Summaries that are read in one transaction.
TOGETHER = 10_000

#: {UID: values of the columns that were asked for}
Values = dict[int, tuple[Any, ...]]


def values(description: Description, columns: Sequence[str]) -> tuple[Any, ...]:
    """The *columns* of one description."""
    return tuple(getattr(description if _PLACES[column][0] == "rendered" else description.summary, column) for column in columns)


class Descriptions:
    """The two tables of one account. Methods that raise sqlite3.Error leave what to do then to the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def age(self) -> int:
        """Another number once everything that was kept has been thrown away."""
        return self._database.age

    def known(self, directory: str, uids: Sequence[int], columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """(uid, the *columns*) of those of *uids* (ascending, not empty) that have been described, ascending. On the reactor thread."""
        try:
            number = self._database.number(directory) << 32
            found = _select(self._database.reader, number, uids, columns)
        except (LookupError, sqlite3.Error):
            return []
        if len(found) == len(uids) and found[0][0] == uids[0] and found[-1][0] == uids[-1] == uids[0] + len(uids) - 1:
            return found  # as nearly always: a run without gaps
        wanted = set(uids)
        return [row for row in found if row[0] in wanted]

    # ----- in threads

    def save(self, directory: str, described: Iterable[tuple[int, Description]], is_gone: Callable[[], bool]) -> None:
        """Keep what was *described*, unless the mailbox *is_gone*: there may be another one in its directory by now."""
        with self._database.transaction() as database:
            if is_gone():
                return
            base = self._database.numbered(database, directory) << 32
            rendered, summaries = [], []
            for uid, description in described:
                rendered.append((base | uid, *(getattr(description, name) for name in RENDERED)))
                summaries.append((base | uid, *description.summary))
            database.executemany(_INSERT_RENDERED, rendered)
            database.executemany(_INSERT_SUMMARY, summaries)

    def missing(self, directory: str, uids: Sequence[int]) -> list[int]:
        """Those of *uids* (ascending) that have not been described."""
        with self._database.transaction() as database:
            base = self._database.numbered(database, directory) << 32
            ends = (base | uids[0], base | uids[-1])
            known = {key & 0xFFFFFFFF for (key,) in database.execute("SELECT id FROM summary WHERE id BETWEEN ? AND ?", ends)}
        return [uid for uid in uids if uid not in known]

    def holding(self, directory: str, first: int, last: int, field: str, needle: str) -> set[int]:
        """UIDs, from *first* to *last*, of messages whose *field* (of FIELDS) holds *needle*."""
        with self._database.transaction() as database:
            base = self._database.numbered(database, directory) << 32
            query = f"SELECT id & 0xffffffff FROM summary WHERE id BETWEEN ? AND ? AND instr({FIELDS[field]}, ?)"
            return {uid for (uid,) in database.execute(query, (base | first, base | last, needle))}

    def columns(self, directory: str, uids: Sequence[int], columns: Sequence[str]) -> list[list[Any]]:
        """The *columns* of the summaries of *uids* (ascending, any number), each as long as these; None where nothing is known."""
        names = ", ".join(_QUOTED[column] for column in columns)
        query = f"SELECT id, {names} FROM summary WHERE id BETWEEN ? AND ? ORDER BY id"
        told: list[list[Any]] = [[] for _ in columns]
        for start in range(0, len(uids), TOGETHER):  # others shall write meanwhile
            some = uids[start : start + TOGETHER]
            with self._database.transaction() as database:
                base = self._database.numbered(database, directory) << 32
                rows = database.execute(query, (base | some[0], base | some[-1])).fetchall()
            for values, column in zip(told, _aligned(rows, [base | uid for uid in some], len(columns)), strict=True):
                values += column
        return told


def _aligned(rows: Sequence[tuple[Any, ...]], keys: Sequence[int], columns: int) -> Sequence[Sequence[Any]]:
    """The columns of *rows* behind the first, which is the key, for *keys*."""
    found = list(zip(*rows, strict=True)) or [()]
    if found[0] == tuple(keys):
        return found[1:]
    unknown = (None,) * columns
    known = {row[0]: row[1:] for row in rows}
    return list(zip(*(known.get(key, unknown) for key in keys), strict=True))


def _select(reader: sqlite3.Connection, number: int, uids: Sequence[int], columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """The *columns* of *uids*, and perhaps of some between them: a range is quicker read than many rows one by one."""
    tables = sorted({_PLACES[column][0] for column in columns})
    joined = " JOIN ".join(tables) + (" USING (id)" if len(tables) > 1 else "")
    what = f"SELECT id & 0xffffffff, {', '.join(_QUOTED[column] for column in columns)} FROM {joined}"
    if uids[-1] - uids[0] < 4 * len(uids):
        return reader.execute(f"{what} WHERE id BETWEEN ? AND ? ORDER BY id", (number | uids[0], number | uids[-1])).fetchall()
    marks = ", ".join(["?"] * len(uids))
    return reader.execute(f"{what} WHERE id IN ({marks}) ORDER BY id", [number | uid for uid in uids]).fetchall()
