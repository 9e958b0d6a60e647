"""GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208): how much an account holds, and how much it may hold.

All mailboxes of an account have one quota root, which is called like the account. What is refused because of it is refused
where it happens: APPEND, COPY and deliveries fail with EDQUOT, which a client is told as OVERQUOTA.
"""

from __future__ import annotations

from twistmail.mail.mailbox import Quota
from twistmail.servers.imap.client import Answers, Client, Refusal, Responses
from twistmail.servers.imap.sharing.tree import SharedTree
from twistmail.wire.imap import quota as said
from twistmail.wire.imap.responses import OK, Tagged, Untagged, astring

#: Octets of the unit in which STORAGE is told (RFC 9208 §5.1).
UNIT = 1024


def own_root(client: Client) -> str:
    """The name of the quota root of who is logged in."""
    assert client.account is not None
    return client.account.name


def quota_line(root: str, quota: Quota) -> bytes:
    """A QUOTA response (RFC 9208 §4.2.1): only what is limited is told of."""
    resources = []
    if quota.most_octets is not None:
        resources.append(b"STORAGE %d %d" % (_units(quota.octets), _units(quota.most_octets)))
    if quota.most_messages is not None:
        resources.append(b"MESSAGE %d %d" % (quota.messages, quota.most_messages))
    return b"QUOTA %b (%b)" % (astring(root.encode()), b" ".join(resources))


def _units(octets: int) -> int:
    return -(-octets // UNIT)


async def get(client: Client, event: said.GetQuota) -> Responses:
    if event.root != own_root(client):  # that of others is told by GETQUOTAROOT to who may read a mailbox of theirs
        raise Refusal("You have no such quota root", "NONEXISTENT")
    yield Untagged(quota_line(event.root, await client.folders.quota()))
    yield Tagged(event.tag, OK, "Done")


async def get_root(client: Client, event: said.GetQuotaRoot) -> Responses:
    root, quota = await _of(client, event.mailbox)
    yield Untagged(b"QUOTAROOT %b %b" % (client.spelled(event.mailbox), astring(root.encode())))
    yield Untagged(quota_line(root, quota))
    yield Tagged(event.tag, OK, "Done")


async def _of(client: Client, name: str) -> tuple[str, Quota]:
    """The quota root that mailbox *name* counts against, and how it stands."""
    if isinstance(client.folders, SharedTree):
        return await client.folders.quota_of(name)
    return own_root(client), await client.folders.quota()


async def change(client: Client, event: said.SetQuota) -> Responses:
    raise Refusal("Quotas are set by the administrator", "NOPERM")
    yield


ANSWERS: Answers = {said.GetQuota: get, said.GetQuotaRoot: get_root, said.SetQuota: change}
