"""How texts are compared by SEARCH: without case, by full Unicode case folding over i;unicode-casemap (RFC 5051). Pure, linear.

Whatever the comparator calls equal is folded to the same. Full folding finds a little more: "STRASSE" in "Stra\u00dfe". It goes
character by character, as `collation` does, and for the same reason.
"""

from __future__ import annotations

from unicodedata import normalize

from twistmail.mail.collation import Mapping, casemapped

_DOTLESS_I = "\u0131"  # its title case is "I" (RFC 5051 §2), and so it is an "i"


def folded(text: str) -> str:
    """What is compared instead of *text*. What is folded already stays as it is."""
    return text.lower() if text.isascii() else text.translate(_FOLDED)


def _folded(character: str) -> str:
    return normalize("NFKD", casemapped(character).casefold()).replace(_DOTLESS_I, "i")


_FOLDED = Mapping(_folded)
