"""twistmail msg: single messages in an account's mailboxes: found, looked at, taken apart, moved aside (R69).

Works on the store, whether or not the server runs. No message is ever changed,
and the UIDs of the others stay as they are.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.opened import finished, flags_of, mailbox, opened
from twistmail.cli.stored import Storage
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount, duration, octets, plural
from twistmail.mail import attachments, headers
from twistmail.mail.attachments import Attachment
from twistmail.mail.content import Content
from twistmail.mail.mailbox import Column, StoreError
from twistmail.mail.parts import Part, scan

HELD = "Held"
BLOCK = 500
UIDS = click.IntRange(1, 0xFFFFFFFF)
_FILE_NAMES = 1000


@click.group("msg", cls=Noun)
def group() -> None:
    """Single messages in the mailboxes of an account."""


def _folder_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--folder", default="INBOX", show_default=True, help="The mailbox.")(command)


@dataclass(frozen=True)
class _Place:
    """A mailbox that a command works on."""

    storage: Storage
    boxes: Any
    box: Any
    account: str


@contextmanager
def _place(terminal: Terminal, account: str, folder: str) -> Iterator[_Place]:
    storage = Storage(terminal)
    name = storage.account(account)
    storage.become_owner()
    with opened(storage) as store, mailbox(store, name, folder) as box:
        yield _Place(storage, finished(store.mailboxes(name)), box, name)


def _content(place: _Place, uid: int) -> Content:
    found = finished(place.box.read([uid]))
    if not found:
        raise _unknown(place, [uid])
    return found[0][1]


def _unknown(place: _Place, uids: list[int]) -> Failure:
    words = " ".join(map(str, uids))
    step = f"those that there are: twistmail msg list {place.account} --folder {place.box.name}"
    return Failure(f"{place.box.name} of {place.account} has no UID {words}", Exit.NOUSER, step)


# ----- list


@dataclass(frozen=True)
class _Wanted:
    """What `msg list` was asked for; what is None does not matter."""

    larger: int | None
    smaller: int | None
    since: float | None
    sender: str | None
    recipient: str | None
    subject: str | None

    def fits(self, size: int, date: float) -> bool:
        return (
            (self.larger is None or size > self.larger)
            and (self.smaller is None or size < self.smaller)
            and (self.since is None or date >= self.since)
        )

    def fits_text(self, row: dict[str, Any]) -> bool:
        wanted = (("from", self.sender), ("to", self.recipient), ("subject", self.subject))
        return all(text is None or text.casefold() in row[name].casefold() for name, text in wanted)


@group.command("list")
@click.argument("account")
@_folder_option
@click.option("--larger", callback=octets, metavar="SIZE", help="Above this size, such as 50M.")
@click.option("--smaller", callback=octets, metavar="SIZE", help="Below this size.")
@click.option("--since", callback=duration, metavar="TIME", help="Arrived in this time, such as 2d.")
@click.option("--from", "sender", metavar="TEXT", help="The From field has this in it, in any case.")
@click.option("--to", "recipient", metavar="TEXT", help="The To field has this in it.")
@click.option("--subject", metavar="TEXT", help="The subject has this in it.")
@click.pass_obj
def list_(terminal: Terminal, account: str, folder: str, since: float | None, **rest: Any) -> int:
    """List messages of a mailbox, all or those that fit everything that is asked for. Ends with 1 where there are none."""
    wanted = _Wanted(since=None if since is None else time.time() - since, **rest)
    with _place(terminal, account, folder) as place:
        found = list(_rows(place.box, wanted))
    if not found:
        terminal.hint("no message fits" if any(value is not None for value in vars(wanted).values()) else f"{folder} is empty")
        return Exit.NOTHING
    cells = [(str(row["uid"]), row["date"], amount(row["size"]), " ".join(row["flags"]), row["from"], row["subject"]) for row in found]
    terminal.table(("UID", "DATE", "SIZE", "FLAGS", "FROM", "SUBJECT"), cells, found)
    return Exit.OK


def _rows(box: Any, wanted: _Wanted) -> Iterator[dict[str, Any]]:
    """Sizes and dates first, because they cost nothing; only what fits them is read."""
    uids = list(box.uids)
    bits = dict(zip(uids, box.bits, strict=True))
    for start in range(0, len(uids), BLOCK):
        narrow = finished(box.rows(uids[start : start + BLOCK], (Column.SIZE, Column.INTERNALDATE)))
        fitting = {uid: (size, date) for uid, size, date in narrow if wanted.fits(size, date)}
        for uid, header in finished(box.rows(list(fitting), (Column.HEADER,))) if fitting else ():
            row = _row(uid, *fitting[uid], flags_of(bits[uid], box.keywords), header)
            if wanted.fits_text(row):
                yield row


def _row(uid: int, size: int, date: float, flags: tuple[str, ...], header: bytes) -> dict[str, Any]:
    texts = {name: headers.text(header, name.replace("_", "-").encode()) for name in ("from", "to", "subject", "message_id")}
    return {"uid": uid, "date": _iso(date), "date_s": date, "size": size, "flags": list(flags), **texts}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# ----- show


@group.command()
@click.argument("account")
@click.argument("uid", type=UIDS)
@_folder_option
@click.option("--raw", is_flag=True, help="The message itself, as it came, with CRLF line ends.")
@click.pass_obj
def show(terminal: Terminal, account: str, uid: int, folder: str, raw: bool) -> None:
    """Show what a message is, and of which parts it consists; with --raw the message itself."""
    with _place(terminal, account, folder) as place:
        content = _content(place, uid)
        if raw:
            for chunk in content.chunks():
                sys.stdout.buffer.write(chunk)
            return
        ((_, size, date, header),) = finished(place.box.rows([uid], (Column.SIZE, Column.INTERNALDATE, Column.HEADER)))
        bits = place.box.bits[list(place.box.uids).index(uid)]
        row = _row(uid, size, date, flags_of(bits, place.box.keywords), header)
        parts = [_part(part) for part in scan(b"".join(content.chunks())).walk() if not part.is_multipart]
    if terminal.as_json:
        terminal.object(row | {"parts": parts})
        return
    terminal.show(
        {name: value for name, value in row.items() if name != "date_s"} | {"size": amount(size), "flags": " ".join(row["flags"])}
    )
    for part in parts:
        terminal.say(
            f"part        {part['type']}, {amount(part['size'])}, {part['encoding']}" + (f", {part['name']}" if part["name"] else "")
        )


def _part(part: Part) -> dict[str, Any]:
    kind = f"{part.type.decode('latin-1')}/{part.subtype.decode('latin-1')}".lower()
    encoding = (part.encoding or b"7bit").decode("latin-1").lower()
    return {"type": kind, "size": part.size, "encoding": encoding, "name": attachments.name_of(part)}


# ----- extract


@group.command()
@click.argument("account")
@click.argument("uid", type=UIDS)
@_folder_option
@click.option("--decode", type=click.Choice(["auto", "uu", "base64"]), default="auto", show_default=True, help="Only what is encoded so.")
@click.option("--dir", "--to", "directory", type=click.Path(path_type=Path), default=Path(), help="Where the files go. Default: here.")
@click.option("--dry-run", is_flag=True, help="Only tell what there is.")
@click.pass_obj
def extract(terminal: Terminal, account: str, uid: int, folder: str, decode: str, directory: Path, dry_run: bool) -> int:
    """Write the files in a message to a directory: attachments, and uuencoded files in the middle of the text.

    The octets are those that were sent. Names lead nowhere else, and no file is overwritten: a name that is taken gets a
    number. Ends with 1 where the message has no files.
    """
    with _place(terminal, account, folder) as place:
        message = b"".join(_content(place, uid).chunks())
        files = [one for one in attachments.found(message) if decode in ("auto", one.encoding)]
        with place.storage.as_caller():
            if not dry_run and not directory.is_dir():
                raise Failure(f"there is no directory {directory}", Exit.NOINPUT, f"make it: mkdir {directory}")
            for one in files:
                path = directory / attachments.safe_name(one.name) if dry_run else _written(directory, one)
                _tell(terminal, one, path)
    if not files:
        terminal.hint(
            f"UID {uid} has no files" + ("" if decode == "auto" else f" that are encoded so; try --decode auto instead of {decode}")
        )
    if not all(one.is_whole for one in files):
        return Exit.DATAERR
    return Exit.OK if files else Exit.NOTHING


def _written(directory: Path, one: Attachment) -> Path:
    """A new file; never one that is there, and never through a symbolic link."""
    stem, dot, kind = attachments.safe_name(one.name).rpartition(".")
    if not stem:
        stem, dot, kind = kind, "", ""
    for number in range(1, _FILE_NAMES):
        path = directory / (f"{stem}{dot}{kind}" if number == 1 else f"{stem}-{number}{dot}{kind}")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "wb") as file:
            file.write(one.octets)
        return path
    raise Failure(f"{directory} has too many files called {stem}{dot}{kind}", Exit.CANTCREAT, "name another directory: --dir")


def _tell(terminal: Terminal, one: Attachment, path: Path) -> None:
    if terminal.as_json:
        row = {"file": str(path), "name": one.name, "size": len(one.octets), "encoding": one.encoding, "whole": one.is_whole}
        terminal.object(row)
        return
    terminal.say(f"{path}  {amount(len(one.octets))}" + ("" if one.is_whole else "  (its end is missing)"))


# ----- hold


@group.command()
@click.argument("account")
@click.argument("uids", nargs=-1, required=True, metavar="UID...", type=UIDS)
@_folder_option
@click.option("--into", default=HELD, show_default=True, help="Where to; made where it is missing.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be moved.")
@click.pass_obj
def hold(terminal: Terminal, account: str, uids: tuple[int, ...], folder: str, into: str, dry_run: bool) -> None:
    """Move messages aside, into the folder Held. The UIDs of all others stay as they are."""
    with _place(terminal, account, folder) as place:
        missing = sorted(set(uids) - set(place.box.uids))
        if missing:
            raise _unknown(place, missing)
        if dry_run:
            terminal.say(f"{plural(len(set(uids)), 'message')} would go from {place.box.name} to {into}")
            return
        try:
            if into not in {one.name for one in finished(place.boxes.folders()) if one.selectable}:
                finished(place.boxes.create(into))
            copied = finished(place.box.move(sorted(set(uids)), into))
        except StoreError as trouble:
            raise Failure(f"{into}: {trouble}", Exit.USAGE) from None
    if terminal.as_json:
        terminal.object({"from": place.box.name, "into": into, "uids": list(copied.source), "new_uids": list(copied.target)})
        return
    terminal.say(f"{plural(len(copied.target), 'message')} moved to {into} as UID {' '.join(map(str, copied.target))}")
