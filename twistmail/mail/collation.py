"""The comparator i;unicode-casemap (RFC 5051), by which SORT and THREAD compare (RFC 5256 §7). Pure, linear."""

from __future__ import annotations

from unicodedata import normalize


def casemap(text: str) -> str:
    """What is compared instead of *text*, by code points: each character in title case, then decomposed (RFC 5051 §2)."""
    return text.upper() if text.isascii() else normalize("NFKD", "".join(map(_in_title_case, text)))


def _in_title_case(character: str) -> str:
    """The simple mapping of the Unicode database: one that makes several characters of one is none."""
    titled = character.title()
    return titled if len(titled) == 1 else character
