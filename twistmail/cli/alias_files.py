"""twistmail alias export, import: the aliases of the database in files, in the syntax of aliases(5)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from twistmail.aliases.database import ORIGIN
from twistmail.aliases.parse import Entry, parse
from twistmail.cli.desk import Desk
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.new_file import write_new
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import plural
from twistmail.watched import MOST_OCTETS

#: Octets of targets that one request to the server carries; a single alias may have more than fits.
PORTION, MOST = 40_000, 60_000


@click.command("export", cls=Verb)
@click.argument("output", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def export(terminal: Terminal, output: Path | None) -> None:
    """Write the aliases of the database, in the syntax of aliases(5).

    They go to the new file OUTPUT, or to standard output. An owner is written as the alias owner-NAME. With --json: one object each.
    """
    found = Desk(terminal).ask("alias.list", source=ORIGIN)
    if terminal.as_json and output is None:
        for row in found:
            terminal.object(row)
        return
    names = {row["address"] for row in found}
    lines = [f"{line}\n" for row in found for line in _written(row, names)]
    if output is None:
        click.echo("".join(lines), nl=False)
        return
    write_new(output, lines, 0o644)
    terminal.hint(f"{len(found)} aliases written to {output}")


def _written(row: dict[str, Any], names: set[str]) -> Iterator[str]:
    yield f"{row['address']}: {', '.join(row['targets'])}"
    if "owner" in row and f"owner-{row['address']}" not in names:
        yield f"owner-{row['address']}: {row['owner']}"


@click.command("import", cls=Verb)
@click.argument("path", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--replace", is_flag=True, help="Aliases that are there already become what the file says. Without it they stay.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.pass_obj
def import_(terminal: Terminal, path: Path, replace: bool, dry_run: bool) -> int:
    """Take the aliases of a file in the syntax of aliases(5) into the database.

    A file with mistakes is not taken at all: each is told with its line, and the exit code is 65. Ends with 1 where aliases were
    left out because they are there already.
    """
    parsed = parse(_text(path))
    for line, problem in parsed.problems:
        click.echo(f"{path}:{line}: {problem}", err=True)
    if parsed.problems:
        raise Failure(f"{path} has {plural(len(parsed.problems), 'mistake')}", Exit.DATAERR, "mend them; nothing was imported")
    desk, made, left = Desk(terminal), 0, 0
    portions = list(_portions(path, parsed.entries))
    for portion in portions:  # what is not allowed shows before anything is done
        desk.ask("alias.import", aliases=portion, replace=replace, dry_run=True)
    for portion in portions:
        told = desk.ask("alias.import", aliases=portion, replace=replace, dry_run=dry_run)
        made, left = made + len(told["made"]), left + len(told["left"])
        for name in told["left"]:
            terminal.hint(f"{name} is there already")
        for row in told["made"] if terminal.as_json else ():
            terminal.object(row)
    result = f"{made} aliases {'would be ' if dry_run else ''}imported, {left} left out"
    terminal.hint(result) if terminal.as_json else terminal.say(result)
    return Exit.NOTHING if left else Exit.OK


def _portions(path: Path, entries: list[Entry]) -> Iterator[list[dict[str, Any]]]:
    portion: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        row = {"name": str(entry.address), "targets": list(map(str, entry.items))}
        octets = sum(len(text.encode()) + 8 for text in row["targets"])
        if octets > MOST:
            raise Failure(f"{path}:{entry.line}: {entry.address} has too many targets for the database", Exit.DATAERR,
                          f"write them into a file, a line each, and {entry.address}: :include:/that/file")
        if portion and size + octets > PORTION:
            yield portion
            portion, size = [], 0
        portion.append(row)
        size += octets + 100
    if portion:
        yield portion


def _text(path: Path) -> str:
    try:
        octets = sys.stdin.buffer.read(MOST_OCTETS) if str(path) == "-" else path.read_bytes()
        return octets.decode()
    except FileNotFoundError:
        raise Failure(f"{path} is not there", Exit.NOINPUT) from None
    except IsADirectoryError:
        raise Failure(f"{path} is a directory", Exit.NOINPUT) from None
    except UnicodeDecodeError:
        raise Failure(f"{path} is not UTF-8", Exit.DATAERR) from None
