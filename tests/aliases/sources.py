"""Sources of aliases as a server makes them, without threads."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from twistmail.aliases.file import AliasFile
from twistmail.aliases.meaning import Meaning
from twistmail.aliases.permits import Permits
from twistmail.tasks import Inline
from twistmail.watched import WatchedFiles


def meaning(permits: Permits | None = None) -> Meaning:
    return Meaning(permits or Permits(), WatchedFiles(Inline()))


def alias_file(path: Path, domains: Collection[str], permits: Permits | None = None, compiled: Path | None = None) -> AliasFile:
    return AliasFile(path, WatchedFiles(Inline()), domains, meaning(permits), compiled=compiled)
