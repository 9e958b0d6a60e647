"""What URLs of messages here mean, and for whom they are leave to read (RFC 4467, RFC 5092): for IMAP, and for BURL in submission.

The key of a mailbox, with which tokens are made (mechanism INTERNAL), is an annotation of the mailbox that no client sees: it
is durable, follows a rename and goes with the mailbox, and so do the URLs. They lead to the mailboxes of an account only, not to
what others share with it. Who makes keys, and what is said to whom, is the business of `imap.urlauth` and `smtp.burl`.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import Any, NamedTuple

from twistmail.mail.account import Account
from twistmail.mail.annotations import SERVERS_OWN
from twistmail.mail.imapurl import Grant, MessageUrl, is_proven
from twistmail.mail.mailbox import NoSuchMailbox
from twistmail.mail.values import frozen
from twistmail.servers.excerpts import Excerpt, excerpt
from twistmail.store_interfaces import IMailboxes
from twistmail.tasks import Limit

#: The annotation that holds the key.
ENTRY = SERVERS_OWN + "urlauth"
KEY_OCTETS = 32
ANYBODY = "*"


class Bearer(NamedTuple):
    """Who brings a URL: who is logged in as `account`, "" for our own submission service.

    `submits_for` is the account for which he sends mail, ANYBODY where he is to be believed, "" where he sends for nobody.
    """

    account: str
    submits_for: str = ""


@frozen
class Urls:
    """`account_of` finds accounts by names (`login.Login.account_of`); `epoch` gives POSIX seconds, `random` octets for keys.

    Who holds `making` may make a key: two who make one at a time would each tell another.
    """

    hostname: str
    store: Any
    account_of: Callable[[str], Awaitable[Account | None]]
    threads: Any
    epoch: Callable[[], float]
    random: Callable[[int], bytes] = os.urandom
    making: Limit = field(default_factory=lambda: Limit(1))

    def is_here(self, url: MessageUrl) -> bool:
        """Whether *url* names a server, and that is us."""
        return url.server is not None and url.server.host == self.hostname.lower()

    async def name_of(self, user: str) -> str:
        """The name of the account that *user* is; "" where there is none. Raises Unavailable."""
        account = await self.account_of(user)
        return account.name if account is not None and account.enabled else ""

    async def allows(self, url: MessageUrl, bearer: Bearer) -> bool:
        """Whether *url* is leave to read for *bearer*, now (RFC 4467 §3, §6). Raises Unavailable, OSError."""
        grant = url.grant
        if grant is None or not self.is_here(url) or not await self._is_for(grant, bearer):
            return False
        owner = await self._owner(url)
        if owner is None:
            return False
        try:
            return is_proven(grant, await self.key(owner, url.mailbox))
        except NoSuchMailbox:
            return is_proven(grant, self.new_key())  # which takes the time and fails (RFC 4467 §6)

    async def _is_for(self, grant: Grant, bearer: Bearer) -> bool:
        if grant.expires is not None and grant.expires < self.epoch():
            return False
        if grant.access in ("anonymous", "authuser"):
            return True
        kind, _, who = grant.access.partition("+")
        if kind == "submit" and bearer.submits_for == ANYBODY:
            return True
        wanted = {"user": bearer.account, "submit": bearer.submits_for}.get(kind)
        return bool(wanted) and await self.name_of(who) == wanted

    async def read(self, url: MessageUrl) -> Excerpt | None:
        """What *url*, which leads here, means; None where there is no such thing. Raises Unavailable, OSError."""
        owner = await self._owner(url)
        if owner is None:
            return None
        try:
            mailbox = await owner.open(url.mailbox)
        except NoSuchMailbox:
            return None
        try:
            return await excerpt(self.threads, mailbox, url)
        finally:
            mailbox.close()

    async def _owner(self, url: MessageUrl) -> IMailboxes | None:
        """The mailboxes to which *url* leads; None where there are none."""
        name = await self.name_of(url.server.user) if url.server is not None else ""
        if not name:
            return None
        mailboxes: IMailboxes = await self.store.mailboxes(name)
        return mailboxes

    async def key(self, mailboxes: IMailboxes, name: str, *, make: bool = False) -> bytes:
        """The key of a mailbox. Where there is none, one is made, or it is one with which no token has been made. NoSuchMailbox."""
        async with self.making:
            found: bytes | None = (await mailboxes.annotations(name)).get(ENTRY)
            if found is None:
                found = self.new_key()
                if make:
                    await mailboxes.annotate(name, {ENTRY: found})
        return found

    def new_key(self) -> bytes:
        return self.random(KEY_OCTETS).hex().encode("ascii")
