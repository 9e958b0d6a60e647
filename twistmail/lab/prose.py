"""The little that prose of lessons can have in a line: `code`, **strong**, [words](/page). Everything else is escaped.

Pages open beside the lesson, in its frame `look`.
"""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_SPANS = re.compile(r"`([^`\n]{1,300})`|\*\*([^*\n]{1,300})\*\*|\[([^\]\n]{1,200})\]\((/(?!/)[^)\s]{0,300}|https?://[^)\s]{1,300})\)")


def inline(words: str) -> Markup:
    """*words* as HTML."""
    made, end = Markup(), 0
    for match in _SPANS.finditer(words):
        made += escape(words[end : match.start()]) + _span(match)
        end = match.end()
    return made + escape(words[end:])


def _span(match: re.Match[str]) -> Markup:
    code, strong, link, path = match.groups()
    if code is not None:
        return Markup("<code>{}</code>").format(code)
    if strong is not None:
        return Markup("<strong>{}</strong>").format(strong)
    beside = Markup(' target="look"') if path.startswith("/") and not path.startswith("/lessons") else ""
    return Markup('<a href="{}"{}>{}</a>').format(path, beside, link)


def plain(words: str) -> str:
    """*words* as a terminal shows them."""
    return _SPANS.sub(lambda match: match[1] or match[2] or f"{match[3]} ({match[4]})", words)
