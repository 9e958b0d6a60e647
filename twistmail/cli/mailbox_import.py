"""twistmail mailbox import: other programs' mailboxes into an account's, through the store's own interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from twistmail.cli.bringing import MEMORY, MOST_MESSAGES, MOST_OCTETS, account_for, append, fingerprints_above, goes_on, made, target
from twistmail.cli.foreign import FORMATS, local_time, source_at, told
from twistmail.cli.grammar import Verb
from twistmail.cli.opened import finished, mailbox, opened
from twistmail.cli.progress import Progress, progress
from twistmail.cli.stored import Storage
from twistmail.cli.tally import Tally
from twistmail.cli.terminal import Terminal
from twistmail.formats.contract import Format, Found, Skipped
from twistmail.formats.imported import Imported, fingerprint
from twistmail.mail.mailbox import NewMessage, StoreError
from twistmail.store import names


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
        name = account_for(storage, account, is_new=how["new"])
        storage.become_owner()
        return _imported(storage, name, path, origin, folders, how["folder"], again=how["again"])


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
    with opened(storage) as store, progress(storage.terminal, "importing", None) as bar, goes_on(tally):
        boxes = finished(store.mailboxes(account))
        memory = Imported(storage.directory(account) / MEMORY, str(path.resolve()))
        try:
            if again:
                memory.forget()
            for folder, place in folders:
                try:
                    name = made(boxes, target(below, folder))
                except StoreError as trouble:
                    tally.skip(Skipped(str(place), f"cannot be a folder ({trouble})"))
                    continue
                tally.folders += 1
                with mailbox(store, account, name) as box:
                    _Import(storage, box, memory, tally, bar).bring(origin, place)
        finally:
            memory.close()
    return tally.tell()


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
        if mark is not None:
            self.memory.end_batch(self.box.name, fingerprints_above(self.box, *mark))

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
        append(self.box, [message for _, message in self.batch])
        self.memory.end_batch(self.box.name, [mark for mark, _ in self.batch])
        for _, message in self.batch:
            self.tally.count(message.content.size)
        self.batch.clear()
