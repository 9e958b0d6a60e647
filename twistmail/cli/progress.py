"""How far a long job is, on stderr: a bar on a terminal, else a line now and then; JSON lines with --json; nothing with --quiet.

Every job counts in one unit (messages, octets) and may say what it is at (a
folder). Whoever interrupts it is told by the job itself how to go on.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import click

from twistmail.cli.terminal import Terminal, safe

#: Without a terminal: a line at every tenth of the whole, and when so many seconds have passed.
TENTHS, EVERY = 10, 10.0


class Progress(Protocol):
    """Used as a context manager around the job."""

    def __enter__(self) -> Progress: ...

    def __exit__(self, *trouble: object) -> None: ...

    def step(self, count: int = 1, at: str = "") -> None:
        """So much more is done; *at*: what the job is at now."""


def progress(terminal: Terminal, what: str, total: int | None, clock: Callable[[], float] = time.monotonic) -> Progress:
    """The progress of *what* ("checking"); *total* None where nobody knows how much there is."""
    if terminal.quiet:
        return _Silent()
    if not terminal.as_json and sys.stderr.isatty() and not terminal.environ.get("NO_COLOR"):
        try:
            return _Bar(what, total)
        except ImportError:
            pass  # without rich: lines
    return _Lines(what, total, clock, as_json=terminal.as_json)


class _Silent:
    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *trouble: object) -> None:
        pass

    def step(self, count: int = 1, at: str = "") -> None:
        pass


class _Lines:
    """`checking: 40 % (4000 of 10000), Archive`"""

    def __init__(self, what: str, total: int | None, clock: Callable[[], float], *, as_json: bool) -> None:
        self.what, self.total, self.done = what, total, 0
        self._clock, self._as_json = clock, as_json
        self._told, self._tenth = clock(), 0

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *trouble: object) -> None:
        pass

    def step(self, count: int = 1, at: str = "") -> None:
        self.done += count
        tenth = TENTHS * self.done // self.total if self.total else 0
        if tenth > self._tenth or self._clock() - self._told >= EVERY:
            self._tenth, self._told = tenth, self._clock()
            click.echo(self._line(at), err=True)

    def _line(self, at: str) -> str:
        if self._as_json:
            return json.dumps({"progress": {"what": self.what, "done": self.done, "total": self.total, "at": at}}, ensure_ascii=False)
        share = f"{100 * self.done // self.total} % ({self.done} of {self.total})" if self.total else str(self.done)
        return f"{self.what}: {share}" + (f", {safe(at)}" if at else "")


class _Bar:
    """A bar by rich: what is done of how much, how fast, how long it will take, and what it is at. Raises ImportError."""

    def __init__(self, what: str, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[at]}"),
        )
        self._bars: Any = Bars(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bars.add_task(what, total=total, at="")

    def __enter__(self) -> _Bar:
        self._bars.start()
        return self

    def __exit__(self, *trouble: object) -> None:
        self._bars.stop()

    def step(self, count: int = 1, at: str = "") -> None:
        from rich.markup import escape

        self._bars.update(self._task, advance=count, at=escape(safe(at)))
