"""What a submission server does to the header of its users' mail (RFC 6409 §8): what is missing, and who really sent it.

Date, Message-ID and From are added where missing, Bcc goes; a From that is
somebody else's gets the user's name beside it in Sender, or is refused. Mail
from the world is never touched: this stage is for submission only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from twistmail.expansion import Expansion
from twistmail.interfaces import Edit, IPolicyStage, IPolicyStageFactory, Point
from twistmail.mail import headers
from twistmail.mail.account import Account
from twistmail.mail.address import Address, canonical_domain
from twistmail.mail.envelope import Role, Transaction
from twistmail.mail.status import Status
from twistmail.mail.trace import date
from twistmail.options import Settings
from twistmail.policy.pipeline import House
from twistmail.policy.senders import belongs_to

FORGED = Status(550, "5.7.1", "The address in From is not yours")
SEVERAL_FROMS = Status(550, "5.6.0", "The message has more than one From field")

#: Addresses in From that are looked up; nobody writes with more authors.
MOST_AUTHORS = 20

_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")


@implementer(IPolicyStage)
class HeaderFixes:
    """`from_check`: "add_sender", "reject" or "off"; `complete`: add what is missing, remove Bcc."""

    name = "submission"
    point = Point.MESSAGE

    def __init__(self, hostname: str, expansion: Expansion, epoch: Callable[[], float], *, from_check: str, complete: bool) -> None:
        self._hostname = hostname
        self._expansion = expansion
        self._epoch = epoch
        self._from_check = from_check
        self._complete = complete

    async def judge(self, transaction: Transaction) -> Status | Edit | None:
        account, header = transaction.account, transaction.header
        if account is None:
            return None
        if len(headers.values(header, b"from")) > 1:
            return SEVERAL_FROMS
        if self._from_check != "off" and not await self._writes_as_himself(account, header):
            if self._from_check == "reject":
                return FORGED
            header = _with(headers.without(header, {b"sender"}), [(b"Sender", account.name.encode())])
        if self._complete:
            header = self._completed(header, transaction, account)
        return None if header is transaction.header else Edit(header=header)

    async def _writes_as_himself(self, account: Account, header: bytes) -> bool:
        """Every author is the account. No From at all is nobody else's."""
        value = headers.first(header, b"from")
        if value is None:
            return True
        authors = [author for author in headers.addresses(value) if author.is_mailbox]
        if not authors or len(authors) > MOST_AUTHORS:
            return False
        for author in authors:
            address = _address(author.local or b"", author.domain or b"")
            if address is None or not await belongs_to(address, account, self._expansion):
                return False
        return True

    def _completed(self, header: bytes, transaction: Transaction, account: Account) -> bytes:
        present = {field.name.lower() for field in headers.fields(header)}
        missing = []
        if b"date" not in present:
            missing.append((b"Date", date(self._epoch()).encode()))
        if b"message-id" not in present:
            missing.append((b"Message-ID", f"<{transaction.id}@{self._hostname}>".encode()))
        if b"from" not in present:
            missing.append((b"From", str(transaction.sender or account.name).encode()))
        if b"bcc" in present:
            header = headers.without(header, {b"bcc"})
        return _with(header, missing) if missing else header


def _with(header: bytes, lines: list[tuple[bytes, bytes]]) -> bytes:
    """*header* with fields behind its last one; before everything where it is no header but a body without one."""
    if header and header != b"\r\n" and not _FIELD.match(header):
        return headers.add(b"\r\n", lines) + header
    return headers.add(header, lines)


def _address(local: bytes, domain: bytes) -> Address | None:
    try:
        return Address(local.decode(), canonical_domain(domain.decode()))
    except ValueError:
        return None


@implementer(IPolicyStageFactory)
class SubmissionFactory:
    name = "submission"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        if house.role is not Role.SUBMISSION:
            return ()
        own = house.settings
        return (HeaderFixes(house.hostname, house.expansion, house.epoch, from_check=own.from_check, complete=own.add_missing_headers),)
