"""One setting, from the text somebody wrote to the value the program uses; and everything that can be wrong with it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twistmail.config.ini import Line
from twistmail.config.problem import Place, Problem, error, warning
from twistmail.mail.values import frozen
from twistmail.options import Option

#: A secret in a file of its own is a password or a key, not a message.
LONGEST_SECRET = 64 * 1024

_REFERENCE = re.compile(r"(env|file|cred):(.+)", re.DOTALL)


@frozen
class Assignment:
    """Somebody has set `key` of `[section]` at `place`. `public`: everybody on this machine can read the place."""

    section: str
    key: str
    place: Place
    lines: tuple[Line, ...]
    public: bool = False

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines if line.text)

    @property
    def value_place(self) -> Place:
        return next((line.place for line in self.lines if line.text), self.place)


def convert(assignment: Assignment, option: Option, folder: Path, environ: Mapping[str, str]) -> tuple[Any, list[Problem]]:
    """The value of *assignment*, and what is wrong with it; on an error the value is that of the default.

    *folder* is where the relative path of a `file:` secret starts.
    """
    text = assignment.text
    problems: list[Problem] = []
    if option.secret and text:
        text, problems = _reveal(assignment, folder, environ)
    if not any(problem.is_error for problem in problems):
        try:
            return option.kind.read(text), problems
        except ValueError as trouble:
            problems = [*problems, *_refusals(assignment, option, trouble)]
    return default_of(option), problems


def default_of(option: Option) -> Any:
    """The value of an option that nobody has set; None where its default only holds the place."""
    try:
        return option.kind.read(option.default)
    except ValueError:
        if option.required:
            return None
        raise


def _refusals(assignment: Assignment, option: Option, trouble: ValueError) -> list[Problem]:
    """One problem per line of the value that is wrong by itself; else one for the value as a whole."""
    lines = [line for line in assignment.lines if line.text]
    found = []
    if len(lines) > 1:
        for line in lines:
            try:
                option.kind.read(line.text)
            except ValueError as alone:
                found.append(_refusal(line.place, line.text, option, alone))
    return found or [_refusal(assignment.value_place, assignment.text, option, trouble)]


def _refusal(place: Place, text: str, option: Option, trouble: ValueError) -> Problem:
    what, _, suggestion = str(trouble).partition("\n")
    between = " = " if text and what.startswith(text) else ": "
    return error(place, f"{option.key}{between}{what}", suggestion or f"{option.key} is {option.kind.name}")


def _reveal(assignment: Assignment, folder: Path, environ: Mapping[str, str]) -> tuple[str, list[Problem]]:
    """The secret that *assignment* holds or points to: `env:NAME`, `file:PATH`, `cred:NAME` (systemd's LoadCredential)."""
    match = _REFERENCE.fullmatch(assignment.text)
    if not match:
        warnings = [warning(assignment.value_place, f"{assignment.key}: secret written in a file that everybody can read",
                            "use env:NAME or file:/path, or chmod 600 this file")] if assignment.public else []
        return assignment.text, warnings
    kind, name = match[1], match[2].strip()
    try:
        return _fetch(kind, name, folder, environ), []
    except ValueError as trouble:
        what, _, suggestion = str(trouble).partition("\n")
        return "", [error(assignment.value_place, f"{assignment.key}: {what}", suggestion)]


def _fetch(kind: str, name: str, folder: Path, environ: Mapping[str, str]) -> str:
    if kind == "env":
        if name not in environ:
            raise ValueError(f"the environment has no {name}\nset it where the server is started, such as Environment= of the unit")
        return environ[name]
    if kind == "cred":
        credentials = environ.get("CREDENTIALS_DIRECTORY")
        if not credentials or "/" in name:
            raise ValueError(f"there is no credential {name}\nLoadCredential={name}:/path in the unit makes one")
        return _read_secret(Path(credentials) / name)
    return _read_secret(folder / name)


def _read_secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return os.fsdecode(file.read(LONGEST_SECRET)).rstrip("\r\n")
    except OSError as trouble:
        raise ValueError(f"{path}: {trouble.strerror}\nthe file must be readable for the user that the server runs as") from None
