"""twistmail mailbox export: an account's mailboxes in the formats of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from twistmail.cli.foreign import FORMATS, appearing, told
from twistmail.cli.grammar import Verb
from twistmail.cli.opened import finished, flags_of, mailbox, opened
from twistmail.cli.progress import Progress, progress
from twistmail.cli.stored import Storage
from twistmail.cli.tally import Tally
from twistmail.cli.terminal import Terminal
from twistmail.formats.contract import Skipped, Writer
from twistmail.formats.known import named
from twistmail.mail.mailbox import Column, NewMessage

ALL = "all"
BLOCK = 500


@click.command("export", cls=Verb)
@click.argument("account")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--format", "format_name", type=FORMATS, default="mbox", show_default=True, help="What PATH becomes.")
@click.option("--folder", default=ALL, show_default=True, help="One folder, which PATH then is; or all, and PATH is a directory.")
@click.pass_obj
def export(terminal: Terminal, account: str, path: Path, format_name: str, folder: str) -> int:
    """Export the mail of ACCOUNT to PATH, with dates, flags and keywords.

    PATH must not be there yet; it appears when it is whole. It works while the server runs. Interrupted and started again it
    begins anew. In an mbox a Status, X-Status and X-Keywords field tells the flags.
    """
    storage = Storage(terminal)
    name = storage.account(account)
    storage.become_owner()
    tally = Tally(terminal, "exported")
    into = named(format_name)
    with opened(storage) as store, told(), storage.visiting(appearing(path)) as place:
        chosen = [folder] if folder != ALL else [one.name for one in finished(finished(store.mailboxes(name)).folders()) if one.selectable]
        with progress(terminal, "exporting", None) as bar:
            for one in chosen:
                where = place if folder != ALL else into.path_of(place, one)
                with mailbox(store, name, one) as box, storage.visiting(into.writing(where)) as writer:
                    _written(storage, box, writer, tally, bar)
    return tally.tell()


def _written(storage: Storage, box: Any, writer: Writer, tally: Tally, bar: Progress) -> None:
    """All messages of one mailbox, in the order of their UIDs."""
    tally.folders += 1
    uids = list(box.uids)
    flags = {uid: flags_of(bits, box.keywords) for uid, bits in zip(uids, box.bits, strict=True)}
    for start in range(0, len(uids), BLOCK):
        some = uids[start : start + BLOCK]
        dates = dict(finished(box.rows(some, (Column.INTERNALDATE,))))
        for uid, content in finished(box.read(some)):
            try:
                with storage.as_caller():
                    writer.add(NewMessage(content, flags[uid], dates.get(uid)))
            except FileNotFoundError:
                tally.skip(Skipped(f"{box.name} UID {uid}", "gone meanwhile"))
                continue
            tally.count(content.size)
            bar.step(at=box.name)
