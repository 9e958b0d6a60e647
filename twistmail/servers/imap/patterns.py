"""The wildcards of LIST (RFC 3501 §6.3.8): "*" stands for anything, "%" for anything without a "/"."""

from __future__ import annotations

import re

_RUN = re.compile(r"[*%]{2,}")


class Pattern:
    """One pattern. Matching takes time proportional to the name, whatever the pattern is: all partial matches walk side by side."""

    def __init__(self, text: str) -> None:
        text = _RUN.sub(lambda run: "*" if "*" in run[0] else "%", text)
        self._plain = "*" not in text and "%" not in text
        self._text = text
        self._anything = text == "*"
        #: bit n: we stand before character n of the pattern
        self._places: dict[str, int] = {}
        self._stars = self._percents = 0
        for place, character in enumerate(text):
            if character == "*":
                self._stars |= 1 << place
            elif character == "%":
                self._percents |= 1 << place
            else:
                self._places[character] = self._places.get(character, 0) | 1 << place
        self._end = 1 << len(text)

    def matches(self, name: str) -> bool:
        """Does *name* fit? INBOX does in any case of the pattern's letters."""
        if self._anything or (self._plain and self._text == name):
            return True
        if name == "INBOX" and self._text != self._text.upper():
            return Pattern(self._text.upper()).matches(name)
        return not self._plain and self._walk(name)

    def _walk(self, name: str) -> bool:
        wildcards = self._stars | self._percents
        at = 1
        at |= (at & wildcards) << 1  # a wildcard may stand for nothing; two never follow each other
        for character in name:
            stay = at & (self._stars if character == "/" else wildcards)
            at = stay | (at & self._places.get(character, 0)) << 1
            at |= (at & wildcards) << 1
            if not at:
                return False
        return bool(at & self._end)
