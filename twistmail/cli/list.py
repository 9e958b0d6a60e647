"""twistmail list: the mailing lists and who is on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from twistmail.cli.desk import Desk
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.terminal import Terminal

LIST = click.argument("name", metavar="LIST")
ADDRESSES = click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("list", cls=Noun)
def group() -> None:
    """Mailing lists and their members."""


@group.command("list")
@click.pass_obj
def list_(terminal: Terminal) -> None:
    """List the mailing lists: how many are on each, who may write, whom to ask."""
    found = Desk(terminal).ask("list.all")
    rows = [(one["name"], str(one["members"]), str(one["suspended"]), one["post"], " ".join(one["owners"])) for one in found]
    if rows or terminal.as_json:
        terminal.table(("LIST", "MEMBERS", "SUSPENDED", "MAY WRITE", "OWNERS"), rows, found)
    else:
        terminal.hint("no lists; make one by a section [list:NAME@DOMAIN]")


@group.command()
@LIST
@click.pass_obj
def show(terminal: Terminal, name: str) -> None:
    """Show one list: its members are counted, its addresses told."""
    row = Desk(terminal).ask("list.show", name=name)
    if terminal.as_json:
        terminal.object(row)
        return
    addresses = {f"{role} by": address for role, address in row.pop("addresses").items()}
    terminal.show(row | {"owners": " ".join(row["owners"])} | addresses)


@group.command()
@LIST
@click.option("--suspended", is_flag=True, help="Only those who get nothing at the moment.")
@click.pass_obj
def members(terminal: Terminal, name: str, suspended: bool) -> None:
    """List who is on a list, where that is written, and whose mail came back."""
    found = [one for one in Desk(terminal).ask("list.members", name=name) if one["suspended"] or not suspended]
    rows = [(one["address"], one["source"], one["state"], str(one["bounces"] or "-"), one["why"]) for one in found]
    if rows or terminal.as_json:
        terminal.table(("ADDRESS", "SOURCE", "STATE", "BOUNCES", "LAST TIME"), rows, found)
    else:
        terminal.hint(f"nobody is on {name}" if not suspended else f"nobody on {name} is suspended")


@group.command()
@LIST
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
@click.option("--from", "file", type=FILE, metavar="FILE", help="And those in FILE, one a line.")
@click.pass_obj
def add(terminal: Terminal, name: str, addresses: tuple[str, ...], file: Path | None) -> None:
    """Put somebody on a list, or many; also who was suspended or had left. Nobody is written to."""
    wanted = [*addresses, *(_read(file) if file else ())]
    if not wanted:
        raise Failure("whom?", Exit.USAGE, f"twistmail list add {name} anna@blue.example, or --from FILE")
    done = Desk(terminal).ask("list.add", name=name, addresses=wanted)
    if terminal.as_json:
        terminal.object(done)
        return
    terminal.say(f"{len(done['added'])} added" + (f", {len(done['were_members'])} are members already" if done["were_members"] else ""))


def _read(file: Path) -> list[str]:
    """The addresses in *file*, as [list:...] members = file:PATH has them."""
    from twistmail.lists.sources import read

    try:
        found = read(file.read_text("utf-8"))
    except UnicodeDecodeError:
        raise Failure(f"{file} is not UTF-8", Exit.DATAERR) from None
    if found.problems:
        line, text = found.problems[0]
        more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
        raise Failure(f"{file}:{line}: {text}{more}", Exit.DATAERR, "nobody was added; mend the file")
    return [str(address) for address in found.value]


@group.command()
@LIST
@ADDRESSES
@click.pass_obj
def remove(terminal: Terminal, name: str, addresses: tuple[str, ...]) -> None:
    """Take somebody off a list. Whom a file or the configuration names is kept out of it all the same."""
    done = Desk(terminal).ask("list.remove", name=name, addresses=list(addresses))
    if terminal.as_json:
        terminal.object(done)
        return
    for address in done["removed"]:
        terminal.say(f"{address} removed")
    for one in done["kept_out"]:
        terminal.say(f"{one['address']} gets nothing more, although {one['source']} names him")


def _changed(terminal: Terminal, verb: str, **arguments: Any) -> None:
    done = Desk(terminal).ask(f"list.{verb}", **arguments)
    if terminal.as_json:
        terminal.object(done)
        return
    for word, found in done.items():
        for address in found:
            terminal.say(f"{address} {word}")


@group.command()
@LIST
@ADDRESSES
@click.pass_obj
def suspend(terminal: Terminal, name: str, addresses: tuple[str, ...]) -> None:
    """Send nothing to a member for a while (retry_after)."""
    _changed(terminal, "suspend", name=name, addresses=list(addresses))


@group.command()
@LIST
@ADDRESSES
@click.pass_obj
def resume(terminal: Terminal, name: str, addresses: tuple[str, ...]) -> None:
    """Send to a suspended member again, and forget what came back."""
    _changed(terminal, "resume", name=name, addresses=list(addresses))
