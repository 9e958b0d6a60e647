"""The comparator i;unicode-casemap (RFC 5051), by which SORT and THREAD compare (RFC 5256 §7). Pure, linear.

It goes character by character. `unicodedata.normalize` over a whole text would also put combining characters in order, which
the comparator does not ask for and which takes quadratic time: a second for 30,000 of them, and strangers write them.
"""

from __future__ import annotations

from collections.abc import Callable
from unicodedata import normalize

#: Characters whose mapping is remembered; more than the mail of one house holds.
MOST_REMEMBERED = 20_000


class Mapping(dict[int, str]):
    """What `str.translate` puts in the place of each character, found out by *mapped* when it is met."""

    def __init__(self, mapped: Callable[[str], str]) -> None:
        super().__init__()
        self._mapped = mapped

    def __missing__(self, code: int) -> str:
        mapped = self._mapped(chr(code))
        if len(self) < MOST_REMEMBERED:
            self[code] = mapped
        return mapped


def casemapped(character: str) -> str:
    """One character in title case, decomposed (RFC 5051 §2)."""
    titled = character.title()  # where that makes several characters of one, the Unicode database has no simple mapping
    return normalize("NFKD", titled if len(titled) == 1 else character)


_CASEMAP = Mapping(casemapped)


def casemap(text: str) -> str:
    """What is compared instead of *text*, by code points."""
    return text.upper() if text.isascii() else text.translate(_CASEMAP)
