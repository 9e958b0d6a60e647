"""The first words of a message, for lists of messages (RFC 8970). Pure, bounded, never raises."""

from __future__ import annotations

import html
import re

#: RFC 8970 §3.2: what a server should keep to.
LONGEST = 200
#: Octets of the part that are decoded, and characters of its text that are looked at.
MOST_OCTETS = 16 * 1024

_BLANKS = re.compile(r"\s+")
_NAME = re.compile(r"/?[a-zA-Z!?][a-zA-Z0-9]*")
#: Elements whose content nobody sees.
_HIDDEN = frozenset({"head", "script", "style", "template", "title"})


def of_plain(text: str) -> str:
    """The preview of plain text: without what it quotes (unless it only quotes) and the line that announces that."""
    lines = [line for line in text[:MOST_OCTETS].splitlines() if not line.startswith(">")]
    return _short(" ".join(lines)) or _short(text)


def of_html(text: str) -> str:
    """The preview of HTML: what is to be seen, without tags."""
    return _short(html.unescape("".join(_visible(text[:MOST_OCTETS]))))


def _short(text: str) -> str:
    return _BLANKS.sub(" ", text[: 8 * LONGEST].lstrip() if text[:1].isspace() else text[: 8 * LONGEST]).strip()[:LONGEST].replace("\0", "")


def _visible(text: str) -> list[str]:
    """The pieces between tags. Linear: what is not closed hides all that follows."""
    pieces: list[str] = []
    at = 0
    while True:
        tag = text.find("<", at)
        if tag < 0:
            return [*pieces, text[at:]]
        pieces += (text[at:tag], " ")
        name = _NAME.match(text, tag + 1)
        if name is None:  # a sign, not a tag
            pieces.append("<")
            at = tag + 1
            continue
        word = name[0].lower()
        close = "-->" if text.startswith("<!--", tag) else f"</{word}" if word in _HIDDEN else ">"
        end = _found(text, close, name.end())
        if end < 0:
            return pieces
        at = end + len(close) if close != f"</{word}" else _found(text, ">", end) + 1
        if at == 0:
            return pieces


def _found(text: str, what: str, start: int) -> int:
    """Where *what* (ASCII) is from *start* on, in any case; -1 where it is not."""
    if what in (">", "-->"):
        return text.find(what, start)
    match = re.compile(re.escape(what), re.IGNORECASE).search(text, start)
    return match.start() if match else -1
