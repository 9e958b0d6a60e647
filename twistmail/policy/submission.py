"""What a submission server does to the header of its users' mail (RFC 6409 §8): what is missing, and who really sent it.

Names without a domain get one, Date, Message-ID and From are added where
missing, Bcc goes; a From that is somebody else's gets the user's name beside it
in Sender, or is refused. Everything else stays to the octet, folding and order
too. Mail from the world is never touched: this stage is for submission only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from twistmail.expansion import Expansion
from twistmail.interfaces import Edit, IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail import headers
from twistmail.mail.account import Account
from twistmail.mail.envelope import Role, Transaction
from twistmail.mail.trace import date
from twistmail.options import Settings
from twistmail.policy import qualifying
from twistmail.policy.authors import SEVERAL_FROMS, Authors
from twistmail.policy.identities import identities
from twistmail.policy.local_users import LocalUsers, local_users
from twistmail.policy.pipeline import House

#: What only the sender's own computer may know.
BLIND = frozenset({b"bcc", b"resent-bcc"})

_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_NO_HEADER = b"\r\n"


@implementer(IPolicyStage)
class HeaderFixes:
    """*authors*: compares From with the user, None where nothing is compared; *complete*: add what is missing, remove Bcc."""

    name = "submission"
    point = Point.MESSAGE

    def __init__(self, hostname: str, expansion: Expansion, epoch: Callable[[], float], authors: Authors | None, users: LocalUsers,
                 *, complete: bool) -> None:
        self._hostname = hostname
        self._expansion = expansion
        self._epoch = epoch
        self._authors = authors
        self._users = users
        self._complete = complete

    async def judge(self, transaction: Transaction) -> Verdict | Edit | None:
        account, original = transaction.account, transaction.header
        if account is None:
            return None
        is_header = not original or original == _NO_HEADER or _FIELD.match(original) is not None
        before = original if is_header else _NO_HEADER  # a message that begins with its text
        after = await self._fixed(before, transaction, account)
        if isinstance(after, Verdict):
            return after
        return None if after is before else Edit(header=after if is_header else after + original)

    async def _fixed(self, header: bytes, transaction: Transaction, account: Account) -> Verdict | bytes:
        if len(headers.values(header, b"from")) > 1:
            return Verdict(SEVERAL_FROMS, "more than one From")
        if self._complete:
            completed = await qualifying.complete(header, self._expansion, account)
            if isinstance(completed, Verdict):
                return completed
            header = self._completed(completed, transaction, account)
        if self._authors is not None and not self._users.trusts(transaction.peer):
            judged = await self._authors.judge(header, account)
            if isinstance(judged, Verdict):
                return judged
            header = judged
        return header

    def _completed(self, header: bytes, transaction: Transaction, account: Account) -> bytes:
        present = {field.name.lower() for field in headers.fields(header)}
        missing = []
        if b"date" not in present:
            missing.append((b"Date", date(self._epoch()).encode()))
        if b"message-id" not in present:
            missing.append((b"Message-ID", f"<{transaction.id}@{self._hostname}>".encode()))
        if b"from" not in present:
            missing.append((b"From", str(transaction.sender or account.name).encode()))
        if not present.isdisjoint(BLIND):
            header = headers.without(header, BLIND)
        return headers.add(header, missing) if missing else header


@implementer(IPolicyStageFactory)
class SubmissionFactory:
    name = "submission"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        if house.role is not Role.SUBMISSION:
            return ()
        own = house.settings
        authors = Authors(identities(house), rejects=own.from_check == "reject") if own.from_check != "off" else None
        return (HeaderFixes(house.hostname, house.expansion, house.epoch, authors, local_users(house), complete=own.add_missing_headers),)
