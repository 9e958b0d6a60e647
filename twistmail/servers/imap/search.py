"""SEARCH (RFC 3501 §6.4.4) with RETURN (RFC 4731), SAVE (RFC 5182) and UPDATE (RFC 5267); ESEARCH of the selected mailbox.

What a key means is `inquiry`'s, how the answer is spelled `results`', how a result is kept up to date `contexts`'. ESEARCH of other
mailboxes is in `multisearch`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager

from twistmail.servers.imap.client import Client, Refusal, Responses
from twistmail.servers.imap.contexts import Context, contexts_of, fixed
from twistmail.servers.imap.inquiry import Inquiry
from twistmail.servers.imap.places import Following
from twistmail.servers.imap.progress import in_progress
from twistmail.servers.imap.results import Result, correlator, esearch_lines, search_lines
from twistmail.servers.imap.view import View
from twistmail.tasks import Work
from twistmail.wire.imap import commands as c
from twistmail.wire.imap import searchkeys as k
from twistmail.wire.imap.responses import BAD, NO, OK, Raw, Response, Tagged, Untagged, string
from twistmail.wire.imap.returns import ALL, Returns


async def search(client: Client, event: c.Search) -> Responses:
    wanted = event.returns
    if event.charset and "UTF8=ACCEPT" in client.enabled:  # RFC 6855 §3
        raise Refusal("You have enabled UTF-8, so there is no other charset", condition=BAD)
    if wanted is None and "IMAP4REV2" in client.enabled:
        wanted = ALL  # RFC 9051 §6.4.4
    lines = searched(client, event.tag, event.key, wanted, uid=event.uid)
    async with aclosing(lines):  # type: ignore[type-var]
        async for line in lines:
            yield line
    yield Tagged(event.tag, OK, "Done")


async def searched(
    client: Client, tag: bytes, key: k.Key, wanted: Returns | None, *, uid: bool, about: bytes = b""
) -> AsyncIterator[Response]:
    """The answer of a search in the selected mailbox, without its end.

    *about*: the correlator of an ESEARCH command, which tells nothing where nothing was found (RFC 7377 §2.1).
    """
    view = client.selected
    refuse_used_tag(client, view, tag, wanted)
    inquiry = Inquiry(client, view)
    with unsaved_on_failure(view, wanted):
        work = Work(inquiry.find(key))
        async with aclosing(in_progress(client, tag, work, inquiry)) as said:  # type: ignore[type-var]
            async for far in said:
                yield far
        found = work.result()
    if wanted is not None and wanted.saves:
        view.saved.replace(to_save(inquiry, wanted, found), inquiry.count)
    if found or not about:
        lines = found_lines(inquiry, found, wanted, about or correlator(tag), uid=uid)
        async with aclosing(lines):  # type: ignore[type-var]
            async for line in lines:
                yield line
    if wanted is not None and wanted.updates and not _follow(inquiry, (tag, key, found), wanted, uid=uid):
        yield no_update(tag)


async def found_lines(inquiry: Inquiry, found: int, wanted: Returns | None, about: bytes, *, uid: bool) -> AsyncIterator[Raw]:
    """What is told of *found*: as SEARCH where nothing is *wanted*, else as ESEARCH."""
    if wanted is not None and wanted.tells_nothing:
        return
    values = await inquiry.values(found, uid=uid)
    more = await modseq_told(inquiry, to_save(inquiry, wanted or ALL, found))
    if wanted is None:
        lines = search_lines(inquiry.client, values, more=b"(%b)" % more if more else b"")
    else:
        scores = inquiry.fuzziness.scores(found) if "RELEVANCY" in wanted else None
        lines = esearch_lines(inquiry.client, about, wanted, Result(values, uid, scores, more))
    async with aclosing(lines):  # type: ignore[type-var]
        async for line in lines:
            yield line


async def modseq_told(inquiry: Inquiry, told: int) -> bytes:
    """What an answer tells of the messages *told*, where the client has asked by MODSEQ (RFC 7162 §3.1.6, RFC 4731 §3.2)."""
    return b"MODSEQ %d" % await inquiry.highest_modseq(told) if told and inquiry.asks_for_modseqs else b""


def refuse_used_tag(client: Client, view: View, tag: bytes, wanted: Returns | None) -> None:
    """Refusal (BAD) for a tag that has a context already and wants another one (RFC 5267 §4.3)."""
    if wanted is not None and wanted.updates and tag in contexts_of(client, view):
        raise Refusal("That tag is in use for a search that is followed", condition=BAD)


@contextmanager
def unsaved_on_failure(view: View, wanted: Returns | None) -> Iterator[None]:
    """RFC 5182 §2.1: what fails has saved nothing; until then "$" is what it was, and the command itself may ask for it."""
    try:
        yield
    except BaseException:
        if wanted is not None and wanted.saves:
            view.saved.replace(0, 0)
        raise


def no_update(tag: bytes) -> Untagged:
    """RFC 5267 §4.3.1."""
    return Untagged(b"NO [NOUPDATE %b] There is too much that you follow" % string(tag))


def _follow(inquiry: Inquiry, searched: tuple[bytes, k.Key, int], wanted: Returns, *, uid: bool) -> bool:
    """Keep the result of a search (tag, key, what was found) up to date; False where that is too much."""
    tag, key, found = searched
    contexts, program = contexts_of(inquiry.client, inquiry.view), fixed(key, inquiry.view)
    if contexts.is_full or program is None:
        return False
    contexts.add(Context(tag, program, Following(found, inquiry.count), uid=uid), wanted.fetched)
    return True


async def unsearchable(client: Client, event: c.Unsearchable) -> Responses:
    """RFC 5182 §2.1: a search that fails has saved nothing."""
    if client.view is not None:
        client.view.saved.replace(0, 0)
    yield Tagged(event.tag, NO, event.text, event.code)


def to_save(inquiry: Inquiry, wanted: Returns, found: int) -> int:
    """What of *found* SAVE is about (RFC 5182 §2.4, RFC 9394 §3.2)."""
    if wanted.saves_all or not found:
        return found
    places = inquiry.places
    digits = places.digits(found)
    kept = []
    if "MIN" in wanted:
        kept.append(digits.index(b"1"))
    if "MAX" in wanted:
        kept.append(digits.rindex(b"1"))
    some = places.of_few(sorted(set(kept)))
    return some | _part(digits, wanted, inquiry) if wanted.partial is not None else some


def _part(digits: bytes, wanted: Returns, inquiry: Inquiry) -> int:
    assert wanted.partial is not None
    start, stop = wanted.partial.span(digits.count(b"1"))
    first, last = place_of(digits, start), place_of(digits, stop)
    return inquiry.places.of_digits(b"0" * first + digits[first:last] + b"0" * (len(digits) - last))


def place_of(digits: bytes, number: int) -> int:
    """The place of the one in *digits* that so many ones precede; the end where there are no more."""
    low, high = 0, len(digits)
    while low < high:
        middle = (low + high) // 2
        if digits.count(b"1", 0, middle + 1) <= number:
            low = middle + 1
        else:
            high = middle
    return low
