"""`dovecot-keywords`: which keyword each of the flag letters a to z stands for. Lines are `<number> <name>`. Blocking."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from twistmail.mail.flags import extended
from twistmail.store.names import MOST_KEYWORDS
from twistmail.store.uidlist import UidList

FILE = "dovecot-keywords"

__all__ = ["extended", "learn", "read", "write"]


def read(folder: Path) -> list[str]:
    """The keywords in order of their letters; a letter without a name is called `unknown-N`, as Dovecot does."""
    try:
        text = (folder / FILE).read_text("utf-8", "replace")
    except FileNotFoundError:
        return []
    found: dict[int, str] = {}
    for line in text.split("\n"):
        number, _, name = line.partition(" ")
        if number.isascii() and number.isdigit() and int(number[:3]) < MOST_KEYWORDS and name:
            found[int(number)] = name
    return [found.get(number, f"unknown-{number}") for number in range(max(found, default=-1) + 1)]


def write(folder: Path, keywords: Sequence[str]) -> None:
    """Not synced: flags may be lost for some seconds (spec D6), and so may a keyword that they need."""
    temporary = folder / f"{FILE}.tmp{os.getpid()}"
    temporary.write_text("".join(f"{number} {name}\n" for number, name in enumerate(keywords)), "utf-8")
    os.rename(temporary, folder / FILE)


def learn(folder: Path, uids: UidList, wanted: Sequence[str]) -> list[str]:
    """Give *wanted* letters where they have none; all keywords. Whoever does so, Dovecot too, holds the lock of the UID list."""
    with uids.locked():
        before = read(folder)
        after = extended(before, wanted)
        if after != before:
            write(folder, after)
    return after
