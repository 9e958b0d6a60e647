"""What a client must believe of its mailbox after what it has been told: and what it must never be told.

`Belief` is the bookkeeping of RFC 3501 §7.3 and §7.4, RFC 7162 §3.2.10 and RFC 9586: numbers, UIDs, flags, modification sequences. It
raises `Wrong` for what no server may say: numbers that do not exist, a UID that changes, numbers that change while they are in use, a
modification sequence that goes back, a message that is not the one that had this UID before.
"""

from __future__ import annotations

import re
from typing import Any

from tests.consistency.talk import Wrong

MARK = re.compile(rb"X-Mark: (\S+)")


class World:
    """What all sessions know together: which message has which UID, once and for all."""

    def __init__(self) -> None:
        self.marks: dict[int, bytes] = {}
        self.highest = 0  # UID that anybody has seen

    def seen(self, uid: int, mark: bytes) -> None:
        if self.marks.setdefault(uid, mark) != mark:
            raise Wrong(f"UID {uid} was {self.marks[uid]!r} and is {mark!r}")
        self.highest = max(self.highest, uid)


class Belief:
    """One session's. `by_uid`: UIDONLY is enabled; `vanishing`: QRESYNC or UIDONLY is."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.uids: list[int | None] = []  # by number; None: not known yet
        self.flags: dict[int, frozenset[str]] = {}
        self.modseqs: dict[int, int] = {}
        self.highest_modseq = 0
        self.uidvalidity = 0
        self.by_uid = False
        self.vanishing = False
        self.numbers_in_use = False  # a command is under way that forbids EXPUNGE
        self.selected = False
        self.selecting = False
        self.found: list[int] = []  # by the last SEARCH
        self.esearch: list[Any] = []

    def forget(self) -> None:
        """A mailbox is about to be opened."""
        self.uids, self.flags, self.modseqs = [], {}, {}

    # ----- what is told

    def hear(self, tokens: list[Any], line: bytes) -> None:
        if not tokens:
            self._status(line)
        elif len(tokens) > 1 and isinstance(tokens[0], str) and tokens[0].isdigit():
            self._numbered(int(tokens[0]), tokens[1], tokens[2:])
        elif tokens[0] == "VANISHED":
            self._vanished(tokens)
        elif tokens[0] == "SEARCH":
            self.found = [int(word) for word in tokens[1:] if isinstance(word, str)]
        elif tokens[0] == "ESEARCH":
            self.esearch = tokens

    def _status(self, line: bytes) -> None:
        if line.startswith(b"BYE"):
            raise Wrong(f"the server says goodbye: {line!r}")
        if found := re.search(rb"\[HIGHESTMODSEQ (\d+)\]", line):
            self._modseq_of_all(int(found[1]))
        if found := re.search(rb"\[UIDVALIDITY (\d+)\]", line):
            if self.uidvalidity not in (0, int(found[1])):
                raise Wrong("UIDVALIDITY has changed")
            self.uidvalidity = int(found[1])

    def _modseq_of_all(self, value: int) -> None:
        if value < self.highest_modseq:
            raise Wrong(f"HIGHESTMODSEQ goes back from {self.highest_modseq} to {value}")
        self.highest_modseq = value

    def _numbered(self, number: int, what: str, rest: list[Any]) -> None:
        if what == "EXISTS":
            if number < len(self.uids):
                raise Wrong(f"EXISTS {number} where there were {len(self.uids)}")
            self.uids += [None] * (number - len(self.uids))
        elif what == "EXPUNGE":
            self._expunged(number)
        elif what == "FETCH":
            if self.by_uid:
                raise Wrong("FETCH though UIDONLY is enabled")
            self._fetched(number, rest[0])
        elif what == "UIDFETCH":
            if not self.by_uid:
                raise Wrong("UIDFETCH though UIDONLY is not enabled")
            self._told(number, rest[0])

    def _expunged(self, number: int) -> None:
        if self.vanishing:
            raise Wrong("EXPUNGE though QRESYNC is enabled")
        if self.numbers_in_use:
            raise Wrong("EXPUNGE while numbers are in use")
        if not 1 <= number <= len(self.uids):
            raise Wrong(f"EXPUNGE {number} of {len(self.uids)}")
        self._forget(self.uids.pop(number - 1))

    def _vanished(self, tokens: list[Any]) -> None:
        earlier = tokens[1] == ["EARLIER"]
        if not self.vanishing:
            raise Wrong("VANISHED though neither QRESYNC nor UIDONLY is enabled")
        if self.numbers_in_use and not earlier:
            raise Wrong("VANISHED while numbers are in use")
        gone = numbers(tokens[2] if earlier else tokens[1])
        for uid in gone:
            if self.by_uid:  # who has no numbers counts only
                self._forget(uid)
                if not earlier:
                    self._take_unknown(uid)
            elif uid in self.flags or uid in self.uids:
                if uid in self.uids:
                    self.uids.remove(uid)
                self._forget(uid)
            elif not earlier:
                self._take_unknown(uid)

    def _take_unknown(self, uid: int) -> None:
        """One of the messages whose UIDs we do not know was *uid*: of those between its neighbours one goes, whichever."""
        below = max((place for place, one in enumerate(self.uids) if one is not None and one < uid), default=-1)
        above = next((place for place, one in enumerate(self.uids) if one is not None and one > uid), len(self.uids))
        if below + 1 >= above:
            raise Wrong(f"VANISHED {uid}, for which there is no place")
        del self.uids[below + 1]

    def _forget(self, uid: int | None) -> None:
        if uid is not None:
            self.flags.pop(uid, None)
            self.modseqs.pop(uid, None)

    def _fetched(self, number: int, items: list[Any]) -> None:
        if not 1 <= number <= len(self.uids):
            raise Wrong(f"FETCH of {number}, and there are {len(self.uids)}")
        told = pairs(items)
        known = self.uids[number - 1]
        if "UID" in told:
            uid = int(told["UID"])
            if known not in (None, uid):
                raise Wrong(f"number {number} was UID {known} and is {uid}")
            self.uids[number - 1] = known = uid
            below = next((one for one in reversed(self.uids[: number - 1]) if one is not None), 0)
            above = next((one for one in self.uids[number:] if one is not None), uid + 1)
            if not below < uid < above:
                raise Wrong(f"UID {uid} stands between {below} and {above}")
        if known is not None:
            self._told(known, items)

    def _told(self, uid: int, items: list[Any]) -> None:
        told = pairs(items)
        if "FLAGS" in told:
            self.flags[uid] = frozenset(flag for flag in told["FLAGS"] if flag != "\\Recent")
        if "MODSEQ" in told:
            value = int(told["MODSEQ"][0])
            if value < self.modseqs.get(uid, 0):
                raise Wrong(f"the MODSEQ of UID {uid} goes back from {self.modseqs[uid]} to {value}")
            self.modseqs[uid] = value
        for label, value in told.items():
            if label.startswith("BODY[") and isinstance(value, bytes) and (found := MARK.search(value)):
                self.world.seen(uid, found[1])

    # ----- what it comes to

    def state(self) -> dict[int, frozenset[str]]:
        """{UID: flags} of all messages."""
        return dict(self.flags)


def pairs(items: list[Any]) -> dict[str, Any]:
    return dict(zip(map(str, items[::2]), items[1::2], strict=True))


def numbers(text: str) -> list[int]:
    """A sequence set without "*" as its numbers."""
    found: list[int] = []
    for piece in text.split(","):
        first, _, last = piece.partition(":")
        low, high = sorted((int(first), int(last or first)))
        found += range(low, high + 1)
    return found
