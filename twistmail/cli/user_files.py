"""twistmail user export, import: users in files, to take them from one server to another."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from twistmail.accounts import file as passwd
from twistmail.accounts.config import PERSONAL
from twistmail.cli.completing import USER
from twistmail.cli.desk import Desk
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.new_file import write_new
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import plural
from twistmail.watched import MOST_OCTETS


@click.command("export", cls=Verb)
@click.argument("names", nargs=-1, type=USER, metavar="[NAME]...")
@click.option("--output", type=click.Path(path_type=Path), help="A new file, for the eyes of its owner only. Default: standard output.")
@click.pass_obj
def export(terminal: Terminal, names: tuple[str, ...], output: Path | None) -> None:
    """Write users with all that is kept of them, hashes of passwords too: one JSON object a line.

    All users of the database, or those named.
    """
    desk = Desk(terminal)
    chosen = names or tuple(row["name"] for row in desk.ask("user.list") if row["source"] == "database")
    lines = [json.dumps(desk.ask("user.dump", name=name), ensure_ascii=False) + "\n" for name in chosen]
    if output is None:
        click.echo("".join(lines), nl=False)
        return
    write_new(output, lines, 0o600)
    terminal.hint(f"{plural(len(lines), 'user')} written to {output}")


@click.command("import", cls=Verb)
@click.argument("path", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--domain", default="", help="The domain of names that have none.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.pass_obj
def import_(terminal: Terminal, path: Path, domain: str, dry_run: bool) -> int:
    """Make users of what `user export` has written, or of a passwd-file of Dovecot.

    Passwords are taken over as they are. Users that are there already stay as they are. Ends with 1 where a line was left out.
    """
    desk, made, left = Desk(terminal), 0, 0
    for number, row in _rows(path, domain):
        try:
            if isinstance(row, str):
                raise Failure(row, Exit.DATAERR)
            one = desk.ask("user.add", **row, dry_run=dry_run)
            made += 1
            if terminal.as_json:
                terminal.object(one)
        except Failure as trouble:
            if trouble.exit_code not in (Exit.DATAERR, Exit.USAGE):
                raise
            left += 1
            click.echo(f"{path}:{number}: {trouble.message}", err=True)
    told = f"{plural(made, 'user')} {'would be ' if dry_run else ''}made, {left} left out"
    terminal.hint(told) if terminal.as_json else terminal.say(told)
    return Exit.NOTHING if left else Exit.OK


def _rows(path: Path, domain: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """(line number, the arguments of `user.add`, or what is wrong) for each user in the file at *path*."""
    text = _text(path)
    if text.lstrip().startswith("{"):
        yield from _exported(text)
        return
    for number, line in enumerate(text.split("\n"), 1):
        read = passwd.parse(line, domain)
        for _, problem in read.problems:
            yield number, problem
        for entry in read.value.entries() if not read.problems else ():
            account = entry.account
            fields = {key: PERSONAL[key].write(getattr(account, key)) for key in PERSONAL}
            quota = "unlimited" if account.quota is None else account.quota
            enabled = "yes" if account.enabled else "no"
            row = {"name": account.name, "display_name": account.display_name, "quota": quota, "enabled": enabled, "secret": entry.secret}
            yield number, row | fields


def _exported(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield number, row if isinstance(row, dict) and isinstance(row.get("name"), str) else "this is no exported user"


def _text(path: Path) -> str:
    try:
        octets = sys.stdin.buffer.read(MOST_OCTETS) if str(path) == "-" else path.read_bytes()
        return octets.decode()
    except FileNotFoundError:
        raise Failure(f"{path} is not there", Exit.NOINPUT) from None
    except UnicodeDecodeError:
        raise Failure(f"{path} is not UTF-8", Exit.DATAERR) from None
