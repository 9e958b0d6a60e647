"""The message that a program gives to sendmail: as it is sent on, and to whom by its header. Pure but for who runs us."""

from __future__ import annotations

import os
from email.header import Header

from twistmail.cli.exits import Exit, Failure
from twistmail.mail import headers

RECIPIENT_FIELDS = (b"to", b"cc", b"bcc")
RESENT_FIELDS = (b"resent-to", b"resent-cc", b"resent-bcc")


def cleaned(raw: bytes, *, dots: bool) -> bytes:
    """*raw* with CRLF line ends, without mbox's first line and (*dots*) without what stands behind a line of one dot.

    A CR alone, as programs print it that draw their progress, ends a line too: SMTP has no room for it, and what a job of
    cron has said shall not be lost for that.
    """
    lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    if dots and b"." in lines:
        del lines[lines.index(b".") :]
    if lines and lines[0].startswith((b"From ", b">From ")):
        del lines[0]
    return b"".join(line + b"\r\n" for line in lines)


def _header(message: bytes) -> tuple[bytes, bytes]:
    header, end = headers.split(message)
    return header, message[end:]


def recipients_in(message: bytes) -> list[str]:
    """All of To, Cc and Bcc; of a message that is sent on, those of the Resent- fields (RFC 5322 §3.6.6)."""
    header, _ = _header(message)
    resent = any(headers.values(header, name) for name in RESENT_FIELDS)
    fields = RESENT_FIELDS if resent else RECIPIENT_FIELDS
    return [address for name in fields for value in headers.values(header, name) for address in addresses(value)]


def addresses(value: bytes) -> list[str]:
    """The addresses in a list, with or without domains. Failure where something in it is none."""
    found = []
    for one in headers.addresses(value):
        if one.is_mailbox:
            text = (one.local or b"").decode("utf-8", "replace")
            domain = (one.domain or b"").decode("utf-8", "replace")
            found.append(spelled(text, domain))
    return found


def spelled(local: str, domain: str) -> str:
    """The address of these two, as SMTP writes it. Failure where that cannot be."""
    from twistmail.mail.address import Address

    if not local or any(c in local or c in domain for c in "\r\n\0<>"):
        raise Failure(f"{local}@{domain} is no address", Exit.DATAERR)
    return str(Address(local, domain))


def without_blind(message: bytes) -> bytes:
    """*message* without Bcc."""
    header, body = _header(message)
    return headers.without(header, {b"bcc", b"resent-bcc"}) + body


def named(message: bytes, name: str, sender: str | None) -> bytes:
    """*message* with the full name of -F in a From of its own, where it has none. *sender*: of -f."""
    header, body = _header(message)
    if not name or headers.values(header, b"from"):
        return message
    author = [(b"From", f"{_phrase(name)} <{sender or user()}>".encode())]
    begins = next(headers.fields(header), None)
    if begins is None or begins.start > 0:  # it is all text
        return headers.add(b"\r\n", author) + message
    return headers.add(header, author) + body


def _phrase(name: str) -> str:
    """*name* as RFC 5322 §3.2.5 writes one: quoted, or encoded (RFC 2047) where it is not ASCII."""
    name = "".join(c for c in name if c.isprintable())
    if name.isascii():
        return '"' + "".join(c for c in name if c not in '"\\') + '"'
    return Header(name, "utf-8", maxlinelen=1000).encode()


def user() -> str:
    """Who runs us."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name.lower()
    except KeyError:
        return f"uid{os.getuid()}"
