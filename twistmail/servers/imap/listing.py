"""LIST, LSUB and STATUS: which names there are, and what is to be said of each.

RFC 3501 §6.3.8 to §6.3.10, RFC 3348 (CHILDREN), RFC 5258 (LIST-EXTENDED), RFC 5819 (LIST-STATUS), RFC 6154 §2 (special uses),
RFC 8440 (LIST-MYRIGHTS), RFC 9590 (LIST-METADATA). Ten thousand names are looked at and told in pieces, between which others have
their turn.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple, TypeVar

from twistmail.mail import acl
from twistmail.mail.acl import Rights
from twistmail.mail.mailbox import Folder, MailboxStatus
from twistmail.mail.names import parents
from twistmail.servers.imap.access import tree_of
from twistmail.servers.imap.client import Answers, Client, Responses
from twistmail.servers.imap.metadata import values_line, with_uses
from twistmail.servers.imap.patterns import Patterns
from twistmail.wire.imap import listing as said
from twistmail.wire.imap.access import my_rights_response
from twistmail.wire.imap.responses import OK, Raw, Tagged, Untagged

T = TypeVar("T")

#: Names that are looked at in one go, and mailboxes whose status is asked in one go.
PIECE = 200
STATUSES = 50

# ----- STATUS

#: Item -> how it looks, and the attributes of a MailboxStatus that it tells.
STATUS_ITEMS: dict[str, tuple[bytes, str]] = {
    "MESSAGES": (b"%d", "messages"),
    "RECENT": (b"%d", "recent"),
    "UIDNEXT": (b"%d", "uidnext"),
    "UIDVALIDITY": (b"%d", "uidvalidity"),
    "UNSEEN": (b"%d", "unseen"),
    "SIZE": (b"%d", "size"),  # RFC 8438
    "HIGHESTMODSEQ": (b"%d", "highest_modseq"),  # RFC 7162 §3.1.7
    "MAILBOXID": (b"(%b)", "mailboxid"),  # RFC 8474 §4.3
    "DELETED": (b"%d", "deleted"),  # RFC 9208 §4.1.4
    "DELETED-STORAGE": (b"%d", "deleted_size"),
}


class StatusLine:
    """What STATUS tells of a mailbox, compiled once for all mailboxes that a command asks about."""

    def __init__(self, client: Client, items: Sequence[str]) -> None:
        self.tells_deleted = not {"DELETED", "DELETED-STORAGE"}.isdisjoint(items)
        words, self._attributes = [], []
        for item in items:
            if item == "APPENDLIMIT":
                words.append(b"APPENDLIMIT %d" % limit if (limit := client.service.settings.max_message) else b"APPENDLIMIT NIL")
            else:
                form, attribute = STATUS_ITEMS[item]
                words.append(item.encode("ascii") + b" " + form)
                self._attributes.append(attrgetter(attribute))
        self._spelled = client.spelled
        self._form = b"* STATUS %b (" + b" ".join(words) + b")\r\n"

    def render(self, name: str, status: MailboxStatus) -> bytes:
        values = [of(status) for of in self._attributes]
        return self._form % (self._spelled(name), *(value.encode() if isinstance(value, str) else value for value in values))


async def status(client: Client, event: said.Status) -> Responses:
    line = StatusLine(client, event.items)
    found: MailboxStatus = await client.folders.status(event.mailbox, deleted=line.tells_deleted)
    yield Raw(line.render(event.mailbox, found))
    yield Tagged(event.tag, OK, "Done")


# ----- LIST and LSUB


async def list_folders(client: Client, event: said.List) -> Responses:
    patterns = Patterns(event.reference + pattern for pattern in event.patterns if pattern)
    if event.patterns == ("",) and not event.is_extended:  # RFC 3501 §6.3.8: what is the delimiter?
        yield Untagged(b'LIST (\\Noselect) "/" ""')
    elif event.subscribed_only:
        names = await _subscribed(client, patterns)
        async for piece in _in_pieces(client, names):
            yield Raw(b"".join([b'* LSUB (%b) "/" %b\r\n' % (attributes, client.spelled(name)) for name, attributes in piece]))
    else:
        async for block in _listed(client, event, patterns):
            yield block
    yield Tagged(event.tag, OK, "Done")


async def _in_pieces(client: Client, what: Sequence[T], size: int = PIECE) -> AsyncIterator[Sequence[T]]:
    """*what* in pieces; between them others have their turn."""
    for start in range(0, len(what), size):
        if start:
            await client.turn()
        yield what[start : start + size]


async def _subscribed(client: Client, patterns: Patterns) -> list[tuple[str, bytes]]:
    """LSUB: what is subscribed, and of a name that only "%" has left out the level above, which is then \\Noselect (RFC 3501 §6.3.9)."""
    selectable = {folder.name for folder in await client.folders.folders() if folder.selectable}
    found: dict[str, bytes] = {}
    left_out: set[str] = set()
    async for piece in _in_pieces(client, await client.folders.subscriptions()):
        for name in piece:
            if patterns.matches(name):
                found[name] = b"" if name in selectable else b"\\Noselect"
            else:
                left_out.update(parents(name))
    async for levels in _in_pieces(client, list(left_out - found.keys())):
        found |= {level: b"\\Noselect" for level in levels if patterns.matches(level)}
    return sorted(found.items())


class Above(NamedTuple):
    """Levels that have something below them which the selection options choose; `hidden`: which no pattern matches."""

    some: set[str]
    hidden: set[str]


async def _listed(client: Client, event: said.List, patterns: Patterns) -> AsyncIterator[Raw]:
    """The lines of LIST with those that RETURN (STATUS) and RETURN (METADATA) ask for behind each."""
    folders = await _candidates(client, event)
    above = await _levels_above(client, event, folders, patterns) if "RECURSIVEMATCH" in event.select else Above(set(), set())
    status_line = StatusLine(client, event.status) if event.status else None
    annotations = await client.folders.annotations_of([folder.name for folder in folders]) if event.metadata else {}
    rights = tree_of(client).rights_teller() if "MYRIGHTS" in event.returned else None
    teller = Teller(client, event, above, annotations, rights)
    async for piece in _in_pieces(client, folders, STATUSES if status_line else PIECE):
        chosen = [folder for folder in piece if patterns.matches(folder.name) and (_fits(event, folder) or folder.name in above.hidden)]
        if status_line is None:
            yield Raw(b"".join([teller.lines(folder) for folder in chosen]))
            continue
        asked = [folder.name for folder in chosen if folder.selectable and _fits(event, folder)]
        statuses = await client.folders.statuses(asked, deleted=status_line.tells_deleted)
        yield Raw(b"".join([teller.lines(folder) + _status_of(folder.name, status_line, statuses) for folder in chosen]))


def _status_of(name: str, line: StatusLine, statuses: Mapping[str, MailboxStatus]) -> bytes:
    found = statuses.get(name)
    return b"" if found is None else line.render(name, found)


async def _candidates(client: Client, event: said.List) -> Sequence[Folder]:
    """All names that could be told, sorted: of subscribed ones those, too, that do not exist, with the levels above them."""
    folders: Sequence[Folder] = await client.folders.folders()
    if "SUBSCRIBED" not in event.select:
        return folders
    known = {folder.name for folder in folders}
    strange = {name: Folder(name, subscribed=True, selectable=False) for name in await client.folders.subscriptions() if name not in known}
    levels: set[str] = set()
    async for piece in _in_pieces(client, list(strange)):
        levels.update(level for name in piece for level in parents(name))
    missing = [*strange.values(), *(Folder(level, selectable=False) for level in levels - known - strange.keys())]
    return folders if not missing else [folders[0], *sorted([*folders[1:], *missing], key=attrgetter("name"))]  # INBOX is the first


async def _levels_above(client: Client, event: said.List, folders: Sequence[Folder], patterns: Patterns) -> Above:
    """RFC 5258 §3.5: who asks for children that match is told of their parents."""
    above = Above(set(), set())
    async for piece in _in_pieces(client, folders):
        for folder in piece:
            if "/" in folder.name and _fits(event, folder):
                levels = parents(folder.name)
                above.some.update(levels)
                if not patterns.matches(folder.name):
                    above.hidden.update(levels)
    return above


def _fits(event: said.List, folder: Folder) -> bool:
    """Whether the selection options choose it. There is nothing \\Remote here."""
    select = event.select
    return ("SUBSCRIBED" not in select or folder.subscribed) and ("SPECIAL-USE" not in select or bool(folder.uses))


def one_listed(client: Client, folder: Folder, old: str = "", *, forbidden: bool = False) -> bytes:
    """The LIST of one mailbox that nobody has asked for, behind "* ".

    *old*: how it was called (RFC 5465 §5.4, RFC 9051 §6.3.9.7). *forbidden*: the client may not see it any more (RFC 5465 §5.9).
    """
    attributes = ["\\HasChildren" if folder.has_children else "\\HasNoChildren", *folder.uses]
    if not folder.selectable:
        attributes.insert(0, "\\NonExistent")
    if forbidden:
        attributes.insert(0, "\\NoAccess")
    if folder.subscribed:
        attributes.append("\\Subscribed")
    line = b'LIST (%b) "/" %b' % (" ".join(attributes).encode("ascii"), client.spelled(folder.name))
    return line + (b' ("OLDNAME" (%b))' % client.spelled(old) if old else b"")


async def listed_as(client: Client, said: str, name: str) -> list[Untagged]:
    """What IMAP4rev2 wants to hear of mailbox *name*, which the client has called *said* (RFC 9051 §6.3.2): nothing otherwise."""
    if "IMAP4REV2" not in client.enabled:
        return []
    found = [folder for folder in await client.folders.folders() if folder.name == name]
    return [Untagged(one_listed(client, folder, said if said != name else "")) for folder in found]


class Teller:
    """What LIST says of each name: mailboxes are of few kinds, so the beginnings of lines are remembered."""

    def __init__(self, client: Client, event: said.List, above: Above, annotations: Mapping[str, Mapping[str, bytes]],
                 rights: Callable[[str], Rights] | None = None) -> None:  # fmt: skip
        self._spelled = client.spelled
        self._event = event
        self._rights = rights
        self._tells_subscriptions = "SUBSCRIBED" in event.select | event.returned
        self._above = above
        self._annotations = annotations
        self._begun: dict[tuple[bool, bool, bool, tuple[str, ...]], bytes] = {}

    def lines(self, folder: Folder) -> bytes:
        kind = (folder.selectable, folder.has_children, folder.subscribed, folder.uses)
        begun = self._begun.get(kind) or self._begun.setdefault(kind, self._beginning(folder))
        below = b' ("CHILDINFO" ("SUBSCRIBED"))\r\n' if folder.name in self._above.some else b"\r\n"
        line = begun + self._spelled(folder.name) + below
        if folder.selectable and (self._rights or self._event.metadata) and _fits(self._event, folder):
            if self._rights is not None:  # RFC 8440 §3
                line += my_rights_response(self._spelled(folder.name), acl.told(self._rights(folder.name))).octets()
            if self._event.metadata:
                line += self._metadata(folder)
        return line

    def _beginning(self, folder: Folder) -> bytes:
        attributes = ["\\HasChildren" if folder.has_children else "\\HasNoChildren", *folder.uses]
        if not folder.selectable:
            attributes.insert(0, "\\NonExistent" if self._event.is_extended else "\\Noselect")
        if self._tells_subscriptions and folder.subscribed:
            attributes.append("\\Subscribed")
        return b'* LIST (%b) "/" ' % " ".join(attributes).encode("ascii")

    def _metadata(self, folder: Folder) -> bytes:
        """RFC 9590 §3: all entries that were asked for, with NIL where there are none."""
        found = with_uses(self._annotations.get(folder.name, {}), folder.uses)
        return values_line(self._spelled(folder.name), [(entry, found.get(entry.lower())) for entry in self._event.metadata])


ANSWERS: Answers = {said.List: list_folders, said.Status: status}
