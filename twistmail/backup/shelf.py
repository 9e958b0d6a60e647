"""Where backups stand: a directory with one directory for each, named by the time (UTC) at which it was begun. Blocking."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from twistmail.backup.manifest import PART
from twistmail.options import COUNT, TEXT, Option, Section

OPTIONS = Section(
    "backup", "Copies of the mail: twistmail backup create.",
    Option("directory", TEXT, "backup", "Where they are put; relative to data_dir. Better on another disk."),
    Option("keep", COUNT, "7", "How many twistmail backup prune leaves."),
)  # fmt: skip

_NAME = re.compile(r"\d{8}T\d{6}Z")


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y%m%dT%H%M%SZ")


class Busy(Exception):
    """Another backup is being made."""


class Shelf:
    """The backups in *directory*."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def complete(self) -> list[Path]:
        """Finished backups, oldest first."""
        return self._named(_NAME)

    def unfinished(self) -> list[Path]:
        """Those that were begun and not finished, oldest first."""
        return self._named(re.compile(_NAME.pattern + re.escape(PART)))

    def _named(self, pattern: re.Pattern[str]) -> list[Path]:
        if not self.directory.is_dir():
            return []
        return sorted(path for path in self.directory.iterdir() if pattern.fullmatch(path.name) and path.is_dir())

    def find(self, name: str) -> Path | None:
        """The backup that *name* means: its name, a unique beginning of it, "latest", or the path of one anywhere."""
        known = self.complete()
        if name == "latest":
            return known[-1] if known else None
        fitting = [path for path in known if path.name.startswith(name)] if re.fullmatch(r"[\dTZ]+", name) else []
        if len(fitting) == 1:
            return fitting[0]
        return Path(name) if Path(name).is_dir() else None

    @contextmanager
    def being_made(self, now: float) -> Iterator[Path]:
        """The directory of a backup under way: one that was interrupted goes on, else a new one. Raises Busy, OSError."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self.unfinished()
        part = unfinished[-1] if unfinished else self._fresh(now)
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.mkdir(mode=0o700, exist_ok=True)
            yield part
        except BlockingIOError:
            raise Busy(f"another backup is being made in {self.directory}") from None
        finally:
            os.close(descriptor)

    def _fresh(self, now: float) -> Path:
        """The directory for a backup that begins at *now*, or as soon after that as no other did."""
        while (self.directory / _stamp(now)).exists():
            now += 1
        return self.directory / (_stamp(now) + PART)

    def finish(self, part: Path) -> Path:
        """The backup in *part* is complete and on the disk: from now on it has its name."""
        path = part.with_name(part.name.removesuffix(PART))
        os.rename(part, path)
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return path

    def too_many(self, keep: int) -> list[Path]:
        """What goes when *keep* finished backups shall be left: the oldest, and unfinished ones before the newest."""
        known = self.complete()
        newest = known[-1].name if known else ""
        return known[: max(len(known) - keep, 0)] + [path for path in self.unfinished() if path.name < newest]


def remove(backup: Path) -> None:
    """Delete a backup; one that is deleted in part is not taken for a whole one. Raises OSError."""
    doomed = backup.with_name(f".deleted-{backup.name}")
    os.rename(backup, doomed)
    shutil.rmtree(doomed)
