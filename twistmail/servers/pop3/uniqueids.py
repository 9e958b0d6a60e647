"""How unique ids are spelled (RFC 1939 §7, UIDL): out of UID and UIDVALIDITY, as the server that was here before spelled them.

The format is written as Dovecot's `pop3_uidl_format`, and the default is Dovecot's: where a folder has come from there with
its UIDs, no client fetches again what it has. `%u` is the UID, `%v` the UIDVALIDITY; `%08Xu` has eight hex digits, `%%` is a %.
"""

from __future__ import annotations

import re

from twistmail.mail.values import frozen
from twistmail.options import Kind

#: Characters of one unique id (RFC 1939 §7), each of them from ! to ~.
LONGEST = 70
DEFAULT = "%08Xu%08Xv"
_PIECE = re.compile(r"%(?P<zeros>0\d{1,2})?(?P<hex>X?)(?P<number>[uv])|(?P<text>%%|[!-$&-~])")
_LARGEST = 0xFFFFFFFF
_ADVICE = f"write {DEFAULT} (as Dovecot), %v.%u (as Cyrus) or %u"


@frozen
class UniqueIds:
    """`text` is the format as it was written. `pieces`: "u" or "v" and how the number is written; or "" and the text itself."""

    text: str
    pieces: tuple[tuple[str, str], ...]

    def within(self, uidvalidity: int) -> bytes:
        """The format of a mailbox: `within(uidvalidity) % uid` is a unique id."""
        spelled = {"u": lambda how: f"%{how}", "v": lambda how: format(uidvalidity, how), "": lambda text: text.replace("%", "%%")}
        return "".join([spelled[what](how) for what, how in self.pieces]).encode("ascii")


def read(text: str) -> UniqueIds:
    """*text* as Dovecot writes it. ValueError: what is wrong, and a line that says what would be right."""
    pieces: list[tuple[str, str]] = []
    at = 0
    while match := _PIECE.match(text, at):
        at = match.end()
        how = (match["zeros"] or "") + ("x" if match["hex"] else "d") if match["number"] else match["text"][0]
        pieces.append((match["number"] or "", how))
    if at < len(text):
        raise ValueError(f"{text[at:]!r} is no part of a unique id\n{_ADVICE}")
    if [what for what, _ in pieces].count("u") != 1:
        raise ValueError(f"a unique id has the UID (%u) in it, once\n{_ADVICE}")
    found = UniqueIds(text, tuple(pieces))
    if len(found.within(_LARGEST) % _LARGEST) > LONGEST:
        raise ValueError(f"unique ids have at most {LONGEST} characters\n{_ADVICE}")
    return found


#: `%08Xu%08Xv` -> UniqueIds.
UNIQUE_IDS = Kind("format", read, lambda found: str(found.text))
