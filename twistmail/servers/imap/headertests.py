"""Many HEADER keys of one search, asked of every header once: what it costs is the reading, whether there is one key or hundreds.

A few keys are better asked of the mailbox, which has the usual fields in columns of their own. Pure; in threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twistmail.mail import headers
from twistmail.mail.folding import folded
from twistmail.mail.searched import searched
from twistmail.wire.imap import searchkeys as k

#: So many keys about header fields are asked of the mailbox, one after the other; more, together.
FEW = 4


class HeaderTests:
    """The HEADER keys of a search. `found`: key -> the places that have it, of those that were looked at (`known`)."""

    def __init__(self, keys: Iterable[k.Key]) -> None:
        self.found: dict[k.Key, int] = {key: 0 for key in keys if isinstance(key, k.Header)}
        self.known = 0
        self._by_name: dict[bytes, list[tuple[int, str]]] = {}
        for number, key in enumerate(self.found):
            if isinstance(key, k.Header):
                self._by_name.setdefault(key.name.encode("utf-8", "replace"), []).append((number, folded(key.needle)))

    @property
    def are_many(self) -> bool:
        return len(self.found) > FEW

    def fitting(self, rows: Iterable[tuple[int, bytes]]) -> list[set[int]]:
        """For each key, in the order of `found`: the UIDs of those *rows* (uid, header block) that have it."""
        uids: list[set[int]] = [set() for _ in self.found]
        for uid, header in rows:
            lowered = header.lower()
            for name, wanted in self._by_name.items():
                if name in lowered:  # most often, there is no such field
                    self._look(uid, [searched(name, value) for value in headers.values(header, name)], wanted, uids)
        return uids

    @staticmethod
    def _look(uid: int, texts: Sequence[str], wanted: Iterable[tuple[int, str]], uids: list[set[int]]) -> None:
        """Each needle by itself: one that goes over the border of two fields is in neither."""
        for number, needle in wanted:
            if any(needle in text for text in texts):
                uids[number].add(uid)
