"""A mail program that keeps what it knows of a mailbox between two sessions, and comes back by QRESYNC (RFC 7162 §6)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Cache:
    """What a client keeps on its disk between two sessions."""

    uidvalidity: int = 0
    modseq: int = 1
    flags: dict[int, set[str]] = field(default_factory=dict)
    complete_to: int = 0  # up to this UID it has fetched whatever there was


def numbers(spelled: str) -> list[int]:
    """ "1:3,7" -> [1, 2, 3, 7]"""
    found: list[int] = []
    for piece in spelled.split(","):
        low, _, high = piece.partition(":")
        found += range(int(low), int(high or low) + 1)
    return found


def spelled(uids: list[int]) -> str:
    return ",".join(map(str, uids))


class Remembering:
    """One session over a Cache. It counts modification sequences as RFC 7162 §6 says, and asserts what it must never hear.

    *say*: sends a line with the tag "x" and answers all lines up to the one with that tag; somebody has logged in.
    """

    def __init__(self, say: Callable[[str], list[str]], cache: Cache, *, known: bool = False, sample: bool = False) -> None:
        self.say = say
        self.cache = cache
        self.uids: list[int | None] = []  # by sequence number
        self.command("ENABLE QRESYNC")
        asked = f" (QRESYNC ({cache.uidvalidity} {cache.modseq}{self._remembered(known, sample)}))" if cache.uidvalidity else ""
        self.command("SELECT INBOX" + asked)
        self.catch_up()

    def _remembered(self, known: bool, sample: bool) -> str:
        uids = sorted(self.cache.flags)
        numbered = [uid for uid in uids if uid <= self.cache.complete_to]  # of what came later it may not know all
        text = f" {spelled(uids)}" if known and uids else ""
        return text + (f" (1:{len(numbered)} {spelled(numbered)})" if sample and numbered else "")

    def catch_up(self) -> None:
        """Fetch what is new."""
        self.command(f"UID FETCH {self.cache.complete_to + 1}:* (FLAGS)")
        found = sorted(self.cache.flags)
        assert len(self.uids) == len(found)
        assert all(told in (None, uid) for told, uid in zip(self.uids, found, strict=True)), "a number means another message"
        self.uids = [*found]
        self.cache.complete_to = max([self.cache.complete_to, *found])

    def command(self, text: str) -> None:
        told, highest = 0, 0
        may_renumber = not re.match("(FETCH|STORE|SEARCH)", text)
        lines = self.say("x " + text)
        for line in lines:
            if match := re.search(r"\[HIGHESTMODSEQ (\d+)\]", line):
                highest = int(match[1])
            if match := re.fullmatch(r"\* VANISHED \(EARLIER\) (\S+)", line):
                for uid in numbers(match[1]):
                    assert uid not in self.uids, "a message that is there has not vanished earlier"
                    self.cache.flags.pop(uid, None)
            elif match := re.fullmatch(r"\* VANISHED (\S+)", line):
                assert may_renumber, text
                self.forget(numbers(match[1]))
            elif match := re.fullmatch(r"\* (\d+) EXISTS", line):
                assert int(match[1]) >= len(self.uids)
                self.uids += [None] * (int(match[1]) - len(self.uids))
            elif match := re.fullmatch(r"\* (\d+) FETCH \((?:UID (\d+) )?(?:FLAGS \(([^)]*)\) ?)?(?:MODSEQ \((\d+)\))?\)", line):
                told = max(told, int(match[4] or 0))
                self.learn(int(match[1]), match[2], match[3])
            elif match := re.search(r"\[UIDVALIDITY (\d+)\]", line):
                self.same_mailbox(int(match[1]))
            else:
                assert re.match(r"\* (FLAGS|OK|\d+ RECENT|SEARCH|ENABLED)|x (OK|NO \[(EXPUNGEISSUED|READ-ONLY))", line), line
        self.cache.modseq = highest or max(told, self.cache.modseq)

    def same_mailbox(self, uidvalidity: int) -> None:
        assert self.cache.uidvalidity in (0, uidvalidity)
        self.cache.uidvalidity = uidvalidity

    def forget(self, uids: list[int]) -> None:
        places = []
        for uid in uids:
            # one of which the number is known, or one of those that it has never asked for
            places.append(self.uids.index(uid) if uid in self.uids else self.uids.index(None))
            self.uids[places[-1]] = 0
            self.cache.flags.pop(uid, None)
        for place in sorted(places, reverse=True):
            del self.uids[place]

    def learn(self, number: int, uid: str | None, flags: str | None) -> None:
        if uid is not None:
            known = self.uids[number - 1]
            assert known in (None, int(uid)), "a number means another message than before"
            self.uids[number - 1] = int(uid)
        if flags is not None and (told := self.uids[number - 1]) is not None:
            self.cache.flags[told] = set(flags.split()) - {"\\Recent"}

    def do(self, change: str) -> None:
        """Change flags, and remember it by oneself where the server is asked to be silent."""
        self.command(change)
        match = re.fullmatch(r"UID STORE (\d+):(\d+) ([+-])FLAGS\.SILENT \((\S+)\)", change)
        if match:
            for uid in [uid for uid in self.cache.flags if int(match[1]) <= uid <= int(match[2]) and uid in self.uids]:
                (self.cache.flags[uid].add if match[3] == "+" else self.cache.flags[uid].discard)(match[4])
