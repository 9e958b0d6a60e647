"""twistmail mailbox expire: by hand, and for any folder, what [store] trash_after does by itself. Works on the files."""

from __future__ import annotations

import os
import time

import click

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.stored import Storage
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount, duration, plural, span
from twistmail.mail.mailbox import StoreError
from twistmail.store import names
from twistmail.store.upkeep import saved_before


@click.command("expire", cls=Verb)
@click.argument("account")
@click.option("--folder", required=True, help="The folder.")
@click.option("--older", required=True, callback=duration, help="What has lain there for so long: 90d.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only tell how much would go.")
@click.pass_obj
def expire(terminal: Terminal, account: str, folder: str, older: float, yes: bool, dry_run: bool) -> int:
    """Delete the mail of a folder that has lain there for long.

    Whoever has the folder open is told. Where [store] keep_expunged is set, it can be had back. Ends with 1 where there is none.
    """
    storage = Storage(terminal)
    storage.become_owner()
    tree = storage.tree(storage.account(account))
    folder = _existing(folder, tree.names())
    root, now = tree.root / names.directory_of(folder), time.time()
    found = sorted(saved_before(root, now - older), key=lambda pair: pair[1])
    octets = sum(_size(os.fsencode(root) + b"/" + path) for path, _ in found)
    if found and not dry_run:
        held = f"{plural(len(found), 'message')}, {amount(octets)}, the oldest {span(now - found[0][1])} old"
        fate = "they can be had back" if storage.settings.keep_expunged else "they cannot be had back"
        terminal.sure(f"Delete {held}, from {folder}? ({fate})", yes)
        tree.maildir(folder).remove([(path,) for path, _ in found])
    if terminal.as_json:
        terminal.object({"folder": folder, "messages": len(found), "octets": octets, "dry_run": dry_run})
    else:
        terminal.say(f"{folder}: {plural(len(found), 'message')}, {amount(octets)} {'would be ' if dry_run else ''}deleted")
    return Exit.OK if found else Exit.NOTHING


def _existing(folder: str, known: list[str]) -> str:
    try:
        name = names.normal(folder)
    except StoreError as trouble:
        raise Failure(str(trouble), Exit.USAGE) from None
    if name not in known:
        raise Failure(f"there is no folder {name}", Exit.NOINPUT, f"there are: {', '.join(known)}")
    return name


def _size(path: bytes) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0
