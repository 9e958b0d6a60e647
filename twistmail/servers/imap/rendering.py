"""How values of a mailbox look in a response: flags by their bits, dates; each rendered once and remembered."""

from __future__ import annotations

from collections.abc import Sequence

from twistmail.mail.mailbox import FIRST_KEYWORD_BIT, FLAG_NAMES
from twistmail.wire.imap.responses import internaldate

#: Renderings that one session remembers: combinations of flags, or seconds.
MOST_REMEMBERED = 4096

#: Stands beside the Flag bits for \Recent, which no mailbox stores as a flag.
RECENT_BIT = 32
_SYSTEM = [(int(flag), name) for name, flag in FLAG_NAMES.items()] + [(RECENT_BIT, "\\Recent")]


class FlagsRendered(dict[int, bytes]):
    """Flag bits -> b"(\\\\Seen Junk)". *keywords* is the mailbox's list, which grows: a number keeps its name for ever."""

    def __init__(self, keywords: Sequence[str]) -> None:
        super().__init__()
        self._keywords = keywords

    def __missing__(self, bits: int) -> bytes:
        names = [name for flag, name in _SYSTEM if bits & flag]
        keyword_bits = bits >> FIRST_KEYWORD_BIT
        if keyword_bits:
            names += [name for number, name in enumerate(self._keywords) if keyword_bits >> number & 1]
        if len(self) >= MOST_REMEMBERED:
            self.clear()
        rendered = self[bits] = b"(%b)" % " ".join(names).encode("ascii", "replace")
        return rendered


class Days(dict[int, bytes]):
    """Days since 1970 -> the beginning of a date-time in UTC: b'"17-Jul-1996 '."""

    def __missing__(self, day: int) -> bytes:
        if len(self) >= MOST_REMEMBERED:
            self.clear()
        rendered = self[day] = internaldate(day * 86400.0)[:13]
        return rendered


def dates(seconds: Sequence[float], days: Days) -> list[bytes]:
    """INTERNALDATE of each of *seconds* (POSIX), in UTC. Four times as fast as one by one through `responses.internaldate`."""
    found = []
    for value in seconds:
        day, second = divmod(int(value), 86400)
        found.append(b'%b%02d:%02d:%02d +0000"' % (days[day], second // 3600, second // 60 % 60, second % 60))
    return found
