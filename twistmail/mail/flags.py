"""Flags as words and as bits. Pure. A keyword's bit follows from its number in the mailbox."""

from __future__ import annotations

from collections.abc import Sequence

from twistmail.mail.mailbox import FIRST_KEYWORD_BIT, FLAG_NAMES, FlagChange, StoreError

MOST_KEYWORDS = 26
LONGEST_KEYWORD = 50

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


def extended(keywords: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """*keywords* with those of *wanted* that it lacks (compared without case). Raises StoreError LIMIT."""
    known = {keyword.lower() for keyword in keywords}
    result = list(keywords)
    for keyword in wanted:
        if keyword.lower() not in known:
            if len(keyword) > LONGEST_KEYWORD or len(result) >= MOST_KEYWORDS:
                raise StoreError(f"A mailbox has at most {MOST_KEYWORDS} keywords of {LONGEST_KEYWORD} characters", "LIMIT")
            known.add(keyword.lower())
            result.append(keyword)
    return result


def after(before: int, change: FlagChange, mask: int) -> int:
    """The bits of a message that had *before*, when *change* is made with *mask*."""
    if change is FlagChange.SET:
        return mask
    return before | mask if change is FlagChange.ADD else before & ~mask
