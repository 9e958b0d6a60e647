"""twistmail mailbox convert: from one of the old formats to another. Needs no server and no configuration."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from twistmail.cli.foreign import FORMATS, appearing, is_single, local_time, source_at, told
from twistmail.cli.grammar import Verb
from twistmail.cli.progress import Progress, progress
from twistmail.cli.tally import Tally
from twistmail.cli.terminal import Terminal
from twistmail.formats.contract import Format, Skipped, Writer
from twistmail.formats.known import named


@click.command("convert", cls=Verb)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--from", "source_format", type=FORMATS, help="What SOURCE is. Default: found out.")
@click.option("--to", "target_format", type=FORMATS, required=True, help="What TARGET becomes.")
@local_time
@click.option("--dry-run", is_flag=True, help="Only read, and count.")
@click.pass_obj
def convert(
    terminal: Terminal, source: Path, target: Path, source_format: str | None, target_format: str, local_time: bool, dry_run: bool
) -> int:
    """Convert mailboxes from one format to another.

    SOURCE is a mailbox or a tree of them; TARGET must not be there yet. Dates, flags and keywords are kept. Interrupted and
    started again it begins anew; TARGET appears when it is whole. mboxo is an mbox whose writer quoted "From " only.
    """
    tally = Tally(terminal, "would convert" if dry_run else "converted")
    with told(), progress(terminal, "converting", None) as bar:
        origin, folders = source_at(source, source_format, local=local_time)
        into = named(target_format)
        with ExitStack() as stack:
            place = None if dry_run else stack.enter_context(appearing(target))
            for folder, path in folders:
                where = place if place is None or is_single(source, folders) else into.path_of(place, folder)
                _one(origin, path, into, where, tally, bar)
    return tally.tell()


def _one(origin: Format, path: Path, into: Format, where: Path | None, tally: Tally, bar: Progress) -> None:
    """One mailbox; *where* None: only counted."""
    tally.folders += 1
    with ExitStack() as stack:
        writer: Writer | None = None if where is None else stack.enter_context(into.writing(where))
        for found in stack.enter_context(origin.reading(path)):
            if isinstance(found, Skipped):
                tally.skip(found)
                continue
            if writer:
                writer.add(found.message)
            tally.count(found.message.content.size)
            bar.step(at=str(path))
