"""Where something stands in the configuration, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from twistmail.mail.values import frozen

ERROR = "error"
WARNING = "warning"


@frozen
class Place:
    """A place in a file, counted from 1. `line` 0: `file` names something that has no lines (the environment, an option)."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    @property
    def short(self) -> str:
        """`config.ini:71`: where a value comes from, for people."""
        return f"{self.file}:{self.line}" if self.line else self.file


@frozen
class Problem:
    """One mistake. Prints as editors understand it, the suggestion on the next line."""

    place: Place
    level: str
    text: str
    suggestion: str = ""

    def __str__(self) -> str:
        line = f"{self.place}: {self.level}: {self.text}"
        return f"{line}\n    {self.suggestion}" if self.suggestion else line

    @property
    def is_error(self) -> bool:
        return self.level == ERROR

    def as_json(self) -> dict[str, Any]:
        rest = {key: value for key, value in asdict(self).items() if key != "place"}
        return asdict(self.place) | rest


def error(place: Place, text: str, suggestion: str = "") -> Problem:
    return Problem(place, ERROR, text, suggestion)


def warning(place: Place, text: str, suggestion: str = "") -> Problem:
    return Problem(place, WARNING, text, suggestion)


def summary(problems: Iterable[Problem]) -> str:
    """`6 errors, 2 warnings`; "no problems" where there are none."""
    levels = [problem.level for problem in problems]
    counts = [(levels.count(level), level) for level in (ERROR, WARNING)]
    return ", ".join(f"{count} {level}{'s' * (count != 1)}" for count, level in counts if count) or "no problems"
