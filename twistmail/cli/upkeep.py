"""twistmail mailbox list, usage, check, repair: what an account has, and whether it is sound. Works on the files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict

import click

from twistmail import tenancy
from twistmail.cli import verify
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.progress import progress
from twistmail.cli.stored import Storage
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount, plural
from twistmail.store.folders import FolderTree
from twistmail.store.repair import Cure, repair, repair_index
from twistmail.store.usage import FolderUsage, folder_usages


@click.command("list", cls=Verb)
@click.argument("account")
@click.pass_obj
def list_(terminal: Terminal, account: str) -> int:
    """List the folders of an account, with what is in them."""
    storage = Storage(terminal)
    found = list(folder_usages(storage.tree(storage.account(account))))
    headings = ("FOLDER", "MESSAGES", "UNSEEN", "SIZE", "USE", "SUBSCRIBED", "KEPT")
    terminal.table(headings, [_cells(one) for one in found], [asdict(one) for one in found])
    return Exit.OK


def _cells(one: FolderUsage) -> tuple[str, ...]:
    subscribed = "yes" if one.subscribed else "no"
    return (one.name, str(one.messages), str(one.unseen), amount(one.octets), " ".join(one.uses), subscribed, str(one.kept))


@click.command("usage", cls=Verb)
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--all", "everybody", is_flag=True, help="All accounts that have mail.")
@click.pass_obj
def usage(terminal: Terminal, accounts: tuple[str, ...], everybody: bool) -> int:
    """Tell how much mail accounts have."""
    if not accounts and not everybody:
        raise Failure("whose mail?", Exit.USAGE, "name accounts, or write --all")
    storage = Storage(terminal)
    chosen = storage.chosen(accounts)
    rows = []
    with progress(terminal, "counting", len(chosen)) as bar:
        for account in chosen:
            rows.append((account, *_sum(folder_usages(storage.tree(account)))))
            bar.step(at=account)
    names = ("account", "folders", "messages", "octets", "kept")
    cells = [(account, str(folders), str(count), amount(octets), str(kept)) for account, folders, count, octets, kept in rows]
    terminal.table(("ACCOUNT", "FOLDERS", "MESSAGES", "SIZE", "KEPT"), cells, [dict(zip(names, row, strict=True)) for row in rows])
    return Exit.OK


def _sum(folders: Iterable[FolderUsage]) -> tuple[int, int, int, int]:
    found = list(folders)
    return len(found), sum(one.messages for one in found), sum(one.octets for one in found), sum(one.kept for one in found)


@click.command("check", cls=Verb)
@click.argument("account")
@click.option("--deep", is_flag=True, help="Read every message, too: finds what was overwritten with zeros, and wrong sizes.")
@click.option("--notes", is_flag=True, help="Tell also what may be so and goes by itself.")
@click.pass_obj
def check(terminal: Terminal, account: str, deep: bool, notes: bool) -> int:
    """Look through the mailboxes of an account, as twistmail verify does. Ends with 1 where there are errors."""
    report = verify.checked(terminal, (account,), deep=deep)
    verify.tell(terminal, report, notes=notes)
    return Exit.OK if report.is_sound else Exit.NOTHING


@click.command("repair", cls=Verb)
@click.argument("account")
@click.option("--folder", "folders", multiple=True, help="Only this folder; repeatable.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.pass_obj
def repair_(terminal: Terminal, account: str, folders: tuple[str, ...], dry_run: bool) -> int:
    """Cure what twistmail verify finds in the mailboxes of an account, as far as no mail is lost by it.

    Files that hold no message go to damaged/ beside; nothing is deleted. Every UID that can be kept is kept.
    Ends with 1 where errors are left.
    """
    storage = Storage(terminal)
    storage.become_owner()
    account = storage.account(account)
    tree = storage.tree(account)
    done = [cure for name in _chosen(tree, folders) for cure in repair(tree, name, secrets.token_bytes, dry_run=dry_run)]
    done += _mend_index(terminal, storage, tree, dry_run=dry_run)
    _tell(terminal, done, dry_run=dry_run)
    if dry_run:
        return Exit.OK
    report = verify.checked(terminal, (account,))
    if not report.is_sound:
        verify.tell(terminal, report, notes=False)
    return Exit.OK if report.is_sound else Exit.NOTHING


def _mend_index(terminal: Terminal, storage: Storage, tree: FolderTree, *, dry_run: bool) -> list[Cure]:
    wanted = repair_index(tree, dry_run=True)
    if not wanted or dry_run:
        return wanted
    try:
        home = tenancy.occupy(storage.root)
    except tenancy.Occupied:
        terminal.hint("the index is wrong and a server uses it: stop the server, then repair again")
        return []
    try:
        return repair_index(tree)
    finally:
        os.close(home)


def _chosen(tree: FolderTree, folders: tuple[str, ...]) -> list[str]:
    known = tree.names()
    for name in folders:
        if name not in known:
            raise Failure(f"there is no folder {name}", Exit.NOINPUT, f"there are: {', '.join(known)}")
    return list(folders) or known


def _tell(terminal: Terminal, done: list[Cure], *, dry_run: bool) -> None:
    for cure in done:
        if terminal.as_json:
            terminal.object({**asdict(cure), "dry_run": dry_run})
        else:
            terminal.say(f"{cure.path}: {cure.did}")
    terminal.hint(f"{plural(len(done), 'thing')} {'would be' if dry_run else 'were' if len(done) != 1 else 'was'} done")
