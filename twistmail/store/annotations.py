"""Annotations of mailboxes and of the account (RFC 5464), in a file of our own beside the maildir. Blocking.

A JSON object {mailbox name: {entry: value in base64}}; the empty name is the account.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from twisted.logger import Logger

from twistmail.mail.annotations import changed, octets
from twistmail.store.folders import replace_file

log = Logger()

FILE = "twistmail-annotations"


class Annotations:
    """The file of one account. Methods run one at a time: the caller sees to it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def of(self, name: str) -> dict[str, bytes]:
        """{entry: value} of mailbox *name*."""
        return self._read().get(name, {})

    def all(self) -> dict[str, dict[str, bytes]]:
        """{mailbox name: {entry: value}}."""
        return self._read()

    def having(self, entry: str) -> dict[str, bytes]:
        """{name: value} of the mailboxes that have *entry*."""
        return {name: entries[entry] for name, entries in self._read().items() if name and entry in entries}

    def change(self, name: str, values: Mapping[str, bytes | None]) -> None:
        """Set or (None) remove entries, all or none. Raises StoreError, OSError."""
        everything = self._read()
        others = [found for other, found in everything.items() if other != name]
        self._write(everything | {name: changed(everything.get(name, {}), values, sum(map(octets, others)))})

    def renamed(self, moves: Sequence[tuple[str, str]]) -> None:
        """Mailboxes have got other names: pairs (old, new)."""
        everything = self._read()
        moved = {new: everything.pop(old) for old, new in moves if old in everything}
        if moved:
            self._write(everything | moved)

    def forget(self, name: str) -> None:
        """A mailbox is gone."""
        everything = self._read()
        if everything.pop(name, None):
            self._write(everything)

    def _read(self) -> dict[str, dict[str, bytes]]:
        """What the file says; nothing where there is none, or where somebody has broken it."""
        try:
            said = json.loads(self.path.read_bytes())
            return {
                name: {entry: base64.b64decode(value, validate=True) for entry, value in entries.items()} for name, entries in said.items()
            }
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError) as error:
            aside = self.path.with_name(FILE + ".broken")
            self.path.replace(aside)
            log.error("{path} cannot be read, it is {aside} now: {error}", path=str(self.path), aside=aside.name, error=error)
            return {}

    def _write(self, everything: Mapping[str, Mapping[str, bytes]]) -> None:
        said = {
            name: {entry: base64.b64encode(value).decode() for entry, value in sorted(entries.items())}
            for name, entries in sorted(everything.items())
            if entries
        }
        replace_file(self.path, json.dumps(said, indent=1, ensure_ascii=False) + "\n")


