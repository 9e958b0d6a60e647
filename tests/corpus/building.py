"""How the odd mails of the corpus are spelled: with LF here, with CRLF for who uses them; `¬` stands for a CR alone."""

from __future__ import annotations

HEAD = "From: Ann <ann@red.test>\nTo: bob@blue.test\nSubject: odd\nDate: Sat, 21 Nov 2026 03:20:00 +0000\nMessage-ID: <odd@red.test>\n"


def crlf(text: str | bytes) -> bytes:
    """*text* as it goes over the wire; characters above 255 as UTF-8, all others as one octet each."""
    octets = text if isinstance(text, bytes) else _octets(text.replace("¬", "\x1e"))
    return octets.replace(b"\n", b"\r\n").replace(b"\x1e", b"\r")


def _octets(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def headed(fields: str | bytes, body: str | bytes = "text\n") -> bytes:
    """A message with *fields* behind the usual ones and MIME-Version."""
    return crlf(HEAD + "MIME-Version: 1.0\n") + crlf(fields) + b"\r\n" + crlf(body)


def only(fields: str | bytes, body: str | bytes = "text\n") -> bytes:
    """A message with *fields* and no others."""
    return crlf(fields) + b"\r\n" + crlf(body)


def multipart(body: str | bytes, *, boundary: str = "b", kind: str = "mixed", more: str = "") -> bytes:
    return headed(f'Content-Type: multipart/{kind}; boundary="{boundary}"{more}\n', body)


def nested(depth: int, kind: str = "multipart") -> bytes:
    """*depth* multiparts, or messages, one within the other."""
    inner = b"the end\r\n"
    for level in reversed(range(depth)):
        if kind == "multipart":
            head = b'Content-Type: multipart/mixed; boundary="level-%d-"\r\n\r\n' % level
            inner = head + b"--level-%d-\r\n%b\r\n--level-%d---\r\n" % (level, inner, level)
        else:
            inner = b"Content-Type: message/rfc822\r\nSubject: level %d\r\n\r\n" % level + inner
    return inner
