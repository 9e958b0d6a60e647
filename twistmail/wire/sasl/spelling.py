"""How SASL's octets stand in a line of text: base64, strictly (RFC 4648 §4)."""

from __future__ import annotations

import binascii


def decode(line: bytes) -> bytes | None:
    """The octets that *line* spells in base64 (RFC 4648 §4, padded, nothing else in it), or None where it is not base64.

    `=` alone is the empty initial response (RFC 4954 §4, RFC 5034 §4).
    """
    if line == b"=":
        return b""
    try:
        return binascii.a2b_base64(line, strict_mode=True)
    except ValueError:
        return None


def encode(data: bytes) -> bytes:
    """*data* as base64 in one line."""
    return binascii.b2a_base64(data, newline=False)
