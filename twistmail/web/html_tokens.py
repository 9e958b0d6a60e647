"""Somebody's HTML as a row of tokens: text, tags that open and close, and what stands in elements that are no markup inside.

As browsers cut it (HTML Standard, "Tokenization") where that matters for safety; nobody is to be told more here than what
stands there. Linear in the text, never raises: what is not closed goes to the end, and no search that has failed is made twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from html import unescape

from twistmail.mail.values import frozen


def words(text: str) -> frozenset[str]:
    """The words of a list that is written as people write one."""
    return frozenset(text.split())


#: Elements whose content is text without markup, up to their own end tag.
RAW = words("script style title textarea xmp iframe noembed noframes noscript plaintext")
#: Attributes of one tag; more are dropped.
MOST_ATTRIBUTES = 100

_NAME = re.compile(r"[A-Za-z][^\s/>]*+")
_ATTRIBUTE = re.compile(r"""[\s/]*+([^\s/>=][^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"'][^\s>]*+)?))?""")
_TAG_END = re.compile(r"[^>]*+>")


@frozen
class Text:
    """Between tags; character references are resolved."""

    text: str


@frozen
class Open:
    """A tag that opens an element: `name` and the attributes' names in lower case, values resolved; of equal names the first."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)


@frozen
class Close:
    name: str


@frozen
class Raw:
    """A whole element of RAW with what stands in it."""

    name: str
    content: str


Token = Text | Open | Close | Raw


def tokens(html: str) -> Iterator[Token]:
    """The tokens of *html*; comments, declarations and whatever else nobody sees are left out."""
    at, size = 0, len(html)
    while at < size:
        mark = html.find("<", at)
        if mark < 0:
            yield Text(unescape(html[at:]))
            return
        if mark > at:
            yield Text(unescape(html[at:mark]))
        name = _NAME.match(html, mark + 1)
        if name is not None:
            token, at = _opened(html, name[0].lower(), name.end())
            yield token
        elif html.startswith("</", mark):
            closed = _NAME.match(html, mark + 2)
            at = _behind(html, ">", mark)
            if closed is not None:
                yield Close(closed[0].lower())
        elif html.startswith("<!--", mark):
            at = _behind(html, "-->", mark)
        elif html.startswith(("<!", "<?"), mark):
            at = _behind(html, ">", mark)
        else:  # a sign, not a tag
            yield Text("<")
            at = mark + 1


def _opened(html: str, name: str, at: int) -> tuple[Token, int]:
    """The element whose name ends at *at*, and where to go on."""
    attributes: dict[str, str] = {}
    while match := _ATTRIBUTE.match(html, at):
        at = match.end()
        if len(attributes) < MOST_ATTRIBUTES:
            value = next((group for group in match.groups()[1:] if group is not None), "")
            attributes.setdefault(match[1].lower(), unescape(value))
    end = _TAG_END.match(html, at)
    at = end.end() if end else len(html)
    if name not in RAW:
        return Open(name, attributes), at
    closing = None if name == "plaintext" else re.compile(f"</{name}(?=[\\s/>])", re.IGNORECASE).search(html, at)
    if closing is None:
        return Raw(name, html[at:]), len(html)
    return Raw(name, html[at : closing.start()]), _behind(html, ">", closing.end())


def _behind(html: str, what: str, at: int) -> int:
    """The place behind the next *what*; the end where there is none."""
    found = html.find(what, at)
    return len(html) if found < 0 else found + len(what)
