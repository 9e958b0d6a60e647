"""twistmail backup: copies of the mail, made while the server runs. Works on the files."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from twistmail.accounts.config import OPTIONS as USERS
from twistmail.aliases.table import FILES as ALIAS_FILES
from twistmail.aliases.table import OPTIONS as ALIASES
from twistmail.backup import restore as restoring
from twistmail.backup.check import problems_of
from twistmail.backup.copying import sync
from twistmail.backup.create import Making, back_up_account
from twistmail.backup.manifest import DamagedBackup, Summary, read_summary, write_summary
from twistmail.backup.server_files import OWN_SECRET, ServerFiles, back_up_server, restore_accounts, restore_members, restore_queue
from twistmail.backup.shelf import OPTIONS as BACKUP
from twistmail.backup.shelf import Busy, Shelf, remove
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.progress import progress
from twistmail.cli.stored import Storage
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount, plural, span
from twistmail.config.server import SERVER
from twistmail.lists.book import FILE as LISTS
from twistmail.lists.settings import FILE as FROM_FILE
from twistmail.lists.settings import LIST
from twistmail.mail.mailbox import StoreError
from twistmail.queue.spool import OPTIONS as QUEUE
from twistmail.store import names

IN_FILE = f"{FROM_FILE}:"


@click.group("backup", cls=Noun)
def group() -> None:
    """Copies of the mail, made while the server runs."""


def _shelf(terminal: Terminal, directory: str | None) -> Shelf:
    config = terminal.glance(BACKUP)
    return Shelf(Path(directory) if directory else config.file(config["backup"].directory))


def _to(command: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option("--to", "--in", "directory", metavar="DIR", help="Where the backups are; else [backup] directory.")
    return option(command)  # type: ignore[no-any-return]


# ----- create


@group.command()
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@_to
@click.pass_obj
def create(terminal: Terminal, accounts: tuple[str, ...], directory: str | None) -> int:
    """Copy all mail, or that of some accounts, into a new backup. The server may run.

    Without ACCOUNT the backup also holds the accounts themselves, the queue, the members of lists, the server's own secret and the
    configuration as it is written (secrets that it takes from elsewhere, and the keys of [tls], it does not). What the last backup
    has already is not read again. A backup that was interrupted goes on. Ends with 1 where something could not be read.
    """
    storage = Storage(terminal)
    storage.become_owner()
    chosen = storage.chosen(accounts)
    shelf = _shelf(terminal, directory)
    try:
        with shelf.being_made(time.time()) as part:
            summary, problems = _fill(terminal, storage, shelf, part, chosen, everything=not accounts)
            sync(part)
            path = shelf.finish(part)
    except Busy as busy:
        raise Failure(str(busy), Exit.TEMPFAIL, "wait for it") from None
    except KeyboardInterrupt:
        raise Failure("stopped", Exit.TEMPFAIL, "the same command goes on where it stopped") from None
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)
    _tell(terminal, path, summary)
    return Exit.NOTHING if problems else Exit.OK


def _fill(
    terminal: Terminal, storage: Storage, shelf: Shelf, part: Path, accounts: list[str], *, everything: bool
) -> tuple[Summary, list[str]]:
    complete = shelf.complete()
    summary = Summary(time.time(), storage.config["server"].hostname)
    problems: list[str] = []
    with progress(terminal, "backup", None) as bar:
        making = Making(part, complete[-1] if complete else None, summary.created, bar.step)
        for account in accounts:
            summary.accounts[account], found = back_up_account(storage.tree(account), account, making)
            problems += found
    if everything:
        summary.server, found = back_up_server(_server_files(terminal), part)
        problems += found
    write_summary(part, summary)
    return summary, problems


def _server_files(terminal: Terminal) -> ServerFiles:
    users, aliases, queue = terminal.glance(USERS), terminal.glance(ALIASES), terminal.glance(QUEUE)
    files = [terminal.file] if terminal.file else []
    for pattern in terminal.glance(SERVER)["server"].include:
        files += sorted(terminal.file.parent.glob(pattern)) if terminal.file and not pattern.startswith("/") else []
    for source in (*users["users"].source, *aliases["aliases"].source):
        kind, _, path = source.partition(":")
        if kind in ("passwd", *ALIAS_FILES):
            files.append(users.file(path))
    databases = users.file(users["users"].database), aliases.file(aliases["aliases"].database), users.data_dir / LISTS
    lists = terminal.glance(LIST)
    members = [word.removeprefix(IN_FILE) for one in lists.named(LIST.name).values() for word in one.members if word.startswith(IN_FILE)]
    return ServerFiles(
        *databases, queue.file(queue["queue"].path), tuple(files), users.data_dir / OWN_SECRET, {text: lists.file(text) for text in members}
    )


def _tell(terminal: Terminal, path: Path, summary: Summary) -> None:
    if terminal.as_json:
        terminal.object(_row(path, summary))
        return
    held = f"{plural(len(summary.accounts), 'account')}, {plural(summary.messages, 'message')}, {amount(summary.octets)}"
    terminal.say(f"{path}: {held}{'' if summary.server else '; without accounts, queue and configuration'}")


def _row(path: Path, summary: Summary) -> dict[str, Any]:
    created = datetime.fromtimestamp(summary.created, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "name": path.name, "path": str(path), "created": created, "created_s": summary.created, "hostname": summary.hostname,
        "accounts": sorted(summary.accounts), "messages": summary.messages, "octets": summary.octets, "server": summary.server is not None,
    }  # fmt: skip


# ----- list, verify, prune


@group.command("list")
@_to
@click.pass_obj
def list_(terminal: Terminal, directory: str | None) -> int:
    """List the backups that are complete, oldest first."""
    shelf = _shelf(terminal, directory)
    rows, objects = [], []
    for path in shelf.complete():
        try:
            summary = read_summary(path)
        except DamagedBackup as damage:
            click.echo(f"warning: {damage}", err=True)
            continue
        held = (str(len(summary.accounts)), str(summary.messages), amount(summary.octets), "yes" if summary.server else "no")
        rows.append((path.name, span(time.time() - summary.created), *held))
        objects.append(_row(path, summary))
    if rows or terminal.as_json:
        terminal.table(("NAME", "AGE", "ACCOUNTS", "MESSAGES", "SIZE", "SERVER"), rows, objects)
    else:
        terminal.hint(f"no backups in {shelf.directory}   make one: twistmail backup create")
    for path in shelf.unfinished():
        terminal.hint(f"{path.name} was begun and not finished; twistmail backup create goes on with it")
    return Exit.OK


def _found(terminal: Terminal, shelf: Shelf, name: str) -> tuple[Path, Summary]:
    path = shelf.find(name)
    if path is None:
        raise Failure(f"there is no backup {name} in {shelf.directory}", Exit.NOINPUT, "twistmail backup list   shows those that there are")
    try:
        return path, read_summary(path)
    except DamagedBackup as damage:
        raise Failure(str(damage), Exit.DATAERR, "twistmail backup list   shows those that are whole") from None


@group.command()
@click.argument("backup", default="latest")
@_to
@click.pass_obj
def verify(terminal: Terminal, backup: str, directory: str | None) -> int:
    """Read a backup and compare every file with what was written down. Ends with 1 where something is missing or different.

    BACKUP: its name, the beginning of it, a directory, or latest.
    """
    path, summary = _found(terminal, _shelf(terminal, directory), backup)
    count = 0
    files = sum(share.files for share in summary.accounts.values()) + (summary.server.files if summary.server else 0)
    with progress(terminal, "verifying", files) as bar:
        for problem in problems_of(path, summary, bar.step):
            count += 1
            terminal.object({"problem": problem}) if terminal.as_json else terminal.say(problem)
    terminal.hint(f"{path.name}: {plural(files, 'file')}, {plural(count, 'problem')}")
    return Exit.NOTHING if count else Exit.OK


@group.command()
@click.option("--keep", type=click.IntRange(1), help="How many to leave; else [backup] keep.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be deleted.")
@_to
@click.pass_obj
def prune(terminal: Terminal, keep: int | None, dry_run: bool, directory: str | None) -> int:
    """Delete the oldest backups, and what was begun before the newest and never finished."""
    shelf = _shelf(terminal, directory)
    keep = keep or max(terminal.glance(BACKUP)["backup"].keep, 1)
    doomed = shelf.too_many(keep)
    for path in doomed:
        if not dry_run:
            remove(path)
        terminal.object({"name": path.name, "deleted": not dry_run}) if terminal.as_json else terminal.say(
            f"{path.name} {'would be' if dry_run else 'was'} deleted"
        )
    terminal.hint(f"{plural(len(shelf.complete()), 'backup')} in {shelf.directory}")
    return Exit.OK


# ----- restore


@group.command()
@click.argument("backup")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--folder", "folders", multiple=True, help="Only this folder; repeatable.")
@click.option("--message", "uids", multiple=True, type=click.IntRange(1, 0xFFFFFFFF), metavar="UID", help="Only this message of --folder.")
@click.option("--as", "target", metavar="ACCOUNT", help="Into this account instead.")
@click.option("--users", is_flag=True, help="The databases of accounts and aliases, too; there must be none.")
@click.option("--queue", is_flag=True, help="The queue, too: what was sent since the backup is sent again. The server must not run.")
@click.option("--dry-run", is_flag=True, help="Only tell what would come back.")
@_to
@click.pass_obj
def restore(terminal: Terminal, backup: str, directory: str | None, **asked: Any) -> int:
    """Bring mail back from BACKUP: all of it, or that of some accounts, folders or messages.

    A mailbox that holds nothing comes back as it was, UIDs and all; into others only messages that they lack are put. BACKUP: its
    name, the beginning of it, a directory, or latest. An interrupted restore goes on when it is called again. Ends with 1 where a
    file of the backup is damaged.
    """
    path, summary = _found(terminal, _shelf(terminal, directory), backup)
    wish = _wish(asked)
    chosen = _accounts(summary, asked["accounts"])
    if asked["target"] and len(chosen) != 1:
        raise Failure(f"--as names one account; which of these goes into it: {', '.join(chosen)}?", Exit.USAGE, "name one ACCOUNT")
    storage = _storage(terminal, dry_run=asked["dry_run"])
    try:
        problems = _restore_server(terminal, path, summary, asked)
        problems += _restore_mail(
            terminal, storage, path, summary, {name: asked["target"] or name for name in chosen}, wish, asked["dry_run"]
        )
    except DamagedBackup as damage:
        raise Failure(str(damage), Exit.DATAERR, "twistmail backup verify   tells what else is damaged") from None
    except KeyboardInterrupt:
        raise Failure("stopped", Exit.TEMPFAIL, "the same command goes on where it stopped") from None
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)
    return Exit.NOTHING if problems else Exit.OK


def _wish(asked: dict[str, Any]) -> restoring.Wish:
    if asked["uids"] and len(asked["folders"]) != 1:
        raise Failure("--message counts in one folder", Exit.USAGE, "add --folder NAME")
    try:
        return restoring.Wish(tuple(names.normal(name) for name in asked["folders"]), frozenset(asked["uids"]))
    except StoreError as trouble:
        raise Failure(str(trouble), Exit.USAGE) from None


def _accounts(summary: Summary, wanted: tuple[str, ...]) -> list[str]:
    """The accounts of the backup that are meant; a missing domain is completed where only one fits."""
    chosen = []
    for name in wanted:
        fitting = [one for one in summary.accounts if name in (one, one.partition("@")[0])]
        if len(fitting) != 1:
            raise Failure(f"the backup has no mail of {name}", Exit.NOUSER, f"it has: {', '.join(sorted(summary.accounts)) or 'none'}")
        chosen += fitting
    return chosen or sorted(summary.accounts)


def _storage(terminal: Terminal, *, dry_run: bool) -> Storage:
    """The store; on a new machine its folder is made."""
    data_dir = terminal.glance(SERVER).data_dir
    if not dry_run:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    storage = Storage(terminal)
    storage.become_owner()
    return storage


def _restore_server(terminal: Terminal, path: Path, summary: Summary, asked: dict[str, Any]) -> list[str]:
    if not (asked["users"] or asked["queue"]) or asked["dry_run"]:
        return []
    if summary.server is None:
        raise Failure(f"{path.name} has neither accounts nor queue", Exit.DATAERR, "it was made of some accounts only")
    files = _server_files(terminal)
    problems: list[str] = []
    if asked["users"]:
        try:
            restored = restore_accounts(path, files)
        except FileExistsError as error:
            raise Failure(str(error), Exit.CANTCREAT) from None
        members, problems = restore_members(path, files)
        for file in (*restored, *members):
            terminal.hint(f"{file} restored")
    if asked["queue"]:
        terminal.hint(f"{plural(restore_queue(path, files.queue), 'item')} put into the queue")
    return problems


def _restore_mail(
    terminal: Terminal, storage: Storage, path: Path, summary: Summary, accounts: dict[str, str], wish: restoring.Wish, dry_run: bool
) -> list[str]:
    problems = []
    with progress(terminal, "restoring", sum(summary.accounts[name].messages for name in accounts)) as bar:
        for source, target in accounts.items():
            found = restoring.entries_of(path, summary, source)
            missing = [name for name in wish.folders if name not in found]
            if missing:
                raise Failure(f"the backup of {source} has no folder {missing[0]}", Exit.NOINPUT, f"it has: {', '.join(sorted(found))}")
            try:
                tree = storage.tree(target)
            except ValueError:
                raise Failure(f"{target} cannot be an account", Exit.USAGE, "write the full address, such as anna@blue.example") from None
            outcome = restoring.restore_account(path, source, found, tree, wish, bar.step, dry_run=dry_run)
            _report(terminal, target, outcome, dry_run=dry_run)
            problems += outcome.problems
    return problems


def _report(terminal: Terminal, account: str, outcome: restoring.Outcome, *, dry_run: bool) -> None:
    if terminal.as_json:
        counted = {"restored": outcome.restored, "present": outcome.present, "problems": len(outcome.problems)}
        terminal.object({"account": account, **counted, "exact": outcome.exact, "merged": outcome.merged, "dry_run": dry_run})
        return
    verb = "would be restored" if dry_run else "restored"
    terminal.say(f"{account}: {plural(outcome.restored, 'message')} {verb}, {outcome.present} were there")
