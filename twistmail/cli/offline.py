"""The queue of a server that does not run: its files, looked at or changed.

Whoever changes something takes the data folder meanwhile, so that no server
starts on it; what takes a running server (trying a message now) is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from twistmail import tenancy
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.terminal import Terminal
from twistmail.queue.stopped import StoppedSpool
from twistmail.rows import Filter, View, listing

WORDS = "--offline: the server does not run; this is what its files say"


def spool(terminal: Terminal) -> StoppedSpool:
    """The files of the queue."""
    from twistmail.queue.spool import OPTIONS  # it needs Twisted, which whoever asks a running server need not wait for

    config = terminal.glance(OPTIONS)
    return StoppedSpool(config.file(config[OPTIONS.name].path), lambda text: click.echo(f"warning: {text}", err=True))


def spooled(terminal: Terminal, chosen: Filter, now: float, most: int | None) -> dict[str, Any]:
    """What `queue.list` would say, read from the spool."""
    return listing(spool(terminal).items(), chosen, View(now), most)


@contextmanager
def taken(terminal: Terminal) -> Iterator[StoppedSpool]:
    """The files of the queue, to be changed: no server starts on them meanwhile. Failure where one has them."""
    with occupied(terminal):
        found = spool(terminal)
        found.take()
        yield found


@contextmanager
def occupied(terminal: Terminal) -> Iterator[Path]:
    """The data folder, which no server takes meanwhile. Failure where one has it, or there is none."""
    folder = terminal.glance().data_dir
    if not folder.is_dir():
        raise Failure(f"there is no {folder}", Exit.NOINPUT, "see [server] data_dir")
    try:
        home = tenancy.occupy(folder)
    except tenancy.Occupied:
        raise Failure(f"a server has {folder}, but does not answer", Exit.UNAVAILABLE, "see [server] control, and its log") from None
    try:
        yield folder
    finally:
        os.close(home)
