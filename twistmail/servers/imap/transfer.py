"""Messages that go and are doubled: COPY, MOVE, EXPUNGE (RFC 3501 §6.4.3, §6.4.7, RFC 4315, RFC 6851).

COPY and MOVE are all or none. A message that another session has expunged makes
them fail by number (RFC 2180 §4.4.2: a copy of less than was asked would be a
silent loss) and is passed over by UID.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twistmail.mail.mailbox import Copied, NoSuchMailbox
from twistmail.servers.imap.client import Client, Refusal, Responses
from twistmail.servers.imap.fetch import spans_of
from twistmail.servers.imap.inquiry import Inquiry
from twistmail.servers.imap.progress import until_done
from twistmail.servers.imap.view import View
from twistmail.tasks import Work
from twistmail.wire.imap import commands as c
from twistmail.wire.imap import searchkeys as k
from twistmail.wire.imap.responses import OK, Tagged, untagged_ok
from twistmail.wire.imap.sequence import STAR, SequenceSet, render

EVERYTHING = SequenceSet(((1, STAR),))

# ----- COPY and MOVE


async def copy(client: Client, event: c.Copy) -> Responses:
    view = client.selected
    uids = _chosen(view, event)
    code = b""
    if uids:
        work = Work(_to(view.mailbox.copy(uids, event.mailbox, by=view.watcher)))
        async for far in until_done(client, event.tag, work):
            yield far
        code = _copyuid(work.result())
    yield Tagged(event.tag, OK, "Copied", code)


async def move(client: Client, event: c.Move) -> Responses:
    view = client.writable
    uids = _chosen(view, event)
    code = b""
    if uids:
        work = Work(_to(view.mailbox.move(uids, event.mailbox, by=view.watcher)))
        async for far in until_done(client, event.tag, work):
            yield far
        moved = work.result()
        yield untagged_ok(_copyuid(moved), b"Moved")  # RFC 6851 §4.3: before the EXPUNGEs
        code = _modseq(view, moved.source)
    yield Tagged(event.tag, OK, "Done", code)


def _chosen(view: View, event: c.Copy | c.Move) -> list[int]:
    """The UIDs that the command means. Refusal where it went by number and some are gone."""
    spans = spans_of(view, event.set, uid=event.uid)
    uids = [uid for span in spans for uid in view.block(*span).uids]
    if not event.uid and len(uids) < sum(stop - start for start, stop in spans):
        raise Refusal("Some of the messages are gone; none was copied", "EXPUNGEISSUED")
    return uids


async def _to(transfer: Any) -> Copied:
    """The result of *transfer*; where the target is missing the client is told to make it (RFC 3501 §6.4.7)."""
    try:
        copied: Copied = await transfer
    except NoSuchMailbox as error:
        raise Refusal(str(error), "TRYCREATE") from None
    return copied


def _copyuid(copied: Copied) -> bytes:
    if not copied.target:
        return b""
    return b"COPYUID %d %b %b" % (copied.uidvalidity, render(copied.source), render(copied.target))


# ----- EXPUNGE


async def expunge(client: Client, event: c.Expunge) -> Responses:
    view = client.writable
    if not view.may("e"):
        raise Refusal("You may not expunge messages here", "NOPERM")
    work = Work(expunge_deleted(client, event.uids))
    async for far in until_done(client, event.tag, work):
        yield far
    gone = work.result()
    yield Tagged(event.tag, OK, "Expunged", _modseq(view, gone))


async def expunge_deleted(client: Client, among: SequenceSet | None = None) -> list[int]:
    """Remove what is marked \\Deleted and known to this client; *among*: the UIDs of UID EXPUNGE. The UIDs of what is gone."""
    view = client.writable
    inquiry, deleted = Inquiry(client, view), k.Has("\\Deleted")
    found = await inquiry.find(deleted if among is None else k.And((k.Uid(among), deleted)))
    return await view.mailbox.expunge(await inquiry.uids_by_stretch(found), by=view.watcher) if found else []


def _modseq(view: View, gone: Sequence[int]) -> bytes:
    """Who resynchronises is told, with the end of the command, that this much has been said (RFC 7162 §3.2.7)."""
    if not gone or "QRESYNC" not in view.enabled:
        return b""
    return b"HIGHESTMODSEQ %d" % (view.mailbox.highest_modseq if view.wants.expunges else view.highest_modseq)
