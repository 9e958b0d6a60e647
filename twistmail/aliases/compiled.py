"""What `newaliases` makes of an alias file where [aliases] reload = newaliases: the text as it was when it was last in order.

The server reads that in place of the file, so an edit counts when the command has
been run and not before, as it was with aliases.db. It is replaced in one step: whoever
reads it gets the old one or the new one, and after a crash one of them is there. Blocking.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from twistmail.aliases.file import read
from twistmail.mail.values import frozen
from twistmail.watched import MOST_OCTETS, Broken

#: Below the data folder.
FOLDER = "compiled"


@frozen
class Tally:
    """What a file holds: how many aliases, the octets of the longest right side, and those of all."""

    aliases: int
    longest: int
    octets: int

    def __str__(self) -> str:
        return f"{self.aliases} aliases, longest {self.longest} bytes, {self.octets} bytes total"


def place_of(path: Path, folder: Path) -> Path:
    """Where the compiled form of the file at *path* is kept, below the data *folder*. No two files have the same."""
    return folder / FOLDER / quote(str(path), safe="")


def tally(path: Path) -> tuple[Tally, bytes]:
    """What the file at *path* holds, and its octets. Broken, OSError."""
    octets = path.read_bytes()
    if len(octets) > MOST_OCTETS:
        raise Broken([(1, f"the file is larger than {MOST_OCTETS // 1024 // 1024} MiB")])
    try:
        index = read(octets.decode())
    except UnicodeDecodeError as error:
        raise Broken([(octets.count(b"\n", 0, error.start) + 1, "this is not UTF-8")]) from None
    return Tally(len(index), index.longest, index.octets), octets


def compile_(path: Path, target: Path) -> Tally:
    """Put what the file at *path* says into *target*. Broken, OSError: then *target* stays as it was."""
    found, octets = tally(path)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = target.with_name(f".{os.getpid()}.new")  # no path is quoted so
    try:
        with open(os.open(made, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        os.rename(made, target)
    except OSError:
        with suppress(FileNotFoundError):
            made.unlink()
        raise
    descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return found
