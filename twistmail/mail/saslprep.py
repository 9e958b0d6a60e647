"""SASLprep (RFC 4013): names that look alike become the same octets. Pure; the tables are Python's own `stringprep`."""

from __future__ import annotations

import stringprep as tables
import unicodedata

#: RFC 4013 §2.3, prohibited output.
_PROHIBITED = (
    tables.in_table_c12,
    tables.in_table_c21_c22,
    tables.in_table_c3,
    tables.in_table_c4,
    tables.in_table_c5,
    tables.in_table_c6,
    tables.in_table_c7,
    tables.in_table_c8,
    tables.in_table_c9,
)


def saslprep(text: str, *, query: bool = False) -> str:
    """*text* prepared as a stored string, or as a *query*, in which characters may be that Unicode 3.2 has not assigned (RFC 3454 §7).

    ValueError where it holds what may not be, or where nothing is left.
    """
    mapped = "".join(" " if tables.in_table_c12(c) else c for c in text if not tables.in_table_b1(c))
    prepared = unicodedata.normalize("NFKC", mapped)
    if not prepared:
        raise ValueError("Nothing is left of that name")
    for character in prepared:
        if (not query and tables.in_table_a1(character)) or any(prohibits(character) for prohibits in _PROHIBITED):
            raise ValueError(f"A name cannot hold {character!a}")
    _check_direction(prepared)
    return prepared


def _check_direction(text: str) -> None:
    """RFC 3454 §6: what runs from right to left does so whole."""
    leftward = [tables.in_table_d1(character) for character in text]
    if any(leftward) and (any(map(tables.in_table_d2, text)) or not (leftward[0] and leftward[-1])):
        raise ValueError("That name runs in both directions")
