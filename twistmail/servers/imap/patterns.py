"""The wildcards of LIST (RFC 3501 §6.3.8): "*" stands for anything, "%" for anything without a "/".

Most patterns have one wildcard, at their end, and are compared as prefixes. All
others go through one automaton together, whose states are bits of one number:
matching takes time proportional to the name, whatever the patterns are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_RUN = re.compile(r"[*%]{2,}")
_INBOX = re.compile(r"(?i)inbox(?=/)")
#: No name is longer; what cannot fit any is silently ignored (RFC 5258 §3).
LONGEST = 1024


class Patterns:
    """Several patterns; a name matches where one of them does. Empty ones match nothing."""

    def __init__(self, texts: Iterable[str]) -> None:
        spelled = dict.fromkeys(_INBOX.sub("INBOX", _RUN.sub(_one_wildcard, text), count=1) for text in texts)
        wanted = [text for text in spelled if text and len(text) <= 2 * LONGEST]
        self._everything = "*" in wanted
        self._plain = {text for text in wanted if "*" not in text and "%" not in text}
        self._below = tuple(text[:-1] for text in wanted if _is_prefix(text) and text[-1] == "*")
        self._levels = tuple(text[:-1] for text in wanted if _is_prefix(text) and text[-1] == "%")
        others = [text for text in wanted if text not in self._plain and not _is_prefix(text)]
        self._walked = _Automaton(others) if others else None
        in_capitals = [text.upper() for text in wanted]
        self._fits_inbox = "INBOX" in in_capitals or _Automaton(in_capitals).matches("INBOX")

    def matches(self, name: str) -> bool:
        """Does *name* fit? INBOX does in any case of a pattern's letters."""
        if self._everything or name in self._plain or name.startswith(self._below):
            return True
        if name == "INBOX":
            return self._fits_inbox
        for prefix in self._levels:
            if name.startswith(prefix) and "/" not in name[len(prefix) :]:
                return True
        return self._walked is not None and self._walked.matches(name)


def _one_wildcard(run: re.Match[str]) -> str:
    return "*" if "*" in run[0] else "%"


def _is_prefix(text: str) -> bool:
    """Whether the only wildcard is the last character."""
    return text[-1] in "*%" and "*" not in text[:-1] and "%" not in text[:-1]


class _Automaton:
    """All partial matches of all patterns walk side by side."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._places: dict[str, int] = {}  # bit n: we stand before character n of the patterns, laid end to end
        self._stars = self._percents = self._begin = self._end = 0
        place = 0
        for text in texts:
            self._begin |= 1 << place
            for character in text:
                if character == "*":
                    self._stars |= 1 << place
                elif character == "%":
                    self._percents |= 1 << place
                else:
                    self._places[character] = self._places.get(character, 0) | 1 << place
                place += 1
            self._end |= 1 << place
            place += 1

    def matches(self, name: str) -> bool:
        wildcards = self._stars | self._percents
        at = self._begin
        at |= (at & wildcards) << 1  # a wildcard may stand for nothing; two never follow each other
        for character in name:
            stay = at & (self._stars if character == "/" else wildcards)
            at = stay | (at & self._places.get(character, 0)) << 1
            at |= (at & wildcards) << 1
            if not at:
                return False
        return bool(at & self._end)
