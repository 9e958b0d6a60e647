"""Flags as words, as bits and as letters. Pure. A keyword's bit and letter follow from its number in the mailbox."""

from __future__ import annotations

from collections.abc import Sequence

from twistmail.mail.mailbox import FIRST_KEYWORD_BIT, FLAG_NAMES
from twistmail.store import names

_SYSTEM = {name.lower(): int(flag) for name, flag in FLAG_NAMES.items()}


def keywords_in(flags: Sequence[str]) -> list[str]:
    """Those of *flags* that are keywords, not system flags."""
    return [flag for flag in flags if flag.lower() not in _SYSTEM]


def bits(flags: Sequence[str], keywords: Sequence[str]) -> int:
    """The bits of *flags* in a mailbox with *keywords*, compared without case; keywords that it does not know have none."""
    numbers = {keyword.lower(): number for number, keyword in enumerate(keywords)}
    result = 0
    for name in (flag.lower() for flag in flags):
        if name in _SYSTEM:
            result |= _SYSTEM[name]
        elif name in numbers:
            result |= 1 << (FIRST_KEYWORD_BIT + numbers[name])
    return result


def words(mask: int, keywords: Sequence[str]) -> list[str]:
    """The flags that the bits of *mask* stand for."""
    system = [name for name, flag in FLAG_NAMES.items() if mask & flag]
    return system + [keyword for number, keyword in enumerate(keywords) if mask >> (FIRST_KEYWORD_BIT + number) & 1]


def letters(flags: Sequence[str], keywords: Sequence[str]) -> bytes:
    """The letters of *flags* in the name of a message file."""
    return names.letters_of(names.wanted_path(b"new/", bits(flags, keywords), len(keywords)))
