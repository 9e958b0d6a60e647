"""From files, environment and command line to one frozen `Config`, or to the list of all that is wrong.

`load` never raises for what people wrote, and never stops at the first mistake.
Sources, the last wins: defaults, the file, its includes in order of their
names, TWISTMAIL_SECTION__KEY, --set section.key=value. The same function runs
at start, at reload and in `twistmail config check`.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from twistmail.config import ini
from twistmail.config.problem import Place, Problem, error, warning
from twistmail.config.schema import Schema
from twistmail.config.server import SERVER
from twistmail.config.settled import Config, Setting
from twistmail.config.values import Assignment, convert, default_of
from twistmail.mail.values import frozen
from twistmail.options import Section, Settings

#: Looks at a whole Config whose values are right one by one, and tells what does not go together.
CrossCheck = Callable[[Config], Iterable[Problem]]

STANDARD_PLACES = (Path("config.ini"), Path("/etc/twistmail/config.ini"))
PREFIX = "TWISTMAIL_"
MOST_INCLUDES = 1000


@frozen
class Loaded:
    """`config` is None where a problem is an error. `problems` in the order of the file."""

    config: Config | None
    problems: tuple[Problem, ...]


def find_file(given: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The configuration file: *given*, else $TWISTMAIL_CONFIG, ./config.ini, /etc/twistmail/config.ini; None where none exists."""
    if given or environ.get("TWISTMAIL_CONFIG"):
        return Path(given or environ["TWISTMAIL_CONFIG"])
    return next((path for path in STANDARD_PLACES if path.exists()), None)


def load(
    sections: Sequence[Section],
    path: Path | None,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
    checks: Sequence[CrossCheck] = (),
) -> Loaded:
    """Read the configuration of *sections* from *path* (None: no file). *overrides* are the `section.key=value` of --set."""
    schema = Schema(sections if any(section.name == SERVER.name for section in sections) else (SERVER, *sections))
    sources = _Sources(schema, path, overrides, environ)
    sources.read()
    config = _settle(schema, path, sources, environ)
    problems = sources.problems
    spoiled = {problem.place for problem in problems if problem.is_error}
    problems += [problem for check in checks for problem in check(config) if problem.place not in spoiled]
    problems.sort(key=lambda problem: (sources.order(problem.place.file), problem.place.line))
    usable = not any(problem.is_error for problem in problems)
    return Loaded(config if usable else None, tuple(problems))


def peek(section: Section, path: Path | None, overrides: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration as far as *section* and [server] go, whatever else is wrong: for programs that only look for a path."""
    sources = _Sources(Schema({SERVER.name: SERVER, section.name: section}.values()), path, overrides, environ)
    sources.read()
    return _settle(sources.schema, path, sources, environ)


class _Sources:
    """Everything that anybody has set, in the order in which later wins, and the problems found on the way."""

    def __init__(self, schema: Schema, path: Path | None, overrides: Sequence[str], environ: Mapping[str, str]) -> None:
        self.schema = schema
        self.path = path
        self.overrides = overrides
        self.environ = environ
        self.assignments: list[Assignment] = []
        self.headers: dict[str, Place] = {}
        self.problems: list[Problem] = []
        self._files: list[str] = []

    def order(self, file: str) -> int:
        return self._files.index(file) if file in self._files else len(self._files)

    def read(self) -> None:
        outside = [*self._from_environment(), *self._from_overrides()]
        if self.path:
            self._read_file(self.path)
            for included in self._includes(self.path.parent, outside):
                self._read_file(included)
        for assignment in outside:
            self._assign(assignment)

    def text(self, section: str, key: str, among: Sequence[Assignment] = ()) -> str | None:
        """What `section.key` was set to last, *among* counting as later than everything."""
        found = [a.text for a in (*self.assignments, *among) if (a.section, a.key) == (section, key)]
        return found[-1] if found else None

    def _read_file(self, path: Path) -> None:
        name = str(path)
        self._files.append(name)
        try:
            with path.open("rb") as file:
                data = file.read(ini.LONGEST_FILE + 1)
                public = bool(os.fstat(file.fileno()).st_mode & 0o004)
            text = data.decode()
        except OSError as trouble:
            self.problems.append(error(Place(name), f"cannot be read: {trouble.strerror}", _unreadable(trouble)))
            return
        except UnicodeDecodeError as trouble:
            line = data.count(b"\n", 0, trouble.start) + 1
            self.problems.append(error(Place(name, line, 1), "this line is not UTF-8", "save the file as UTF-8"))
            return
        blocks, problems = ini.read(text, name)
        self.problems += problems
        seen: dict[tuple[str, str], Place] = {}
        for block in blocks:
            self._read_block(block, public, seen)

    def _read_block(self, block: ini.Block, public: bool, seen: dict[tuple[str, str], Place]) -> None:
        if not self.schema.find(block.name):
            self.problems.append(self.schema.unknown_section(block.place, block.name))
            return
        self.headers.setdefault(block.name, block.place)
        for entry in block.entries:
            self.problems += self._swallowed(block.name, entry)
            first = seen.setdefault((block.name, entry.key), entry.place)
            if first is not entry.place and self.schema.option(block.name, entry.key):
                text = f'"{entry.key}" is set twice (first on line {first.line}); this one wins'
                self.problems.append(warning(entry.place, text, "remove one of them"))
            self._assign(Assignment(block.name, entry.key, entry.place, entry.lines, public))

    def _swallowed(self, section: str, entry: ini.Entry) -> Iterator[Problem]:
        """Keys that are indented by mistake and so have become lines of the value above them."""
        for line in entry.lines[1:]:
            match = ini.KEY.match(line.text)
            if match and self.schema.option(section, match[1].lower()):
                text = f'"{match[1]}" is indented, so it belongs to the value of "{entry.key}"'
                yield warning(line.place, text, "begin the line where the other keys begin")

    def _assign(self, assignment: Assignment) -> None:
        if not self.schema.find(assignment.section):
            self.problems.append(self.schema.unknown_section(assignment.place, assignment.section))
        elif not self.schema.option(assignment.section, assignment.key):
            self.problems.append(self.schema.unknown_key(assignment.place, assignment.section, assignment.key))
        else:
            self.headers.setdefault(assignment.section, assignment.place)
            self.assignments.append(assignment)

    def _includes(self, folder: Path, outside: Sequence[Assignment]) -> list[Path]:
        """The files of `[server] include`, as the main file or *outside* sets it; an included file cannot include."""
        option = SERVER.option("include")
        assert option is not None
        given = self.text("server", "include", outside)
        patterns = option.kind.read(option.default if given is None else given)
        found = sorted({name for pattern in patterns for name in glob.glob(str(folder / pattern))}, key=os.path.basename)
        return [Path(name) for name in found[:MOST_INCLUDES] if os.path.isfile(name)]

    def _from_environment(self) -> list[Assignment]:
        found = []
        for name in sorted(self.environ):
            section, separator, key = name.removeprefix(PREFIX).partition("__")
            if name.startswith(PREFIX) and separator:
                found.append(_outside(section.lower(), key.lower(), self.environ[name], f"environment {name}"))
        return found

    def _from_overrides(self) -> list[Assignment]:
        found = []
        for override in self.overrides:
            target, equals, value = override.partition("=")
            section, dot, key = target.strip().rpartition(".")
            if equals and dot:
                found.append(_outside(section, key.lower(), value.strip(), f"--set {target.strip()}"))
            else:
                self.problems.append(error(Place(f"--set {override}"), "this sets nothing", "write --set section.key=value"))
        return found


def _outside(section: str, key: str, value: str, where: str) -> Assignment:
    place = Place(where)
    return Assignment(section, key, place, tuple(ini.Line(place, line.strip()) for line in value.split("\n")))


def _unreadable(trouble: OSError) -> str:
    if isinstance(trouble, FileNotFoundError):
        return "twistmail config example > config.ini   writes one to start with"
    return "run this as the user that the server runs as"


def _settle(schema: Schema, path: Path | None, sources: _Sources, environ: Mapping[str, str]) -> Config:
    """The Config of what was set; its problems go to those of *sources*. What is set twice is checked twice."""
    data_dir = _data_dir(path, sources.text("server", "data_dir") or "")
    values: dict[tuple[str, str], Any] = {}
    winners: dict[tuple[str, str], Assignment] = {}
    for assignment in sources.assignments:
        option = schema.option(assignment.section, assignment.key)
        assert option is not None
        where = assignment.section, assignment.key
        values[where], problems = convert(assignment, option, data_dir, environ)
        winners[where] = assignment
        sources.problems += problems
    details: dict[tuple[str, str], Setting] = {}
    settings: dict[str, Settings] = {}
    for name, section in _present(schema, sources):
        for option in section.options:
            won = winners.get((name, option.key))
            details[name, option.key] = Setting(name, option, won.text if won else option.default, won.place if won else None)
            if option.required and not won:
                sources.problems.append(_missing(sources, name, option.key, option.starter or option.example))
        settings[name] = Settings({o.key: values[name, o.key] if (name, o.key) in values else default_of(o) for o in section.options})
    return Config(schema.sections, settings, details, data_dir, path, sources.headers)


def _present(schema: Schema, sources: _Sources) -> Iterator[tuple[str, Section]]:
    """The sections that there are: all plain ones, and those of patterns that somebody has written."""
    for section in schema:
        if not section.pattern:
            yield section.name, section
    for name in sources.headers:
        found = schema.find(name)
        if found and found.pattern:
            yield name, found


def _missing(sources: _Sources, name: str, key: str, example: str) -> Problem:
    place = sources.headers.get(name) or Place(str(sources.path or "configuration"))
    return error(place, f"[{name}] {key} is missing", f"write {key} = {example}" if example else f"write {key} = ...")


def _data_dir(path: Path | None, text: str) -> Path:
    option = SERVER.option("data_dir")
    assert option is not None
    folder = path.resolve().parent if path else Path.cwd()
    return folder / re.sub(r"^~(?=/|$)", lambda _: os.path.expanduser("~"), text or option.default)
