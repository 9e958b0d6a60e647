"""The files in a message: MIME parts, and uuencoded ones in the middle of its text. Pure, linear, never raises.

`found` is for people who take a message apart. A name is as the sender wrote
it; `safe_name` makes of it a name that can be given to a file.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from twistmail.mail import mime, words
from twistmail.mail.parts import Part, scan
from twistmail.mail.values import frozen

LONGEST_NAME = 200

#: `begin 644 name`; `begin-base64` is what uuencode -m writes.
_BEGIN = re.compile(rb"^begin(-base64)? [0-7]{3,4} ([^\r\n]{1,500})\r?\n", re.MULTILINE)
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]{1,100}={0,3}")
_UU_LINE = re.compile(rb"[\x20-\x60]{1,90}")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@frozen
class Attachment:
    """One file. `encoding` is "uu", or the Content-Transfer-Encoding of its part ("7bit": none); `is_whole`: it has its end."""

    name: str
    encoding: str
    octets: bytes
    is_whole: bool = True


def found(message: bytes) -> Iterator[Attachment]:
    """The files in *message* (CRLF line ends), in order: parts that have a name or are no text, and uuencoded ones in texts."""
    for number, part in enumerate(scan(message).walk()):
        if part.is_multipart or part.children:
            continue
        encoding = (part.encoding or b"7bit").decode("latin-1").lower()
        name = name_of(part)
        octets = mime.content(message, part)
        uuencoded = list(_uuencoded(octets)) if part.type.lower() in (b"text", b"") or number == 0 else []
        if not uuencoded and (name or part.type.lower() not in (b"text", b"")):
            yield Attachment(name or f"part-{number}", encoding, octets)
        yield from uuencoded


def safe_name(name: str) -> str:
    """*name* without directories, control characters and dots in front; never empty, never long."""
    last = _UNSAFE.sub("_", name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    plain = last.strip(" ").lstrip(".").strip(" ") or "attachment"
    while len(plain.encode()) > LONGEST_NAME:
        stem, dot, kind = plain.rpartition(".")
        plain = stem[:-1] + dot + kind if dot and stem and len(kind) < 20 else plain[:-1]
    return plain


def name_of(part: Part) -> str:
    """The file name that *part* asks for; empty where it has none."""
    disposition = part.disposition
    pairs = {key.lower(): value for key, value in (*part.parameters, *(disposition[1] if disposition else ()))}
    for key in (b"filename*", b"filename", b"name*", b"name"):
        if key in pairs:
            return _extended(pairs[key]) if key.endswith(b"*") else words.decode_words(pairs[key])
    return ""


def _extended(value: bytes) -> str:
    """`utf-8'en'na%C3%AFve` (RFC 2231 §4)."""
    charset, _, rest = value.partition(b"'")
    return words.decode(unquote_to_bytes(rest.partition(b"'")[2]), charset.decode("latin-1"))


def _uuencoded(text: bytes) -> Iterator[Attachment]:
    """The uuencoded files in *text*. Each ends at its end line, or where the lines are no longer uuencoded ones."""
    at = 0
    while match := _BEGIN.search(text, at):
        lines = _Lines(text, match.end())
        octets = _base64_lines(lines) if match[1] else _uu_lines(lines)
        at = lines.at
        if octets or lines.is_ended:
            yield Attachment(words.decode(match[2].strip(), "utf-8"), "uu", octets, lines.is_ended)


class _Lines:
    """Lines from an offset on. Who reads them says when the end has come; a line that was not wanted is given back."""

    def __init__(self, text: bytes, at: int) -> None:
        self.text, self.at, self._before = text, at, at
        self.is_ended = False

    def next(self) -> bytes | None:
        if self.at >= len(self.text):
            return None
        end = self.text.find(b"\n", self.at)
        end = len(self.text) if end < 0 else end
        line = self.text[self.at : end].removesuffix(b"\r")
        self._before, self.at = self.at, end + 1
        return line

    def give_back(self) -> None:
        """The latest line is for somebody else."""
        self.at = self._before


def _uu_lines(lines: _Lines) -> bytes:
    found = []
    while (line := lines.next()) is not None:
        if line == b"end":
            lines.is_ended = True
            break
        if line in (b"`", b" ", b""):  # nothing more to come; the end line should
            continue
        octets = _uu_line(line)
        if octets is None:
            lines.give_back()
            break
        found.append(octets)
    return b"".join(found)


def _uu_line(line: bytes) -> bytes | None:
    """The octets of one line, whose blanks at the end somebody may have cut off; None where it is no such line."""
    needed = (((line[0] - 32) & 63) + 2) // 3 * 4 + 1
    if not _UU_LINE.fullmatch(line) or len(line) > needed + 2:
        return None
    try:
        return binascii.a2b_uu(line[:needed].ljust(needed))
    except binascii.Error:
        return None


def _base64_lines(lines: _Lines) -> bytes:
    found = []
    while (line := lines.next()) is not None:
        if line == b"====":
            lines.is_ended = True
            break
        if not _BASE64_LINE.fullmatch(line):
            lines.give_back()
            break
        found.append(words.base64(line))
    return b"".join(found)
