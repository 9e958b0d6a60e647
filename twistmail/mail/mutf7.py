"""Modified UTF-7: how IMAP4rev1 writes mailbox names in ASCII (RFC 3501 §5.1.3), and how Maildir++ names its directories.

Pure. The IMAP wire and the store's folder names use the same two functions.
"""

from __future__ import annotations

import codecs
import re
from base64 import b64decode, b64encode

#: Loaded here: after root is given up the interpreter's own files may be out of reach.
codecs.lookup("utf-16-be")

_SHIFTED = re.compile(r"[^\x20-\x7e]+")
_ENCODED = re.compile(r"&([A-Za-z0-9+,]*)-")
_ESCAPED = re.compile(r"\\([0-9a-f]{2})")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


def encode(text: str) -> str:
    """*text* in modified UTF-7: printable ASCII stands for itself, "&" is "&-", the rest is base64 of UTF-16.

    Raises ValueError where *text* holds half of a surrogate pair.
    """
    return _SHIFTED.sub(_shift, text.replace("&", "&-"))


def _shift(run: re.Match[str]) -> str:
    packed = b64encode(run[0].encode("utf-16-be")).decode().rstrip("=")
    return f"&{packed.replace('/', ',')}-"


def decode(text: str) -> str:
    """The text that *text* stands for.

    Raises ValueError for what `encode` would not have written (a name has one spelling, or two mailboxes look alike).
    """
    if not _PRINTABLE.fullmatch(text):
        raise ValueError("modified UTF-7 is printable ASCII")
    plain = _ENCODED.sub(_unshift, text)
    if encode(plain) != text:
        raise ValueError("not modified UTF-7 in its one spelling")
    return plain


def _unshift(run: re.Match[str]) -> str:
    if not run[1]:
        return "&"
    packed = run[1].replace(",", "/")
    return b64decode(packed + "=" * (-len(packed) % 4)).decode("utf-16-be")


def part_on_disk(part: str) -> str:
    """One level of a name as Maildir++ directories and `subscriptions` spell it; dots are escaped as Dovecot's listescape does."""
    escaped = encode(part).replace("\\", "\\5c").replace(".", "\\2e").replace("/", "\\2f")
    return "\\7e" + escaped[1:] if escaped.startswith("~") else escaped


def part_from_disk(text: str) -> str:
    """The level that *text* stands for. Raises ValueError."""
    return decode(_ESCAPED.sub(lambda match: chr(int(match[1], 16)), text))
