"""What every command needs: the options before the noun, the configuration, the server, and a way to print.

stdout is the result; hints, questions and progress go to stderr. On a terminal
tables are drawn by rich where it is installed; elsewhere they are columns with
two spaces between, uncut. Text from strangers is printed without its control
characters.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from twistmail.cli.control import Control
from twistmail.cli.exits import Exit, Failure
from twistmail.config.load import Loaded, find_file, load, peek
from twistmail.config.problem import summary
from twistmail.config.server import SERVER
from twistmail.config.settled import Config
from twistmail.options import Section


@dataclass
class Terminal:
    """One run of the program."""

    config: str | None = None
    overrides: tuple[str, ...] = ()
    socket: str | None = None
    color: bool | None = None
    as_json: bool = False
    quiet: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    # ----- the configuration

    @property
    def file(self) -> Path | None:
        """The configuration file that is meant, None where there is none."""
        return find_file(self.config, self.environ)

    def sections(self) -> tuple[Section, ...]:
        """All sections, of built-in and of other parts. Slow: it imports every part."""
        from twistmail.plugins import discover
        from twistmail.sections import everything

        return everything(discover())

    def load(self) -> Loaded:
        """The whole configuration, or all that is wrong with it. Slow."""
        from twistmail.plugins import discover
        from twistmail.sections import checks, everything

        discovery = discover()
        return load(everything(discovery), self.file, self.overrides, self.environ, checks(discovery))

    def whole(self) -> Config:
        """The whole configuration; ends the command where it has errors."""
        loaded = self.load()
        if loaded.config is None:
            for problem in loaded.problems:
                click.echo(str(problem), err=True)
            raise Failure(f"the configuration has {summary(loaded.problems)}", Exit.CONFIG, "mend the lines above; twistmail config check")
        return loaded.config

    def glance(self, section: Section = SERVER) -> Config:
        """[server] and *section* alone, whatever else is wrong. Fast."""
        return peek(section, self.file, self.overrides, self.environ)

    # ----- the server

    def server(self) -> Control:
        """The running server's control socket. Nothing is sent yet."""
        if self.socket:
            return Control(Path(self.socket), self._start_line())
        config = self.glance()
        return Control(config.file(config["server"].control), self._start_line())

    def _start_line(self) -> str:
        return f"twistd -n twistmail --config {self.file or 'config.ini'}"

    # ----- printing

    @property
    def is_rich(self) -> bool:
        """Is somebody looking, and may we use colour?"""
        if self.color is not None:
            return self.color
        return sys.stdout.isatty() and not self.environ.get("NO_COLOR")

    def hint(self, text: str) -> None:
        """Something that helps people and not programs."""
        if not self.quiet and not self.as_json:
            click.echo(text, err=True)

    def object(self, value: Any) -> None:
        """One JSON object."""
        click.echo(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def say(self, text: str) -> None:
        """A line of the result."""
        click.echo(safe(text))

    def show(self, value: Mapping[str, Any]) -> None:
        """One thing, as a list of its properties or as JSON."""
        if self.as_json:
            self.object(value)
            return
        width = max(map(len, value), default=0)
        for name, one in value.items():
            text = ("yes" if one else "no") if isinstance(one, bool) else one
            self.say(f"{name.replace('_', ' '):{width}}  {'-' if text in ('', None) else text}")

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]], objects: Sequence[Mapping[str, Any]]) -> None:
        """*rows* under *headings* for people; with --json the *objects*, one per line."""
        if self.as_json:
            for value in objects:
                self.object(value)
            return
        cells = [[safe(cell) for cell in row] for row in rows]
        if not self.is_rich or not _draw(headings, cells):
            _print_columns(headings, cells)

    def sure(self, question: str, yes: bool) -> None:
        """Ask before something dangerous; ends the command unless the answer is yes."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise Failure(question, Exit.USAGE, "nobody is there to ask: add --yes")
        click.confirm(question, abort=True, err=True)


def safe(text: object) -> str:
    """*text* without what would speak to the terminal instead of to its reader."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in str(text))


def _print_columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [list(headings), *([cell.replace("\n", " ") for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _draw(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """A table by rich; False where it is not installed."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(file=sys.stdout).print(table)
    return True
