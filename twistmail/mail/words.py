"""Text in headers: encoded words (RFC 2047) and charsets become str, and nothing that a peer writes can raise or grow.

`decode_words` is for people and for SEARCH; the wire always shows what the
sender wrote. Charset names are looked up in a closed table: Python's own look-up
would import a module for, and remember, every name that a stranger invents.
"""

from __future__ import annotations

import binascii
import re
from encodings.aliases import aliases

#: Octets of one value that are looked at; the rest is dropped. A header line has at most 998 (RFC 5322 §2.1.1).
MOST_OCTETS = 64 * 1024

_ENCODED = re.compile(rb"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\r\n]*+)\?=")
_BLANK = re.compile(rb"[ \t\r\n]*")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
#: Codecs that are no charsets, or whose time is not linear (punycode, idna).
_UNFIT = {"bz2_codec", "hex_codec", "zlib_codec", "base64_codec", "quopri_codec", "uu_codec", "rot_13", "mbcs", "punycode", "idna",
          "unicode_escape", "raw_unicode_escape", "undefined", "oem", "tactis"}
_CODECS = {name: codec for name, codec in aliases.items() if codec not in _UNFIT}
_CODECS |= {codec: codec for codec in _CODECS.values()} | {"utf_8": "utf_8", "utf8": "utf_8", "us_ascii": "utf_8", "ascii": "utf_8"}
_NOT_A_NAME = re.compile(r"[^a-z0-9]+")
_HALVES = re.compile("[\ud800-\udfff]")


def codec_of(charset: str) -> str | None:
    """The Python codec for a charset name as mail writes it, or None where we know none."""
    return _CODECS.get(_NOT_A_NAME.sub("_", charset[:60].lower()).strip("_"))


def decode(octets: bytes, charset: str) -> str:
    """*octets* as text; what is wrong in them becomes U+FFFD, and an unknown charset is read as UTF-8 or else Latin-1. Never raises."""
    codec = codec_of(charset)
    if codec is None:
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            return octets.decode("latin-1")
    try:
        return whole(octets.decode(codec, "replace"))
    except (UnicodeError, LookupError, ValueError):  # a stateful codec that cannot replace
        return octets.decode("latin-1")


def whole(text: str) -> str:
    """*text* with U+FFFD for halves of characters, which UTF-7 lets through and nobody can write down (RFC 3629 §3)."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


def base64(octets: bytes) -> bytes:
    """*octets* out of base64; whatever is no base64 is skipped, a torn end is dropped. Never raises."""
    clean = base64_alphabet(octets)
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


def base64_alphabet(octets: bytes) -> bytes:
    """*octets* without those that are no base64."""
    return octets.translate(None, _NOT_BASE64)


def decode_words(value: bytes) -> str:
    """A header value as people read it: unfolded, encoded words decoded (RFC 2047 §6.2), the rest as UTF-8 or Latin-1. Never raises."""
    value = value[:MOST_OCTETS].replace(b"\r\n", b"")
    if b"=?" not in value:
        return value.decode("ascii") if value.isascii() else decode(value, "")
    pieces: list[str] = []
    run, charset, at = b"", "", 0  # octets of neighbours in one charset are decoded together: senders cut characters in two
    for match in _ENCODED.finditer(value):
        plain = value[at : match.start()]
        named = match[1].decode("latin-1").partition("*")[0].lower()  # RFC 2231 §5: a language may follow
        decoded = base64(match[3]) if match[2] in b"bB" else binascii.a2b_qp(match[3], header=True)
        joins = bool(at) and _BLANK.fullmatch(plain) is not None
        if joins and named == charset:
            run += decoded
        else:
            if run:
                pieces.append(decode(run, charset))
            if not joins:
                pieces.append(decode(plain, ""))
            run, charset = decoded, named
        at = match.end()
    if run:
        pieces.append(decode(run, charset))
    pieces.append(decode(value[at:], ""))
    return "".join(pieces)
