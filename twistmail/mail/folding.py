"""How texts are compared by SEARCH: without case, by full Unicode case folding over i;unicode-casemap (RFC 5051). Pure, linear.

Whatever the comparator calls equal is folded to the same: that is NFKD, then case folding, and one letter by hand, which is the
only one of Unicode that the comparator sees otherwise. Full folding finds a little more: "STRASSE" in "Stra\u00dfe".
"""

from __future__ import annotations

from unicodedata import normalize

_DOTLESS_I = "\u0131"  # its title case is "I" (RFC 5051 §2), and so it is an "i"


def folded(text: str) -> str:
    """What is compared instead of *text*. What is folded already stays as it is."""
    if text.isascii():
        return text.lower()
    return normalize("NFKD", text).casefold().replace(_DOTLESS_I, "i")
