"""Mailboxes by name: LIST, LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE, NAMESPACE, and SELECT with its opposites.

RFC 3501 §6.3 and §6.4.1 to §6.4.2, RFC 2342, RFC 3348 (CHILDREN), RFC 3691,
RFC 6154 (special uses) and the options of LIST from RFC 5258.
"""

from __future__ import annotations

from collections.abc import Iterable

from twistmail.mail.mailbox import Folder, MailboxStatus
from twistmail.servers.imap.client import Client, Refusal, Responses
from twistmail.servers.imap.patterns import Pattern
from twistmail.servers.imap.transfer import expunge_deleted
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.responses import OK, Tagged, Untagged, mailbox

# ----- SELECT


async def select(client: Client, event: c.Select) -> Responses:
    client.leave_mailbox()  # RFC 3501 §6.3.1: whether or not the new one can be had
    opened = await client.folders.open(event.mailbox)
    view = client.select(opened, read_only=event.read_only)
    await opened.refresh()
    await view.claim_recent()
    for line in view.opening_lines():
        yield Untagged(line)
    code = b"READ-ONLY" if event.read_only else b"READ-WRITE"
    yield Tagged(event.tag, OK, "Selected", code)


async def close(client: Client, event: c.Close) -> Responses:
    view = client.view
    if view is not None and not view.read_only:
        await expunge_deleted(view)
    client.leave_mailbox()
    yield Tagged(event.tag, OK, "Closed")


async def unselect(client: Client, event: c.Unselect) -> Responses:
    client.leave_mailbox()
    yield Tagged(event.tag, OK, "Unselected")


# ----- names


async def create(client: Client, event: c.Create) -> Responses:
    if event.uses:
        raise Refusal("Special uses cannot be chosen here", "USEATTR")  # RFC 6154 §3; CREATE-SPECIAL-USE is not offered
    await client.folders.create(event.mailbox)
    yield Tagged(event.tag, OK, "Created")


async def delete(client: Client, event: c.Delete) -> Responses:
    view = client.view
    if view is not None and view.mailbox.name == event.mailbox:
        await client.folders.status(event.mailbox)
        client.leave_mailbox()
    await client.folders.delete(event.mailbox)
    yield Tagged(event.tag, OK, "Deleted")


async def rename(client: Client, event: c.Rename) -> Responses:
    await client.folders.rename(event.old, event.new)
    yield Tagged(event.tag, OK, "Renamed")


async def subscribe(client: Client, event: c.Subscribe) -> Responses:
    await client.folders.subscribe(event.mailbox, True)
    yield Tagged(event.tag, OK, "Subscribed")


async def unsubscribe(client: Client, event: c.Unsubscribe) -> Responses:
    await client.folders.subscribe(event.mailbox, False)
    yield Tagged(event.tag, OK, "Unsubscribed")


async def namespace(client: Client, event: c.Namespace) -> Responses:
    yield Untagged(b'NAMESPACE (("" "/")) NIL NIL')
    yield Tagged(event.tag, OK, "Done")


_STATUS_ATTRIBUTES = {
    "MESSAGES": "messages",
    "RECENT": "recent",
    "UIDNEXT": "uidnext",
    "UIDVALIDITY": "uidvalidity",
    "UNSEEN": "unseen",
}


async def status(client: Client, event: c.Status) -> Responses:
    found: MailboxStatus = await client.folders.status(event.mailbox)
    values = " ".join(f"{item} {getattr(found, _STATUS_ATTRIBUTES[item])}" for item in event.items)
    yield Untagged(b"STATUS %b (%b)" % (mailbox(event.mailbox), values.encode("ascii")))
    yield Tagged(event.tag, OK, "Done")


# ----- LIST and LSUB


async def list_folders(client: Client, event: c.List) -> Responses:
    patterns = [Pattern(event.reference + pattern) for pattern in event.patterns if pattern]
    if not patterns:  # RFC 3501 §6.3.8: what is the delimiter?
        yield Untagged(b'LIST (\\Noselect) "/" ""')
    elif event.subscribed_only:
        for line in _subscribed(await client.folders.folders(), await client.folders.subscriptions(), patterns):
            yield line
    else:
        for line in _listed(await client.folders.folders(), await client.folders.subscriptions(), patterns, event):
            yield line
    yield Tagged(event.tag, OK, "Done")


def _fits(name: str, patterns: Iterable[Pattern]) -> bool:
    return any(pattern.matches(name) for pattern in patterns)


def _subscribed(folders: Iterable[Folder], names: Iterable[str], patterns: list[Pattern]) -> list[Untagged]:
    """LSUB: what is subscribed, and of a name that only "%" has left out the level above, which is then \\Noselect (RFC 3501 §6.3.9)."""
    selectable = {folder.name for folder in folders if folder.selectable}
    found: dict[str, str] = {}
    for name in names:
        if _fits(name, patterns):
            found[name] = "" if name in selectable else "\\Noselect"
    for name in names:
        for level in _levels_above(name) if name not in found else ():
            if level not in found and _fits(level, patterns):
                found[level] = "\\Noselect"
    return [_line(b"LSUB", name, attributes) for name, attributes in sorted(found.items())]


def _levels_above(name: str) -> list[str]:
    """ "a/b/c" -> ["a/b", "a"]"""
    levels = []
    while "/" in name:
        name = name.rpartition("/")[0]
        levels.append(name)
    return levels


def _listed(folders: Iterable[Folder], subscriptions: Iterable[str], patterns: list[Pattern], event: c.List) -> list[Untagged]:
    """LIST, with the options of RFC 5258 §3."""
    subscribed = set(subscriptions)
    known = {folder.name: folder for folder in folders}
    if "SUBSCRIBED" in event.select:
        known |= {name: Folder(name, subscribed=True, selectable=False) for name in subscribed - known.keys()}
    tells_subscriptions = "SUBSCRIBED" in event.select | event.returned
    lines = []
    for name, folder in known.items():
        if not _fits(name, patterns):
            continue
        below = "RECURSIVEMATCH" in event.select and any(other.startswith(name + "/") for other in subscribed)
        if "SUBSCRIBED" in event.select and name not in subscribed and not below:
            continue
        if "SPECIAL-USE" in event.select and not folder.uses:
            continue
        attributes = _attributes(folder)
        if tells_subscriptions and name in subscribed:
            attributes.append("\\Subscribed")
        lines.append(_line(b"LIST", name, " ".join(attributes), b' ("CHILDINFO" ("SUBSCRIBED"))' if below else b""))
    return lines


def _attributes(folder: Folder) -> list[str]:
    children = "\\HasChildren" if folder.has_children else "\\HasNoChildren"
    if folder.selectable:
        return [children, *folder.uses]
    return ["\\Noselect", children] if folder.has_children else ["\\NonExistent", children]


def _line(kind: bytes, name: str, attributes: str, extended: bytes = b"") -> Untagged:
    return Untagged(b'%b (%b) "/" %b%b' % (kind, attributes.encode("ascii"), mailbox(name), extended))
