"""The folder of the server's data, for commands that may come before the server's first start."""

from __future__ import annotations

import os
from pathlib import Path

from twistmail.cli.owner import become_owner
from twistmail.cli.terminal import Terminal


def prepare(terminal: Terminal, folder: Path) -> None:
    """Make the data folder where it is missing. Root acts as whom it belongs to, else the server could not read what is made in it."""
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
        if os.geteuid() == 0:
            terminal.hint(f"{folder} belongs to root now; the server may need it: chown -R twistmail: {folder}")
    become_owner(folder)
