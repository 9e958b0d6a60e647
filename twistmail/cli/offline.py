"""Looking at the files of a server that does not run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from twistmail.cli.terminal import Terminal
from twistmail.mail.item import Item
from twistmail.queue.records import Damaged, read
from twistmail.rows import Filter, listing


def spooled(terminal: Terminal, chosen: Filter, now: float, most: int | None) -> dict[str, Any]:
    """What `queue.list` would say, read from the spool."""
    from twistmail.queue.spool import OPTIONS  # it needs Twisted, which whoever asks a running server need not wait for

    config = terminal.glance(OPTIONS)
    folder = config.file(config[OPTIONS.name].path) / "ready"
    return listing(sorted(_items(folder), key=lambda item: (item.arrived, item.id)), chosen, now, most)


def _items(folder: Path) -> Iterator[Item]:
    for path in folder.glob("*.envelope"):
        try:
            yield read(path.read_bytes())[0]
        except FileNotFoundError:
            continue
        except Damaged as trouble:
            click.echo(f"warning: {path}: {trouble}", err=True)
