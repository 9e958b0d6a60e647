"""twistmail mailbox import: other programs' mailboxes into an account's, through the store's own interface."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from twistmail.accounts.config import OPTIONS as USERS
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.foreign import FORMATS, local_time, source_at, told
from twistmail.cli.grammar import Verb
from twistmail.cli.opened import finished, mailbox, opened
from twistmail.cli.progress import Progress, progress
from twistmail.cli.stored import Storage
from twistmail.cli.tally import Tally
from twistmail.cli.terminal import Terminal
from twistmail.formats.contract import Format, Found, Skipped
from twistmail.formats.imported import Imported, fingerprint
from twistmail.formats.locks import MailboxBusy
from twistmail.mail.mailbox import FLAG_NAMES, NewMessage, StoreError
from twistmail.store import names

#: Beside the account's mail: see `formats.imported`.
MEMORY = "twistmail-imported"
#: What becomes durable together.
MOST_MESSAGES = 100
MOST_OCTETS = 8 * 1024 * 1024


@click.command("import", cls=Verb)
@click.argument("account")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--format", "format_name", type=FORMATS, help="What PATH is. Default: found out.")
@click.option("--folder", default=names.INBOX, show_default=True, help="Where it goes; the folders of a tree go below it.")
@click.option("--again", is_flag=True, help="Also what was imported from PATH before.")
@click.option("--new", is_flag=True, help="The account has no mail here yet, and is not in the database of users.")
@local_time
@click.option("--dry-run", is_flag=True, help="Only read, and count.")
@click.pass_obj
def import_(terminal: Terminal, account: str, path: Path, format_name: str | None, local_time: bool, **how: Any) -> int:
    """Import mailboxes of other programs into ACCOUNT, with dates, flags and keywords; its folders are made and subscribed.

    PATH is an mbox or MMDF file, an MH folder, a Maildir, or a directory with many of them. It works while the server runs,
    and PATH is only read. Interrupted and started again it goes on where it was, and a later run brings what has come since:
    the file twistmail-imported beside the account's mail remembers a fingerprint of each message that was brought from PATH.
    Status, X-Status, X-Keywords, X-UID, X-IMAP and X-IMAPbase fields of an mbox become flags and are taken off.
    """
    with told():
        origin, folders = source_at(path, format_name, local=local_time)
        if how["dry_run"]:
            return _counted(terminal, origin, folders)
        storage = Storage(terminal)
        name = _account(storage, account, is_new=how["new"])
        storage.become_owner()
        return _imported(storage, name, path, origin, folders, how["folder"], again=how["again"])


def _account(storage: Storage, name: str, *, is_new: bool) -> str:
    """The account that is meant. It may have no mail yet, then the database of users must know it, or who calls."""
    database = storage.config.file(storage.terminal.glance(USERS)[USERS.name].database)
    known = [account.name for account in AccountDatabase(database).list()] if database.exists() else []
    fitting = [one for one in known if name in (one, one.partition("@")[0])]
    if is_new or len(fitting) == 1:
        name = name if is_new else fitting[0]
        storage.checked(name)
        return name
    try:
        return storage.account(name)
    except Failure as unknown:
        step = f"{unknown.step}; a new one: twistmail user add, or --new where its account is kept elsewhere"
        raise Failure(unknown.message, unknown.exit_code, step) from None


def _counted(terminal: Terminal, origin: Format, folders: list[tuple[str, Path]]) -> int:
    tally = Tally(terminal, "would import")
    with progress(terminal, "reading", None) as bar:
        for _, place in folders:
            tally.folders += 1
            with origin.reading(place) as found:
                for one in found:
                    tally.skip(one) if isinstance(one, Skipped) else tally.count(one.message.content.size)
                    bar.step(at=str(place))
    return tally.tell()


def _imported(
    storage: Storage, account: str, path: Path, origin: Format, folders: list[tuple[str, Path]], below: str, *, again: bool
) -> int:
    tally = Tally(storage.terminal, "imported")
    with opened(storage) as store, progress(storage.terminal, "importing", None) as bar, _goes_on(tally):
        boxes = finished(store.mailboxes(account))
        memory = Imported(storage.directory(account) / MEMORY, str(path.resolve()))
        try:
            if again:
                memory.forget()
            for folder, place in folders:
                try:
                    name = _made(boxes, _target(below, folder))
                except StoreError as trouble:
                    tally.skip(Skipped(str(place), f"cannot be a folder ({trouble})"))
                    continue
                tally.folders += 1
                with mailbox(store, account, name) as box:
                    _Import(storage, box, memory, tally, bar).bring(origin, place)
        finally:
            memory.close()
    return tally.tell()


@contextmanager
def _goes_on(tally: Tally) -> Iterator[None]:
    """What stops an import says how far it came and that it can go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Failure(f"stopped; {tally.sentence()}", Exit.TEMPFAIL, "the same command goes on") from None
    except (MailboxBusy, FileNotFoundError):
        raise
    except OSError as trouble:
        full = trouble.errno in (errno.ENOSPC, errno.EDQUOT)
        step = "make room, or give more quota; then the same command goes on" if full else "the same command goes on"
        raise Failure(f"{trouble}; {tally.sentence()}", Exit.IOERR, step) from trouble


def _target(below: str, folder: str) -> str:
    """*folder* of the source, below the folder that was asked for. StoreError where that cannot be one."""
    if folder.upper() == names.INBOX:
        return names.normal(below)
    return names.normal(folder if below.upper() == names.INBOX else f"{below}/{folder}")


def _made(boxes: Any, name: str) -> str:
    """Folder *name*, made and subscribed where it is missing."""
    if name not in {folder.name for folder in finished(boxes.folders()) if folder.selectable}:
        finished(boxes.create(name))
        finished(boxes.subscribe(name, True))
    return name


@dataclass
class _Import:
    """One foreign mailbox into one of ours, in batches."""

    storage: Storage
    box: Any
    memory: Imported
    tally: Tally
    bar: Progress
    batch: list[tuple[bytes, NewMessage]] = field(default_factory=list)

    def bring(self, origin: Format, place: Path) -> None:
        self._recover()
        with self.storage.visiting(origin.reading(place)) as messages:
            while (found := self._next(messages)) is not None:
                self._take(found)
            self._flush()

    def _next(self, messages: Iterator[Found | Skipped]) -> Found | Skipped | None:
        with self.storage.as_caller():
            return next(messages, None)

    def _recover(self) -> None:
        """What an interrupted run has brought without noting it."""
        mark = self.memory.interrupted(self.box.name)
        if mark is None:
            return
        uidvalidity, uidnext = mark
        fresh = [uid for uid in self.box.uids if uid >= uidnext] if uidvalidity == self.box.uidvalidity else []
        self.memory.end_batch(self.box.name, [fingerprint(content) for _, content in finished(self.box.read(fresh))])

    def _take(self, found: Found | Skipped) -> None:
        self.bar.step(at=self.box.name)
        if isinstance(found, Skipped):
            self.tally.skip(found)
            return
        mark = fingerprint(found.message.content)
        if self.memory.has(self.box.name, mark):
            self.tally.before += 1
            return
        self.batch.append((mark, found.message))
        if len(self.batch) >= MOST_MESSAGES or sum(message.content.size for _, message in self.batch) >= MOST_OCTETS:
            self._flush()

    def _flush(self) -> None:
        if not self.batch:
            return
        self.memory.begin_batch(self.box.name, self.box.uidvalidity, self.box.uidnext)
        self._append([message for _, message in self.batch])
        self.memory.end_batch(self.box.name, [mark for mark, _ in self.batch])
        for _, message in self.batch:
            self.tally.count(message.content.size)
        self.batch.clear()

    def _append(self, messages: list[NewMessage]) -> None:
        """All of them; without keywords where the mailbox has as many as it can have."""
        try:
            finished(self.box.append(messages))
        except StoreError:
            if len(messages) > 1:
                for message in messages:
                    self._append([message])
                return
            known = tuple(flag for flag in messages[0].flags if flag in FLAG_NAMES or flag in self.box.keywords)
            finished(self.box.append([replace(messages[0], flags=known)]))
