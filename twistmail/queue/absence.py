"""When the line is down, and was: what `twistmail offline` and `online` say, kept in a small file so that a restart knows it too.

    {"since": 1800000000.0, "spans": [[1799990000.0, 1799993600.0]]}

`since` is null while the line is up. Spans are remembered as long as any message
lives that they may have kept waiting. All that touches the disk is blocking.
"""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from twistmail.mail.values import frozen

FILE = "offline.json"
#: Spans that ended longer ago (seconds) are forgotten, and so are the oldest of more than so many.
REMEMBERED, MOST_SPANS = 60 * 86400.0, 1000
#: No file of ours is longer.
LONGEST = 256 * 1024


@frozen
class Absence:
    """`since`: from when on the line has been down; None: it is up. `spans`: (from, to) of earlier times, ascending."""

    since: float | None = None
    spans: tuple[tuple[float, float], ...] = ()

    def go(self, *, offline: bool, now: float) -> Absence:
        """The line goes down or up at *now*; nothing changes where it is so already."""
        if offline is (self.since is not None):
            return self
        if offline:
            return replace(self, since=now)
        recent = tuple(span for span in self.spans if span[1] > now - REMEMBERED)
        return Absence(None, (*recent, (self.since or now, now))[-MOST_SPANS:])

    def within(self, start: float, end: float) -> list[tuple[float, float]]:
        """The parts of *start* to *end* in which the line was down."""
        spans = self.spans if self.since is None else (*self.spans, (self.since, math.inf))
        return [(max(start, since), min(end, to)) for since, to in spans if max(start, since) < min(end, to)]


UP = Absence()


def read(path: Path) -> Absence:
    """What the file at *path* says; that the line is up where there is none. OSError; ValueError where it makes no sense."""
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST)
    except FileNotFoundError:
        return UP
    try:
        said = json.loads(text)
        since, spans = said["since"], [(_instant(start), _instant(end)) for start, end in said["spans"]]
        return Absence(None if since is None else _instant(since), tuple(spans)[-MOST_SPANS:])
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ValueError(f"{path} makes no sense") from None


def _instant(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("no instant")
    return float(value)


def write(path: Path, absence: Absence) -> None:
    """Say so in the file at *path*, durably. OSError: it says what it said."""
    text = json.dumps({"since": absence.since, "spans": absence.spans}).encode()
    new = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        new.unlink()
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
