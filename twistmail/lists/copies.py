"""What the members of a list get: the message as it was written, with the fields of the list in its header. Pure.

RFC 2369 (List-Help, List-Post and their like), RFC 2919 (List-Id), RFC 8058 (unsubscribing by one click). By default nothing
is changed that an author's signature covers, so it stays good and DMARC has nothing to complain of: the fields of other
lists go, ours come, and that is all. A tag in the subject, or answers that go to the list, are the operator's choice.
"""

from __future__ import annotations

import hashlib
from typing import Any

from twistmail.lists.names import Role, address_of
from twistmail.lists.rights import LOOP, identifier
from twistmail.lists.settings import AUTHOR, TO_LIST
from twistmail.mail import headers
from twistmail.mail.address import Address
from twistmail.mail.ids import ALPHABET
from twistmail.mail.words import decode_words
from twistmail.options import Settings

#: What a list says of itself; what another has said goes (RFC 2369 §4, RFC 2919 §6). But its archive stays, where we have none.
FIELDS = frozenset(b"list-id list-help list-unsubscribe list-unsubscribe-post list-subscribe list-post list-owner precedence".split())
#: Traces of a delivery that is not this one, and wishes for answers that thousands would give.
_NOT_OURS = frozenset({b"return-path", b"disposition-notification-to", b"return-receipt-to"})
#: Characters of the part of an id that tells copies apart: 40 bits.
_ID = 8
_LONGEST_DESCRIPTION = 200


def copy_id(identifier_: str, name: Address) -> str:
    """The id of the copy of item *identifier_* for the list *name*: the same whenever it is asked for, and nobody else's."""
    digest = int.from_bytes(hashlib.sha256(f"{identifier_} {name}".encode()).digest()[:5], "big")
    return f"{identifier_.partition('-')[0]}-" + "".join(ALPHABET[digest >> 5 * place & 31] for place in range(_ID))


def is_copy(identifier_: str) -> bool:
    """Whether that is an id that `copy_id` has made: no other item has one so long."""
    return len(identifier_.partition("-")[2]) == _ID


def header(original: bytes, prefix: bytes, name: Address, settings: Settings, *, one_click: bool, nested: bool = False) -> bytes:
    """The header block of the copies, from that of the *original* and what we have put in front of it (*prefix*).

    With *one_click* each copy is told by `unsubscribing` how its reader unsubscribes. *nested*: it comes from another list of
    ours, whose id stays (RFC 2919 §7).
    """
    replaced = FIELDS | _NOT_OURS | ({b"reply-to"} if settings.reply_to != AUTHOR else set())
    replaced |= {b"list-archive"} if settings.archive else set()
    replaced -= {b"list-id"} if nested else set()
    kept = headers.without(original, replaced)
    if settings.subject_tag:
        kept = tagged(kept, settings.subject_tag.encode())
    if settings.reply_to != AUTHOR:
        kept = headers.add(kept, [(b"Reply-To", bytes(name if settings.reply_to == TO_LIST else settings.reply_to))])
    ours = fields(name, settings, one_click=one_click)
    return prefix + headers.add(kept, ours[1:] if nested else ours)


def fields(name: Address, settings: Settings, *, one_click: bool = False) -> list[tuple[bytes, bytes]]:
    """What the list *name* says of itself in all that it sends: first of all its id."""
    words = "".join(c for c in settings.description if c.isascii() and c.isprintable() and c not in '"\\')[:_LONGEST_DESCRIPTION]
    found = [(b"List-Id", (f'"{words}" ' if words else "") + f"<{identifier(name)}>")]
    request = address_of(name, Role.REQUEST)
    found.append((b"List-Post", _mail(name) if settings.post != "owners" else "NO (only its owners may write)"))
    found.append((b"List-Help", _mail(request, "help")))
    if not one_click:
        found.append((b"List-Unsubscribe", _mail(address_of(name, Role.UNSUBSCRIBE))))
    if settings.subscribe != "closed":
        found.append((b"List-Subscribe", _mail(address_of(name, Role.SUBSCRIBE))))
    found.append((b"List-Owner", _mail(address_of(name, Role.OWNER))))
    if settings.archive:
        found.append((b"List-Archive", f"<{settings.archive}>"))
    found += [(LOOP.title(), str(name)), (b"Precedence", "list")]
    return [(field, text.encode()) for field, text in found]


def unsubscribing(name: Address, url: str, token: str) -> bytes:
    """The fields by which one reader unsubscribes himself, and nobody else does: by one click (RFC 8058 §3), or by mail."""
    page, by_mail = f"<{url}/{name}/{token}>", _mail(address_of(name, Role.UNSUBSCRIBE, token))
    return f"List-Unsubscribe: {page},\r\n {by_mail}\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n".encode()


def _mail(address: Address, subject: str = "") -> str:
    """A link that writes to *address* (RFC 6068 §2: what means something there is written as %XX)."""
    local = "".join(c if c.isalnum() or c in "-._~+=" else "".join(f"%{octet:02X}" for octet in c.encode()) for c in address.local)
    return f"<mailto:{local}@{address.domain}{'?subject=' + subject if subject else ''}>"


def tagged(block: bytes, tag: bytes) -> bytes:
    """The header *block* with *tag* in front of the subject, where it does not stand in it already."""
    found: Any = next((field for field in headers.fields(block) if field.name.lower() == b"subject"), None)
    if found is None:
        return headers.add(block, [(b"Subject", tag)])
    if tag.decode().lower() in decode_words(headers.unfold(found.value)).lower():
        return block
    value = found.value.lstrip(b" \t")
    return b"%b%b: %b %b\r\n%b" % (block[: found.start], found.name, tag, value, block[found.end :])
