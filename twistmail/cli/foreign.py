"""What the commands about other programs' mailboxes share: what lies at a path, and a new path that appears when it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from twistmail.cli.exits import Exit, Failure
from twistmail.formats.contract import Format, NotThisFormat
from twistmail.formats.known import NAMES, found_at, named
from twistmail.formats.locks import MailboxBusy

#: What a target is called until it is whole.
_UNFINISHED = ".unfinished"

FORMATS = click.Choice(NAMES)


def local_time(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option --local-time."""
    about = "The From lines of an mbox tell local time, as mutt, procmail and Postfix write them, not UTC (RFC 4155)."
    return click.option("--local-time", is_flag=True, help=about)(command)


@contextmanager
def told() -> Iterator[None]:
    """Around work on foreign mailboxes: what is wrong with them is said as every command says it."""
    try:
        yield
    except NotThisFormat as trouble:
        raise Failure(str(trouble), Exit.DATAERR, f"say what it is: --format {'|'.join(NAMES)}") from None
    except MailboxBusy as busy:
        raise Failure(f"{busy.filename}: {busy.strerror}", Exit.TEMPFAIL, "try again when the other program has finished") from None
    except FileNotFoundError as missing:
        raise Failure(f"{missing.filename} is not there", Exit.NOINPUT) from None


def source_at(path: Path, name: str | None, *, local: bool) -> tuple[Format, list[tuple[str, Path]]]:
    """The format of what lies at *path*, called *name* or found out, and its folders. Failure where there are none."""
    format = found_at(path, local_time=local) if name is None else named(name, local_time=local)
    path.stat()
    folders = format.folders(path) or ([("INBOX", path)] if path.is_file() else [])
    if not folders:
        raise NotThisFormat(f"there is no mailbox of the format {format.name} at {path}")
    return format, folders


def is_single(path: Path, folders: list[tuple[str, Path]]) -> bool:
    """Whether *path* itself is the one mailbox that there is, and no tree."""
    return [place for _, place in folders] == [path]


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes *path* when the block ends without trouble, durably.

    What an interrupted command has left is begun anew. Failure where something is at *path* already.
    """
    if path.exists() and not (path.is_dir() and not os.listdir(path)):
        raise Failure(f"{path} is there already", Exit.CANTCREAT, "name one that is not; nothing is ever overwritten")
    unfinished = path.with_name(path.name + _UNFINISHED)
    _remove(unfinished)
    try:
        yield unfinished
    except OSError as trouble:
        raise Failure(f"{unfinished}: {trouble.strerror}", Exit.IOERR, "start it again when there is room; it begins anew") from trouble
    if unfinished.exists():
        os.sync()  # many small files: one call instead of one for each
        os.rename(unfinished, path)


def _remove(unfinished: Path) -> None:
    if unfinished.is_dir():
        shutil.rmtree(unfinished)
    else:
        unfinished.unlink(missing_ok=True)
