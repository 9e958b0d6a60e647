"""twistmail mailbox undelete: what users have deleted comes back. Works on the files; a running server sees them arrive."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.stored import Storage
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount, duration, plural, span
from twistmail.mail.mailbox import StoreError
from twistmail.store import kept, names
from twistmail.store.folders import FolderTree


@click.command("undelete", cls=Verb)
@click.argument("account")
@click.argument("uids", nargs=-1, metavar="[UID]...", type=click.IntRange(1, 0xFFFFFFFF))
@click.option("--folder", default=names.INBOX, show_default=True, help="The folder it was in; one that was deleted comes back whole.")
@click.option("--since", default=None, callback=duration, help="Only what was deleted in this time, such as 2d.")
@click.option("--dry-run", is_flag=True, help="Only tell what would come back.")
@click.pass_obj
def undelete(terminal: Terminal, account: str, uids: tuple[int, ...], folder: str, since: float | None, dry_run: bool) -> int:
    """Put back what was deleted, as long as [store] keep_expunged keeps it.

    Messages get new UIDs; their dates and flags stay. UID: that they had. Ends with 1 where there is nothing to put back.
    """
    storage = Storage(terminal)
    storage.become_owner()
    tree = storage.tree(storage.account(account))
    try:
        folder = names.normal(folder)
    except StoreError as trouble:
        raise Failure(str(trouble), Exit.USAGE) from None
    after = time.time() - since if since is not None else 0.0
    gone = [] if uids else [one for one in kept.folders(tree.root) if one.name == folder and one.deleted >= after][-1:]
    found = kept.messages(tree.root / names.directory_of(folder))
    chosen = [one for one in found if one.expunged >= after and (not uids or one.uid in uids)]
    if not gone and not chosen:
        _nothing(terminal, tree, folder)
        return Exit.NOTHING
    if dry_run:
        _list(terminal, gone, chosen)
        return Exit.OK
    _restore(terminal, tree, folder, gone, chosen)
    return Exit.OK


def _restore(
    terminal: Terminal, tree: FolderTree, folder: str, gone: Sequence[kept.KeptFolder], chosen: Sequence[kept.KeptMessage]
) -> None:
    whole = sum(kept.restore_folder(tree, one) for one in gone)
    count = kept.restore_messages(chosen, tree.root / names.directory_of(folder), tree.fresh_name)
    if terminal.as_json:
        terminal.object({"folder": folder, "folders": len(gone), "messages": whole + count})
        return
    back = f"the folder with {plural(whole, 'message')}, and {plural(count, 'message')}" if gone else plural(count, "message")
    terminal.say(f"{folder}: {back} put back")


def _list(terminal: Terminal, gone: Sequence[kept.KeptFolder], chosen: Sequence[kept.KeptMessage]) -> None:
    now = time.time()
    for one in gone:
        if terminal.as_json:
            terminal.object({"folder": one.name, "deleted": _iso(one.deleted), "deleted_s": one.deleted})
        else:
            terminal.say(f"{one.name}: the whole folder, deleted {span(now - one.deleted)} ago")
    rows = [(str(one.uid or "-"), span(now - one.expunged), amount(one.size), one.letters.decode("latin-1")) for one in chosen]
    if rows:
        terminal.table(("UID", "DELETED", "SIZE", "FLAGS"), rows, [_row(one) for one in chosen])


def _row(one: kept.KeptMessage) -> dict[str, Any]:
    flags = one.letters.decode("latin-1")
    return {"uid": one.uid or None, "deleted": _iso(one.expunged), "deleted_s": one.expunged, "size": one.size, "flags": flags}


def _nothing(terminal: Terminal, tree: FolderTree, folder: str) -> None:
    """Tell where there would be something."""
    others = {name for name in tree.names() if kept.messages(tree.root / names.directory_of(name))}
    others |= {one.name for one in kept.folders(tree.root)}
    where = f"; there is in: {', '.join(sorted(others))}" if others - {folder} else "; see [store] keep_expunged"
    terminal.hint(f"nothing to put back into {folder}{where}")


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
