"""What a mailbox compares of a message: for SORT and THREAD (RFC 5256, RFC 5957), SEARCH, and for the ids of RFC 8474.

The store keeps a Summary of each message beside its ENVELOPE (`mime.describe`).
Texts are decoded; those that SEARCH looks through are case folded, those that
SORT compares are mapped by i;unicode-casemap. Pure, linear, never raises.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from twistmail.mail import preview, words
from twistmail.mail.addresses import ListedAddress, addresses
from twistmail.mail.collation import casemap
from twistmail.mail.dates import sent_time
from twistmail.mail.headers import message_ids
from twistmail.mail.parts import Part
from twistmail.mail.searched import searched
from twistmail.mail.subjects import based

#: Messages that one refers to: the oldest, which is the root of the thread, and so many of the latest.
MOST_REFERENCES = 200
#: Octets that are digested at a time: a message may be too big for memory (`paged`).
PIECE = 1024 * 1024

Fields = dict[bytes, list[bytes]]


class Summary(NamedTuple):
    """`sent`: POSIX seconds of the Date field, None where it tells none.

    `subject`, `sender`, `to`, `cc`, `bcc`: all values of the fields Subject, From, To, Cc and Bcc, decoded and case folded, a
    line each. `base_subject`, `reply`: RFC 5256 §2.1, and whether it is that of a reply or forward. `sort_from`, `sort_to`,
    `sort_cc`: the local part of the first address (RFC 5256 §3); `display_from`, `display_to`: its display name, or else the
    address (RFC 5957 §3). `threading`: its Message-ID (may be empty), then those that it refers to, oldest first, without
    brackets, separated by blanks. `emailid`, `threadid`: RFC 8474. `preview`: RFC 8970.
    """

    sent: float | None
    subject: str
    sender: str
    to: str
    cc: str
    bcc: str
    base_subject: str
    reply: bool
    sort_from: str
    sort_to: str
    sort_cc: str
    display_from: str
    display_to: str
    threading: str
    emailid: str
    threadid: str
    preview: str


def summarise(message: bytes, root: Part) -> Summary:
    """The Summary of *message* (CRLF line ends), whose parts are *root*.

    The EMAILID is a digest of the content: copies have the same one, and it needs no memory (RFC 8474 §4 lets equal messages
    share it). The THREADID is a digest of the id of the first message of the thread, as far as this message tells it.
    Where a field stands twice, its last is told, as in ENVELOPE.
    """
    fields = root.fields
    date, subject = fields.get(b"date"), fields.get(b"subject")
    own, references = _threading(fields)
    emailid = "M" + _digest(message)
    first = references[0] if references else own
    base, reply = based(words.decode_words(subject[-1]).strip()) if subject else ("", False)
    sender, to, cc = (_first_address(fields.get(name)) for name in (b"from", b"to", b"cc"))
    return Summary(
        sent_time(date[-1]) if date else None,
        _searched(b"subject", subject),
        _searched(b"from", fields.get(b"from")),
        _searched(b"to", fields.get(b"to")),
        _searched(b"cc", fields.get(b"cc")),
        _searched(b"bcc", fields.get(b"bcc")),
        base,
        reply,
        _mailbox(sender),
        _mailbox(to),
        _mailbox(cc),
        _display(sender),
        _display(to),
        " ".join([own, *references]),
        emailid,
        "T" + (hashlib.blake2b(first.encode(), digest_size=16).hexdigest() if first else emailid[1:]),
        _preview(message, root),
    )


def _digest(message: bytes) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for start in range(0, len(message), PIECE):
        digest.update(message[start : start + PIECE])
    return digest.hexdigest()


def _searched(name: bytes, values: Iterable[bytes] | None) -> str:
    return "\n".join([searched(name, value) for value in values]) if values else ""


def _first_address(values: list[bytes] | None) -> ListedAddress | None:
    """The first entry of an address list, as ENVELOPE has it: a group begins with its name.

    A plain list is read up to its first comma.
    """
    if not values:
        return None
    start = values[0][:1000]
    head = start.partition(b",")[0] if b'"' not in start and b"(" not in start and b":" not in start else values[0]
    return next(iter(addresses(head)), None)


def _mailbox(address: ListedAddress | None) -> str:
    return casemap(words.decode(_local(address), "")) if address else ""


def _local(address: ListedAddress) -> bytes:
    """As ENVELOPE tells it."""
    return address.local or (b"MISSING_MAILBOX" if address.is_mailbox else b"")


def _display(address: ListedAddress | None) -> str:
    """RFC 5957 §3.1: the decoded display name; without one, the address as people write it."""
    if address is None:
        return ""
    if address.name and (name := words.decode_words(address.name).strip()):
        return casemap(name)
    shown = b"%b@%b" % (_local(address), address.domain or b"MISSING_DOMAIN") if address.is_mailbox else _local(address)
    return casemap(words.decode(shown, ""))


def _threading(fields: Fields) -> tuple[str, list[str]]:
    """RFC 5256 §3, THREAD=REFERENCES step 1: the own id, and References, or else the first of In-Reply-To."""
    own = _ids(fields.get(b"message-id"))[:1]
    references = _ids(fields.get(b"references")) or _ids(fields.get(b"in-reply-to"))[:1]
    if len(references) > MOST_REFERENCES:
        references = [references[0], *references[1 - MOST_REFERENCES :]]
    return own[0] if own else "", references


def _ids(values: list[bytes] | None) -> list[str]:
    return [_unquoted(words.decode(found[1:-1], "").replace("\0", "")) for found in message_ids(values[-1])] if values else []


def _unquoted(identifier: str) -> str:
    """One id has one spelling (RFC 5256 §3): <"a"@b> is <a@b>."""
    return identifier.replace('"', "").replace("\\", "") if '"' in identifier else identifier


def _preview(message: bytes, root: Part) -> str:
    """Of the first plain text, or else of the first HTML."""
    texts = [root] if not root.children else [part for part in root.walk() if not part.children]
    for subtype, shown in ((b"plain", preview.of_plain), (b"html", preview.of_html)):
        for part in texts:
            if part.type.lower() == b"text" and part.subtype.lower() == subtype:
                return shown(_beginning(message, part))
    return ""


def _beginning(message: bytes, part: Part) -> str:
    octets = message[part.body : min(part.end, part.body + preview.MOST_OCTETS)]
    encoding = (part.encoding or b"").lower()
    if encoding == b"base64":
        octets = words.base64(octets)
    elif encoding == b"quoted-printable":
        octets = binascii.a2b_qp(octets)
    charset = part.parameter(b"charset") or b""
    text = words.decode(octets, charset.decode("latin-1"))
    return text[:-1] if text.endswith("\ufffd") else text  # a character that was cut in two


