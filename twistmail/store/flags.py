"""Flags as letters in the names of message files; as words and as bits they are in `mail.flags`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from twistmail.mail.flags import bits, keywords_in, words
from twistmail.store import names

__all__ = ["bits", "keywords_in", "letters", "words"]


def letters(flags: Sequence[str], keywords: Sequence[str]) -> bytes:
    """The letters of *flags* in the name of a message file."""
    return names.letters_of(names.wanted_path(b"new/", bits(flags, keywords), len(keywords)))
