"""Which function answers which command: `FAMILIES`, event class -> async generator function over responses.

A family of extensions has a module with its functions and a table `ANSWERS` of its own, which is put into this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twistmail.servers.imap import (
    access,
    append,
    entry,
    listing,
    mailboxes,
    metadata,
    multisearch,
    notify,
    quota,
    selecting,
    transfer,
    urlauth,
)
from twistmail.servers.imap.client import Client, Responses
from twistmail.servers.imap.fetch import fetch
from twistmail.servers.imap.flags import store
from twistmail.servers.imap.search import search, unsearchable
from twistmail.servers.imap.sort import sort, thread
from twistmail.wire.imap import commands as c
from twistmail.wire.imap import sorting

FAMILIES: dict[type, Callable[[Client, Any], Responses]] = {
    **listing.ANSWERS,
    **metadata.ANSWERS,
    **quota.ANSWERS,
    c.Bad: entry.refused,
    c.No: entry.refused,
    c.Continue: entry.go_on,
    c.Capability: entry.capability,
    c.Noop: entry.noop,
    c.Check: entry.noop,
    c.Logout: entry.logout,
    c.Id: entry.identify,
    c.StartTls: entry.start_tls,
    c.Login: entry.login,
    c.Authenticate: entry.authenticate,
    c.AuthResponse: entry.auth_response,
    c.Enable: entry.enable,
    c.Compress: entry.compress,
    c.Unauthenticate: entry.unauthenticate,
    c.Idle: entry.idle,
    c.Done: entry.done,
    c.Namespace: mailboxes.namespace,
    c.Select: selecting.select,
    c.Close: selecting.close,
    c.Unselect: selecting.unselect,
    c.Create: mailboxes.create,
    c.Delete: mailboxes.delete,
    c.Rename: mailboxes.rename,
    c.Subscribe: mailboxes.subscribe,
    c.Unsubscribe: mailboxes.unsubscribe,
    c.Copy: transfer.copy,
    c.Move: transfer.move,
    c.Expunge: transfer.expunge,
    c.Fetch: fetch,
    c.Store: store,
    c.Search: search,
    c.Unsearchable: unsearchable,
    **multisearch.ANSWERS,
    **append.ANSWERS,
    **urlauth.ANSWERS,
    sorting.Sort: sort,
    sorting.Thread: thread,
    **access.ANSWERS,
    **notify.ANSWERS,
}
