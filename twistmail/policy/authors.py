"""Who says that he wrote a message, and who did: From and Sender of a submitted message (RFC 6409 §8.1, RFC 5322 §3.6.2).

Of a message that somebody sends on as it was (RFC 5322 §3.6.6) From and Sender
are the first writer's; the newest Resent-From and Resent-Sender tell who sends
it now, so those are looked at instead.
"""

from __future__ import annotations

import re

from twistmail.interfaces import Verdict
from twistmail.mail import headers
from twistmail.mail.account import Account
from twistmail.mail.address import Address, canonical_domain
from twistmail.mail.headers import Field
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.policy.identities import Identities

FORGED_AUTHOR = Status(550, "5.7.1", "The address in {} is not yours")
SEVERAL_FROMS = Status(550, "5.6.0", "The message has more than one From field")

#: What is no address, whatever stands in it: quoted strings and comments.
_ASIDE = re.compile(rb'"(?:[^"\\]|\\.)*+"|\((?:[^()\\]|\\.)*+\)', re.DOTALL)
#: Addresses in one field that are looked up; nobody writes with more authors.
MOST_AUTHORS = 20


@frozen
class Signature:
    """The fields by which a message says who sends it: `authors` and `senders`, and what a new sender's field is called."""

    authors: tuple[Field, ...]
    senders: tuple[Field, ...]
    sender_name: bytes


def signature(header: bytes) -> Signature:
    """That of *header*."""
    resent = newest_resent(header)
    if any(field.name.lower() == b"resent-from" for field in resent):
        return Signature(_called(resent, b"resent-from"), _called(resent, b"resent-sender"), b"Resent-Sender")
    found = tuple(headers.fields(header))
    return Signature(_called(found, b"from"), _called(found, b"sender"), b"Sender")


def newest_resent(header: bytes) -> tuple[Field, ...]:
    """The topmost block of Resent- fields: up to another field, or to one that it has already and may have once."""
    block: list[Field] = []
    names: set[bytes] = set()
    for field in headers.fields(header):
        name = field.name.lower()
        if not name.startswith(b"resent-"):
            if block:
                break
        elif name in names:
            break
        else:
            block.append(field)
            names.add(name)
    return tuple(block)


def authors_of(header: bytes) -> list[Address]:
    """The addresses that the message says it is from, as many as are looked up."""
    return [address for _, address in _mailboxes(signature(header).authors)[:MOST_AUTHORS] if address is not None]


def _called(fields: tuple[Field, ...], name: bytes) -> tuple[Field, ...]:
    return tuple(field for field in fields if field.name.lower() == name)


class Authors:
    """Compares what the header says with who has logged in."""

    def __init__(self, identities: Identities, *, rejects: bool) -> None:
        self._identities = identities
        self._rejects = rejects

    async def judge(self, header: bytes, account: Account) -> Verdict | bytes:
        """A refusal, or *header* with the true sender in it where it is not said by From (the same object: nothing to do)."""
        signed = signature(header)
        stranger = await self._stranger(signed.authors, account)
        liar = await self._stranger(signed.senders, account) if signed.senders else None
        if self._rejects:
            for field, found in ((signed.authors, stranger), (signed.senders, liar)):
                if found is not None:
                    return Verdict(_forged(field[0].name), f"from_check, {found or 'nobody'}")
        if len(signed.senders) == 1 and liar is None:
            return header
        if stranger is None and len(_mailboxes(signed.authors)) <= 1:
            return _without(header, signed.senders) if signed.senders else header
        return _with_sender(header, signed, account.name.encode())

    async def _stranger(self, fields: tuple[Field, ...], account: Account) -> str | None:
        """The first mailbox in *fields* that is not the account's; "" where there is none at all, None where all are. No field: None."""
        if not fields:
            return None
        mailboxes = _mailboxes(fields)
        if not mailboxes:
            return ""
        for text, address in mailboxes[:MOST_AUTHORS]:
            if address is None or await self._identities.refusal(address, account) is not None:
                return text
        if len(mailboxes) > MOST_AUTHORS:
            return mailboxes[MOST_AUTHORS][0]
        return "an address behind another" if any(map(_is_crowded, fields)) else None


def _forged(name: bytes) -> Status:
    return Status(FORGED_AUTHOR.code, FORGED_AUTHOR.enhanced, FORGED_AUTHOR.text.format(name.decode("ascii", "replace").title()))


def _mailboxes(fields: tuple[Field, ...]) -> list[tuple[str, Address | None]]:
    """Every mailbox in *fields*, members of groups too, as text and (None where it can be nobody's) as an address."""
    return [
        (f"{(one.local or b'').decode('utf-8', 'replace')}@{(one.domain or b'').decode('utf-8', 'replace')}", _address(one))
        for field in fields
        for one in headers.addresses(field.value)
        if one.is_mailbox and (one.local or one.domain)
    ]


def _is_crowded(field: Field) -> bool:
    """More angle brackets than mailboxes: some mail program will show what we have not read, `<me@here> <boss@there>`."""
    return _ASIDE.sub(b"", field.value).count(b"<") > len(_mailboxes((field,)))


def _address(listed: headers.ListedAddress) -> Address | None:
    try:
        local = (listed.local or b"").decode()
        return Address(local, canonical_domain((listed.domain or b"").decode())) if local else None
    except ValueError:
        return None


def _without(header: bytes, fields: tuple[Field, ...]) -> bytes:
    kept, at = [], 0
    for field in fields:
        kept.append(header[at : field.start])
        at = field.end
    return b"".join(kept) + header[at:]


def _with_sender(header: bytes, signed: Signature, name: bytes) -> bytes:
    """*name* as the one sender: in the place of the one that lied, behind Resent-From, or at the end."""
    line = b"%b: %b\r\n" % (signed.sender_name, name)
    if signed.senders:
        first, rest = signed.senders[0], signed.senders[1:]
        return header[: first.start] + line + _without(header, rest)[first.end :]
    if signed.sender_name == b"Sender":
        return headers.add(header, [(signed.sender_name, name)])
    behind = signed.authors[-1].end
    before = header[:behind]
    return before + (b"" if before.endswith(b"\r\n") else b"\r\n") + line + header[behind:]
