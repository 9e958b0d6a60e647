"""GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208): how much an account holds, and how much it may hold.

An administrator ([imap] quota_admins) may look at the quota roots of others, and change how much may lie there (QUOTASET).
All mailboxes of an account have one quota root, which is called like the account. What is refused because of it is refused
where it happens: APPEND, COPY and deliveries fail with EDQUOT, which a client is told as OVERQUOTA.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.mailbox import Quota
from twistmail.mail.values import frozen
from twistmail.servers.imap.client import Answers, Client, Refusal, Responses
from twistmail.servers.imap.sharing.tree import SharedTree
from twistmail.wire.imap import quota as said
from twistmail.wire.imap.responses import OK, Tagged, Untagged, astring

#: Octets of the unit in which STORAGE is told (RFC 9208 §5.1).
UNIT = 1024
MOST_OCTETS = (1 << 63) - 1


@frozen
class QuotaOffice:
    """Who keeps the quotas. `find`(Address): the Account, or None; `change`(account name, octets or None): raises LookupError where
    its quota stands in a file that its administrator writes.
    """

    find: Callable[[Address], Awaitable[Account | None]]
    change: Callable[[str, int | None], Awaitable[None]]


def own_root(client: Client) -> str:
    """The name of the quota root of who is logged in."""
    assert client.account is not None
    return client.account.name


def quota_lines(root: str, quota: Quota) -> list[Untagged]:
    """The QUOTA response (RFC 9208 §4.2.1): only what is limited is told of; none where nothing is, for its list cannot be empty (§7)."""
    resources = []
    if quota.most_octets is not None:
        resources.append(b"STORAGE %d %d" % (_units(quota.octets), _units(quota.most_octets)))
    if quota.most_messages is not None:
        resources.append(b"MESSAGE %d %d" % (quota.messages, quota.most_messages))
    return [Untagged(b"QUOTA %b (%b)" % (astring(root.encode()), b" ".join(resources)))] if resources else []


def _units(octets: int) -> int:
    return -(-octets // UNIT)


async def get(client: Client, event: said.GetQuota) -> Responses:
    """That of others is told by GETQUOTAROOT to who may read a mailbox of theirs."""
    if event.root == own_root(client):
        quota = await client.folders.quota()
    else:
        account = await _administered(client, event.root)
        if account is None:
            raise Refusal("You have no such quota root", "NONEXISTENT")
        quota = await (await client.service.store.mailboxes(account.name)).quota()
    if not (lines := quota_lines(event.root, quota)):
        raise Refusal("Nothing is limited there", "NONEXISTENT")
    for line in lines:
        yield line
    yield Tagged(event.tag, OK, "Done")


async def _administered(client: Client, root: str) -> Account | None:
    """The account whose quota root is *root*, if the client is an administrator and there is one."""
    office: QuotaOffice | None = client.service.quotas
    if office is None or own_root(client) not in client.service.settings.quota_admins:
        return None
    try:
        account = await office.find(parse(root))
    except ValueError:
        return None
    return account if account is not None and account.name == root else None


async def get_root(client: Client, event: said.GetQuotaRoot) -> Responses:
    """Where nothing is limited there is no quota root."""
    root, quota = await _of(client, event.mailbox)
    lines = quota_lines(root, quota)
    named = b" " + astring(root.encode()) if lines else b""
    yield Untagged(b"QUOTAROOT %b%b" % (client.spelled(event.mailbox), named))
    for line in lines:
        yield line
    yield Tagged(event.tag, OK, "Done")


async def _of(client: Client, name: str) -> tuple[str, Quota]:
    """The quota root that mailbox *name* counts against, and how it stands."""
    if isinstance(client.folders, SharedTree):
        return await client.folders.quota_of(name)
    return own_root(client), await client.folders.quota()


async def change(client: Client, event: said.SetQuota) -> Responses:
    """RFC 9208 §4.1.3. Of an account alone, only STORAGE can be limited; how many messages there may be is the same for all."""
    account = await _administered(client, event.root)
    if account is None:
        raise Refusal("Quotas are set by the administrator", "NOPERM")
    units = event.limits.get("STORAGE")
    if event.limits.keys() - {"STORAGE"} or units == 0:
        raise Refusal("Only STORAGE can be limited here, and not to nothing", "CANNOT")
    try:
        await client.service.quotas.change(account.name, None if units is None else min(units * UNIT, MOST_OCTETS))
    except LookupError:
        raise Refusal("The quota of that account stands in a file of the server", "CANNOT") from None
    for line in quota_lines(event.root, await (await client.service.store.mailboxes(account.name)).quota()):
        yield line
    yield Tagged(event.tag, OK, "Done")


ANSWERS: Answers = {said.GetQuota: get, said.GetQuotaRoot: get_root, said.SetQuota: change}
