"""What SEARCH sees of one header field: its text, decoded (RFC 2047) and case folded. Pure.

Of addresses it is what stands in ENVELOPE that is looked through (RFC 3501 §6.4.4): `<ann (at home) @ here.example>` is found by
`ann@here.example`. Most fields say their addresses just so; only those with comments are taken apart.
"""

from __future__ import annotations

from twistmail.mail import words
from twistmail.mail.addresses import addresses
from twistmail.mail.folding import folded

_ADDRESSES = frozenset({b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"})


def searched(name: bytes, value: bytes) -> str:
    """What a search looks through of *value*, that of a field called *name* (lower case). Behind a line end: its addresses."""
    text = folded(words.decode_words(value))
    if b"(" not in value or name not in _ADDRESSES:
        return text
    plain = [b"%b@%b" % (one.local or b"", one.domain or b"") for one in addresses(value) if one.is_mailbox]
    return f"{text}\n{folded(words.decode(b' '.join(plain), ''))}"
