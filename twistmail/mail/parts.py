"""The parts of a MIME message, found by offset in one pass (RFC 2045, RFC 2046).

`scan` never copies a body and never recurses: it walks from one delimiter line
to the next with a stack of open multiparts, and each octet is looked at a fixed
number of times however deep or broken the nesting is. Limits: `MOST_DEPTH`
levels, `MOST_PARTS` parts, `MOST_PARAMETERS` parameters a field, `headers.MOST`
octets a header; what goes beyond is the content of the last part that fits.

Broken messages are read as Dovecot reads them: a multipart that is not closed
ends where its parent does, a delimiter inside a header ends that header, and
lines that are no fields are skipped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from twistmail.mail import headers
from twistmail.mail.headers import unfold

MOST_DEPTH = 100
MOST_PARTS = 10_000
MOST_PARAMETERS = 100

Parameters = tuple[tuple[bytes, bytes], ...]

_TYPE = re.compile(rb"[ \t]*+([^\x00-\x20\x7f()<>@,;:\\\"/\[\]?=]++)[ \t]*+/[ \t]*+([^\x00-\x20\x7f()<>@,;:\\\"/\[\]?=]++)[ \t]*+(?:;|\Z)")
_WORD = re.compile(rb"[ \t]*+([^\x00-\x20\x7f()<>@,;:\\\"/\[\]?=]++)[ \t]*+(?:;|\Z)")
_PARAMETER = re.compile(rb'[ \t;]*+([^\x00-\x20\x7f();="]++)[ \t]*+=[ \t]*+(?:"((?:[^"\\]|\\.)*+)"?|([^ \t;]*+))[^;]*+', re.DOTALL)
_COMMENT_OR_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[()]|\\.', re.DOTALL)
_ESCAPE = re.compile(rb"\\(.?)", re.DOTALL)
_UNSAFE = re.compile(rb"[^A-Za-z0-9!#$&+\-.^_`{|}~]")
_CONTINUED = re.compile(rb"(.+)\*(\d{1,3})(\*?)", re.DOTALL)

#: Kinds of message/ that hold a message (RFC 2046 §5.2.1, RFC 6532 §3.7).
MESSAGES = (b"rfc822", b"global")
#: The fields of a part that anybody asks for; others are not kept.
WANTED = frozenset(
    b"date subject from sender reply-to to cc bcc in-reply-to message-id references content-type content-transfer-encoding content-id "
    b"content-description content-disposition content-language content-location content-md5".split())  # fmt: skip


@dataclass(slots=True, eq=False)
class Part:
    """One part, or the message itself. Offsets are into the message: `start` <= `body` <= `end`.

    `[start:body]` is the header with its empty line, `[body:end]` the content; the line end before a delimiter belongs to
    the delimiter. `children` are the parts of a multipart, or the one message inside a message. `type` and `subtype`
    are spelled as in the message; `fields` has the WANTED fields by lower-case name, each with its raw values in order.
    """

    start: int
    body: int
    end: int
    depth: int
    fields: dict[bytes, list[bytes]]
    type: bytes
    subtype: bytes
    parameters: Parameters
    children: list[Part] = field(default_factory=list)

    @property
    def is_multipart(self) -> bool:
        return self.type.lower() == b"multipart"

    @property
    def is_message(self) -> bool:
        """One of MESSAGES, with the message inside as its only child."""
        return bool(self.children) and not self.is_multipart

    @property
    def size(self) -> int:
        return self.end - self.body

    @property
    def encoding(self) -> bytes | None:
        """Content-Transfer-Encoding as written, without what follows it."""
        match = _WORD.match(without_comments(self.value(b"content-transfer-encoding") or b""))
        return match[1] if match else None

    @property
    def disposition(self) -> tuple[bytes, Parameters] | None:
        """Content-Disposition: the word and its parameters (RFC 2183)."""
        value = without_comments(self.value(b"content-disposition") or b"")
        match = _WORD.match(value)
        return (match[1], parameters(value, match.end())) if match else None

    @property
    def languages(self) -> list[bytes]:
        """Content-Language (RFC 3282)."""
        value = without_comments(self.value(b"content-language") or b"")
        return [tag.strip(b" \t") for tag in value.split(b",")[:MOST_PARAMETERS] if tag.strip(b" \t")]

    def value(self, name: bytes) -> bytes | None:
        """The unfolded value of the first field *name* (lower case, one of WANTED)."""
        raw = self.fields.get(name)
        return unfold(raw[0]) if raw else None

    def parameter(self, name: bytes) -> bytes | None:
        """The value of Content-Type's parameter *name* (lower case)."""
        return next((value for key, value in self.parameters if key.lower() == name), None)

    def walk(self) -> list[Part]:
        """This part and all below it, each before its children, in the order of the message."""
        found, waiting = [], [self]
        while waiting:
            part = waiting.pop()
            found.append(part)
            waiting.extend(reversed(part.children))
        return found


def scan(message: bytes) -> Part:
    """The tree of parts of *message* (CRLF line ends). Never raises."""
    return _Scanner(message).scan()


class _Scanner:
    """One pass over one message. `open` are the multiparts whose delimiters count now, outermost first."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.size = len(message)
        self.parts = 0
        self.open: list[tuple[Part, bytes]] = []
        self.needle = b"\r\n--"
        self._blank = -1  # where the next empty line begins, as far as we know

    def scan(self) -> Part:
        root, at = self._part(0, None)
        while self.open and self.parts < MOST_PARTS:
            at, level, closes = self._delimiter(at)
            if level < 0:
                break
            self._end_parts(level, at)
            line_end = self._line_end(at + 2)
            if closes:
                self._close(level)
                at = line_end
            else:
                _, at = self._part(line_end + 2, self.open[level][0])
        return root

    def _part(self, start: int, parent: Part | None) -> tuple[Part, int]:
        """The part at *start*, with the messages inside it where it is one; and where to look for the next delimiter."""
        start = min(start, self.size)
        outermost: Part | None = None
        while True:
            body = self._header_end(start)
            part = self._made(start, body, parent)
            self.parts += 1
            outermost = outermost or part
            if parent is not None:
                parent.children.append(part)
            if part.depth >= MOST_DEPTH or self.parts >= MOST_PARTS:
                break
            kind = part.type.lower()
            if kind == b"multipart":
                boundary = (part.parameter(b"boundary") or b"").rstrip(b" \t")
                if boundary:
                    self._open(part, boundary)
                break
            if kind != b"message" or part.subtype.lower() not in MESSAGES:
                break
            start, parent = body, part
        return outermost, max(body - 2, 0)

    def _made(self, start: int, body: int, parent: Part | None) -> Part:
        fields: dict[bytes, list[bytes]] = {}
        for line in headers.lines(self.message[start:body]):
            name, _, value = line.partition(b":")
            name = name.rstrip(b" \t").lower()
            if name in WANTED:
                fields.setdefault(name, []).append(value)
        kind: tuple[bytes, bytes, Parameters] | None = None
        if b"content-type" in fields:
            kind = content_type(fields[b"content-type"][0])
        if kind is None:
            digest = parent is not None and parent.is_multipart and parent.subtype.lower() == b"digest"
            kind = (b"message", b"rfc822", ()) if digest else (b"text", b"plain", ())
        return Part(start, body, self.size, parent.depth + 1 if parent else 0, fields, *kind)

    def _header_end(self, start: int) -> int:
        """Where the body of the part at *start* begins: behind its empty line, or at a delimiter or a limit that comes earlier."""
        message = self.message
        if message.startswith(b"\r\n", start):
            return start + 2
        if self._blank < start:
            found = message.find(b"\r\n\r\n", start)
            self._blank = self.size if found < 0 else found
        end = min(self._blank + 4, self.size)
        if self.open:
            at, level, _ = self._delimiter(max(start - 2, 0), min(end, start + headers.MOST))
            if level >= 0:
                return max(start, at)
        return headers.within(message, start, end)

    def _delimiter(self, at: int, before: int | None = None) -> tuple[int, int, bool]:
        """The next delimiter line from *at* on: where its leading CRLF is, its level in `open`, whether it closes. Level -1: none."""
        message, needle = self.message, self.needle
        before = self.size if before is None else before
        while (found := message.find(needle, at, before)) >= 0:
            level, closes = self._level(message[found + 4 : min(self._line_end(found + 2), found + 4 + self.longest + 2)])
            if level >= 0:
                return found, level, closes
            at = found + 2
        return before, -1, False

    def _level(self, line: bytes) -> tuple[int, bool]:
        """Which open multipart *line* (without its leading dashes) is a delimiter of; the longest boundary wins (RFC 2046 §5.1.2)."""
        if not line.startswith(self.boundaries):
            return -1, False
        best, level = b"", -1
        for number, boundary in enumerate(self.boundaries):
            if len(boundary) >= len(best) and line.startswith(boundary):
                best, level = boundary, number
        return level, line.startswith(b"--", len(best))

    def _line_end(self, at: int) -> int:
        end = self.message.find(b"\r\n", at)
        return self.size if end < 0 else end

    def _open(self, part: Part, boundary: bytes) -> None:
        self.open.append((part, boundary))
        self._reckon()

    def _close(self, level: int) -> None:
        """The multipart at *level* is at its end; what is left of it is epilogue."""
        del self.open[level:]
        self._reckon()

    def _reckon(self) -> None:
        self.boundaries = tuple(boundary for _, boundary in self.open)
        self.longest = max(map(len, self.boundaries), default=0)
        # as much as all open boundaries share: with one of them open, the search runs at the speed of memory
        self.needle = b"\r\n--" + _common_beginning(self.boundaries)

    def _end_parts(self, level: int, at: int) -> None:
        """A delimiter of *level* at *at*: whatever is open below ends there."""
        part = self.open[level][0]
        while part.children:
            part = part.children[-1]
            part.body = max(part.start, min(part.body, at))  # the blank line behind a header may be that of the delimiter
            part.end = max(part.body, min(part.end, at))
        self._close(level + 1)


def _common_beginning(words: tuple[bytes, ...]) -> bytes:
    if not words:
        return b""
    low, high = min(words), max(words)
    return next((low[:at] for at in range(len(low)) if not high.startswith(low[: at + 1])), low)


# ----- structured fields


def content_type(raw: bytes) -> tuple[bytes, bytes, Parameters] | None:
    """(type, subtype, parameters) of a Content-Type *raw* value, spelled as written; None where it is none."""
    value = without_comments(unfold(raw))
    match = _TYPE.match(value)
    return (match[1], match[2], parameters(value, match.end())) if match else None


def parameters(value: bytes, at: int) -> Parameters:
    """The parameters in *value* from *at* on, at most MOST_PARAMETERS; continuations put together (RFC 2231 §3)."""
    found: list[tuple[bytes, bytes]] = []
    for _ in range(MOST_PARAMETERS):
        while (match := _PARAMETER.match(value, at)) is None:
            at = value.find(b";", at) + 1  # a parameter without a value, or worse: go on behind it
            if not at:
                return _joined(found)
        quoted, plain = match[2], match[3]
        found.append((match[1], plain if quoted is None else _ESCAPE.sub(rb"\1", quoted)))
        at = match.end()
        if at >= len(value):
            break
    return _joined(found)


def _joined(found: list[tuple[bytes, bytes]]) -> Parameters:
    """Continuations (`name*0`, `name*1*`) as one parameter, called `name*` where a piece is percent-encoded (RFC 2231 §4.1).

    Pieces of which one is missing, or there twice, are told as they stand: nobody knows what they would be together.
    """
    if not any(b"*" in key for key, _ in found):
        return tuple(found)
    whole: list[tuple[bytes, bytes]] = []
    pieces: dict[bytes, list[tuple[int, bytes, bool, bytes]]] = {}
    for key, text in found:
        match = _CONTINUED.fullmatch(key)
        if match:
            pieces.setdefault(match[1], []).append((int(match[2]), text, bool(match[3]), key))
        else:
            whole.append((key, text))
    for key, numbered in pieces.items():
        ordered = sorted(numbered, key=lambda piece: piece[0])
        if [piece[0] for piece in ordered] != list(range(len(ordered))):
            whole += [(spelled, text) for _, text, _, spelled in numbered]
            continue
        encoded = any(extended for _, _, extended, _ in ordered)
        texts = [text if extended or not encoded else _UNSAFE.sub(_percent, text) for _, text, extended, _ in ordered]
        whole.append((key + b"*" if encoded else key, b"".join(texts)))
    return tuple(whole)


def _percent(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]


def without_comments(value: bytes) -> bytes:
    """*value* with its comments (RFC 5322 §3.2.2) taken out, quoted strings untouched."""
    if b"(" not in value:
        return value
    kept: list[bytes] = []
    depth, at = 0, 0
    for match in _COMMENT_OR_QUOTED.finditer(value):
        mark = match[0]
        if mark == b"(":
            if not depth:
                kept.append(value[at : match.start()])
            depth += 1
        elif mark == b")" and depth:
            depth -= 1
            at = match.end()
    if not depth:
        kept.append(value[at:])
    return b" ".join(kept)
