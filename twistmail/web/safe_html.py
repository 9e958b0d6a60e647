"""Somebody's HTML made harmless: only known elements and attributes are left, and nothing in it asks anybody for anything.

`clean` writes it anew from tokens, so that nothing comes through because two
readers cut it differently, and counts what it has left out, so that people can
be told. That is the first wall. The second is `document`, whose POLICY forbids
in the browser what was taken out here: it is to be shown in a sandboxed frame.

A link has no goal here, only a title that says where it would have led.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from twistmail.mail.values import frozen
from twistmail.web.html_tokens import Close, Open, Raw, Text, tokens, words

#: Characters that are looked at, and elements that are shown; what comes behind is left out and said to be.
MOST_CHARACTERS, MOST_ELEMENTS, MOST_DEPTH = 1024 * 1024, 20_000, 100
#: Characters of an image that stands in the text itself.
LONGEST_IMAGE = 512 * 1024
#: Characters of all images as they are written: one that came once may be shown a thousand times.
MOST_IMAGES = 3 * 1024 * 1024
#: What a browser may do with a `document`: show it, and nothing else (Content Security Policy Level 3, `sandbox` without any permission).
POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)

_SHOWN = words(
    "a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del details dfn div dl dt "
    "em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q s samp section small "
    "span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr"
)
_EMPTY = words("br col hr img wbr")
_BLOCKS = words(
    "address article aside blockquote br caption center dd div dl dt figure footer h1 h2 h3 h4 h5 h6 header hr li ol p pre section "
    "table tr ul"
)
#: Elements that go with all that is in them, and what people are told of them.
_GONE = {"svg": "drawing", "math": "formula", "object": "embedded object", "applet": "embedded object", "audio": "sound", "video": "film",
         "canvas": "drawing", "template": "template", "select": "form field", "frameset": "frame"}  # fmt: skip
#: Elements that go alone.
_LEFT_OUT = {"form": "form", "input": "form field", "button": "form field", "option": "form field", "label": "form field",
             "fieldset": "form field", "embed": "embedded object", "frame": "frame",
             "link": "linked file", "meta": "instruction to the browser",
             "base": "instruction to the browser", "source": "film"}  # fmt: skip
_RAW = {"script": "script", "iframe": "frame", "noscript": "", "textarea": "form field", "style": ""}
_KEPT = words(
    "align alt bgcolor border cellpadding cellspacing class color colspan dir face height lang rowspan size start title type "
    "valign value width"
)
_IMAGE = re.compile(r"data:image/(?:png|jpeg|jpg|gif|webp);base64,[A-Za-z0-9+/=\s]*", re.IGNORECASE)
_ASKS = re.compile(r"url\s*+\(|@import|expression\s*+\(|\\|image-set|-moz-binding|behavior", re.IGNORECASE)
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@frozen
class Cleaned:
    """`html`: a piece without html and body tags. `left_out`: (what, how many), in order of words. `is_cut`: there was more."""

    html: str
    left_out: tuple[tuple[str, int], ...] = ()
    is_cut: bool = False


@dataclass(slots=True)
class _Writer:
    """What has been written, which of our elements are open, and how deep we are in one that goes whole."""

    images: Mapping[str, str]
    out: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    gone: Counter[str] = field(default_factory=Counter)
    elements: int = 0
    shown: int = 0  # characters of images
    skipped: str = ""  # the element that goes with all that is in it
    depth: int = 0  # of equal ones inside it

    # ----- tokens

    def text(self, token: Text) -> None:
        if not self.skipped:
            self.out.append(escape(without_tricks(token.text)))

    def opened(self, token: Open) -> None:
        name = token.name
        if self.skipped:
            self.depth += name == self.skipped
        elif name in _GONE:
            self.gone[_GONE[name]] += 1
            self.skipped, self.depth = name, 1
        elif name in _LEFT_OUT:
            self.gone[_LEFT_OUT[name]] += 1
        elif name in _SHOWN and self.elements < MOST_ELEMENTS and len(self.open) < MOST_DEPTH:
            self.elements += 1
            self._element(name, token.attributes)

    def closed(self, token: Close) -> None:
        if self.skipped:
            self.depth -= token.name == self.skipped
            self.skipped = self.skipped if self.depth else ""
        elif token.name in self.open:
            while self.open:
                last = self.open.pop()
                self.out.append(f"</{last}>")
                if last == token.name:
                    return

    def raw(self, token: Raw) -> None:
        if self.skipped:
            return
        if word := _RAW.get(token.name):
            self.gone[word] += 1
        if token.name == "style":
            self._style(token.content)

    def end(self) -> None:
        self.out.extend(f"</{name}>" for name in reversed(self.open))

    # ----- elements

    def _element(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "img" and not (source := self._image(attributes)):
            return
        said = [f' src="{escape(source)}"'] if name == "img" else []
        for key, value in attributes.items():
            if key in _KEPT and name != "a":
                said.append(f' {key}="{escape(without_tricks(value))}"')
            elif key == "style" and self._may_style(value):
                said.append(f' style="{escape(value)}"')
            elif key.startswith("on"):
                self.gone["script"] += 1
            elif key in ("background", "srcset", "poster", "ping"):
                self.gone["remote image" if key != "ping" else "remote call"] += 1
        if name == "a" and "href" in attributes:
            said.append(self._goal(attributes["href"]))
        self.out.append(f"<{name}{''.join(said)}>")
        if name not in _EMPTY:
            self.open.append(name)

    def _goal(self, href: str) -> str:
        goal = without_tricks(href.strip())
        if re.sub(r"[\x00-\x20]+", "", href).lower().startswith(("javascript:", "vbscript:", "data:")):
            self.gone["script"] += 1
            return ""
        return f' class="goal" title="{escape(f"leads to {goal[:2000]}")}"'

    def _image(self, attributes: Mapping[str, str]) -> str:
        """What an image element may show; empty: nothing, and what stands in its place is written."""
        source = attributes.get("src", "").strip()
        if source.lower().startswith("cid:"):
            found = self.images.get(source[4:])
        else:
            found = source if len(source) <= LONGEST_IMAGE and _IMAGE.fullmatch(source) else None
        if found is None or self.shown + len(found) > MOST_IMAGES:
            self.gone["remote image" if found is None else "image beyond what is shown"] += 1
            shown = attributes.get("alt") or source[:200] or "?"
            self.out.append(f'<span class="gone">[image not loaded: {escape(without_tricks(shown))}]</span>')
            return ""
        self.shown += len(found)
        return found

    def _may_style(self, value: str) -> bool:
        if _ASKS.search(value):
            self.gone["style that asks for a file"] += 1
            return False
        return "<" not in value

    def _style(self, content: str) -> None:
        """A style sheet, where it asks for nothing. A "<" in one ends nothing that is good."""
        if self._may_style(content):
            self.out.append(f"<style>{content}</style>")


def clean(html: str, images: Mapping[str, str] | None = None) -> Cleaned:
    """*html* made harmless; *images*: data: URLs by Content-ID (without brackets), for those that came with the message."""
    writer = _Writer(images or {})
    for token in tokens(html[:MOST_CHARACTERS]):
        match token:
            case Text():
                writer.text(token)
            case Open():
                writer.opened(token)
            case Close():
                writer.closed(token)
            case Raw():
                writer.raw(token)
    writer.end()
    is_cut = len(html) > MOST_CHARACTERS or writer.elements >= MOST_ELEMENTS
    return Cleaned("".join(writer.out), tuple(sorted(writer.gone.items())), is_cut)


def document(cleaned: Cleaned) -> bytes:
    """A whole page with it, to be sent with POLICY and shown in a frame. White, as its writer has seen it."""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light"><title>Message</title>'
        "<style>body{background:#fff;color:#111;font:16px/1.5 system-ui,sans-serif;margin:12px;overflow-wrap:anywhere}img{max-width:100%}"
        ".goal{color:#0645ad;text-decoration:underline}.goal::after{content:' [' attr(title) ']';color:#555;font-size:.8em}"
        ".gone{color:#555;border:1px dashed #777;padding:0 4px}</style></head>"
        f"<body>{cleaned.html}</body></html>"
    ).encode()


def text_of(html: str) -> str:
    """What is to be read in *html*, as plain text."""
    pieces: list[str] = []
    for token in tokens(html[:MOST_CHARACTERS]):
        if isinstance(token, Text):
            pieces.append(re.sub(r"\s++", " ", token.text))
        elif not isinstance(token, Raw) and token.name in _BLOCKS:
            pieces.append("\n")
    lines = (line.strip() for line in "".join(pieces).split("\n"))
    return re.sub(r"\n{3,}+", "\n\n", "\n".join(lines)).strip()


def without_tricks(text: str) -> str:
    """*text* with the characters named that make a reader see something else than what stands there: direction, control."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROLS.sub("\ufffd", _BIDI.sub(lambda match: f"[U+{ord(match[0]):04X}]", text))
