"""SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS (RFC 4314). That rights are kept is the tree's business (`sharing`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twistmail.mail import acl
from twistmail.servers.imap.client import Client, Refusal, Responses
from twistmail.servers.imap.sharing import granting
from twistmail.servers.imap.sharing.tree import SharedTree
from twistmail.wire.imap import access as a
from twistmail.wire.imap.responses import BAD, OK, Tagged


def tree_of(client: Client) -> SharedTree:
    """What the user sees. Refusal where mailboxes are not shared here."""
    if not isinstance(client.folders, SharedTree):
        raise Refusal("Mailboxes are not shared here", condition=BAD)
    return client.folders


async def set_acl(client: Client, event: a.SetAcl) -> Responses:
    try:
        await granting.grant(tree_of(client), event.mailbox, event.identifier, event.change, event.rights)
    except ValueError as error:
        raise Refusal(str(error), condition=BAD) from None
    yield Tagged(event.tag, OK, "Set")


async def delete_acl(client: Client, event: a.DeleteAcl) -> Responses:
    try:
        await granting.revoke(tree_of(client), event.mailbox, event.identifier)
    except ValueError as error:
        raise Refusal(str(error), condition=BAD) from None
    yield Tagged(event.tag, OK, "Deleted")


async def get_acl(client: Client, event: a.GetAcl) -> Responses:
    yield a.acl_response(client.spelled(event.mailbox), await granting.listed(tree_of(client), event.mailbox))
    yield Tagged(event.tag, OK, "Done")


async def list_rights(client: Client, event: a.ListRights) -> Responses:
    try:
        always, optional = await granting.grantable(tree_of(client), event.mailbox, event.identifier)
    except ValueError as error:
        raise Refusal(str(error), condition=BAD) from None
    yield a.rights_response(client.spelled(event.mailbox), event.identifier, always, optional)
    yield Tagged(event.tag, OK, "Done")


async def my_rights(client: Client, event: a.MyRights) -> Responses:
    rights = await granting.my_rights(tree_of(client), event.mailbox)
    yield a.my_rights_response(client.spelled(event.mailbox), acl.told(rights))
    yield Tagged(event.tag, OK, "Done")


ANSWERS: dict[type, Callable[[Client, Any], Responses]] = {
    a.SetAcl: set_acl,
    a.DeleteAcl: delete_acl,
    a.GetAcl: get_acl,
    a.ListRights: list_rights,
    a.MyRights: my_rights,
}
