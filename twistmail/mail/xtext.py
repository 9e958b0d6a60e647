"""How addresses and envelope ids are spelled in ESMTP parameters: xtext (RFC 3461 §4) and unitext (RFC 6533 §3).

The server's wire checks what comes in; here is what reports and the relay make
of it afterwards. Nothing raises: what is no xtext after all stays as it is.
"""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"\+([0-9A-F]{2})")
_EMBEDDED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
#: What xtext must not hold itself, and what unitext must not.
_NOT_XCHAR = re.compile(r"[^!-*,-<>-~]")
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")


def decoded(text: str) -> str:
    """What xtext *text* stands for. Octets beyond ASCII are read as UTF-8, and are U+FFFD where they are none."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text).encode("latin-1", "replace").decode("utf-8", "replace")


def encoded(text: str) -> str:
    """*text* as xtext; what is not ASCII as the octets of its UTF-8."""
    return _NOT_XCHAR.sub(lambda match: "".join(f"+{octet:02X}" for octet in match[0].encode()), text)


def from_unitext(text: str) -> str:
    """What unitext *text* stands for: `j\\x{F6}rg` is `jörg`. What is no character of Unicode stays as it is."""
    return _EMBEDDED.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    point = int(match[1], 16)
    return match[0] if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF else chr(point)


def to_unitext(text: str) -> str:
    """*text* as utf-8-addr-xtext, the form of unitext that is ASCII throughout."""
    return _NOT_QCHAR.sub(lambda match: f"\\x{{{ord(match[0]):02X}}}", text)


def original_recipient(orcpt: str) -> tuple[str, str]:
    """The address type (in lower case) and the address, decoded, that an ORCPT parameter names (RFC 3461 §4.2, RFC 6533 §3)."""
    kind, _, address = orcpt.partition(";")
    kind = kind.strip().lower()
    return kind, from_unitext(address) if kind == "utf-8" else decoded(address)
