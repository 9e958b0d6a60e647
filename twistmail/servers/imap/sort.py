"""SORT with RETURN (RFC 5256, RFC 5957, RFC 5267) and THREAD (RFC 5256).

What a key means is `inquiry`'s, the order is the mailbox's, how the answer is spelled `results`'; here UIDs get their numbers.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from itertools import chain

from twistmail.mail.threads import Threads
from twistmail.servers.imap.client import Client, Responses
from twistmail.servers.imap.contexts import contexts_of, fixed
from twistmail.servers.imap.fuzzy import BEST
from twistmail.servers.imap.inquiry import Inquiry
from twistmail.servers.imap.places import Following
from twistmail.servers.imap.progress import in_progress
from twistmail.servers.imap.results import Result, correlator, esearch_lines, search_lines
from twistmail.servers.imap.search import modseq_told, no_update, refuse_used_tag, unsaved_on_failure
from twistmail.servers.imap.sortcontexts import MOST_FOLLOWED, SortedContext
from twistmail.tasks import Work
from twistmail.wire.imap import sorting as c
from twistmail.wire.imap.responses import OK, Raw, Tagged
from twistmail.wire.imap.returns import Returns

#: UIDs that get their numbers before the reactor gets its turn.
TOGETHER = 5000
#: In a view of so many messages a table tells the numbers of UIDs; in a larger one it would take long to make.
MOST_TABLED = 20_000

Numbers = Callable[[Sequence[int]], Iterable[int]]


async def sort(client: Client, event: c.Sort) -> Responses:
    view, wanted = client.selected, event.returns
    refuse_used_tag(client, view, event.tag, wanted)
    inquiry = Inquiry(client, view)
    with unsaved_on_failure(view, wanted):
        work = Work(_in_order(inquiry, event))
        async with aclosing(in_progress(client, event.tag, work, inquiry)) as said:  # type: ignore[type-var]
            async for far in said:
                yield far
        found, order, scores = work.result()
    if wanted is not None and wanted.saves:
        view.saved.replace(_to_save(inquiry, wanted, found, order), inquiry.count)
    if wanted is None or not wanted.tells_nothing:
        more = await modseq_told(inquiry, found if wanted is None else _to_save(inquiry, wanted, found, order))
        lines = _lines(client, event, Result(order if event.uid else await _numbered(inquiry, order), event.uid, scores, more))
        async with aclosing(lines):  # type: ignore[type-var]
            async for line in lines:
                yield line
    if wanted is not None and wanted.updates and not _follow(inquiry, event, found, order):
        yield no_update(event.tag)
    yield Tagged(event.tag, OK, "Done")


async def _in_order(inquiry: Inquiry, event: c.Sort) -> tuple[int, Sequence[int], Sequence[int] | None]:
    """The places of what was found, its UIDs in order, and their scores where they are wanted (RFC 6203 §6)."""
    found = await inquiry.find(event.key)
    uids = await inquiry.uids_by_stretch(found)
    order: Sequence[int] = await inquiry.view.mailbox.sort(uids, event.keys) if event.keys else uids
    if event.relevancy is None and (event.returns is None or "RELEVANCY" not in event.returns):
        return found, order, None
    score_of = dict(zip(uids, inquiry.fuzziness.scores(found), strict=True))
    if event.relevancy is not None:
        order = await _by_score([uid for uid in order if uid in score_of], score_of, inquiry, reverse=event.relevancy)
    return found, order, [score_of.get(uid, 1) for uid in order]


async def _by_score(order: Sequence[int], score_of: Mapping[int, int], inquiry: Inquiry, *, reverse: bool) -> Sequence[int]:
    """*order* by scores, the best first; among equals it stays."""
    with_score: list[list[int]] = [[] for _ in range(BEST + 1)]
    for start in range(0, len(order), TOGETHER):
        for uid in order[start : start + TOGETHER]:
            with_score[score_of[uid]].append(uid)
        await inquiry.rest(20 * TOGETHER)
    return array("I", chain.from_iterable(with_score if reverse else reversed(with_score)))


def _lines(client: Client, event: c.Sort, result: Result) -> AsyncIterator[Raw]:
    if event.returns is None:
        return search_lines(client, result.values, b"SORT", b"(%b)" % result.more if result.more else b"")
    return esearch_lines(client, correlator(event.tag), event.returns, result)


def _to_save(inquiry: Inquiry, wanted: Returns, found: int, order: Sequence[int]) -> int:
    """What of *found* SAVE is about (RFC 5182 §2.4): MIN and MAX are the first and the last in *order*."""
    if wanted.saves_all or not order:
        return found
    kept = [order[place] for option, place in (("MIN", 0), ("MAX", -1)) if option in wanted]
    if wanted.partial is not None:
        start, stop = wanted.partial.span(len(order))
        kept += order[start:stop]
    return inquiry.places.of_uids(set(kept), inquiry.uids)


def _follow(inquiry: Inquiry, event: c.Sort, found: int, order: Sequence[int]) -> bool:
    """Keep the result up to date; False where that is too much."""
    contexts, program = contexts_of(inquiry.client, inquiry.view), fixed(event.key, inquiry.view)
    if contexts.is_full or program is None or len(order) > MOST_FOLLOWED or event.relevancy is not None:
        return False
    following = Following(found, inquiry.count)
    context = SortedContext(event.tag, program, following, event.keys, order, uid=event.uid)
    contexts.add(context, event.returns.fetched if event.returns else ())
    return True


async def thread(client: Client, event: c.Thread) -> Responses:
    inquiry = Inquiry(client, client.selected)
    work = Work(_in_threads(inquiry, event))
    async with aclosing(in_progress(client, event.tag, work, inquiry)) as said:  # type: ignore[type-var]
        async for far in said:
            yield far
    found = work.result()
    numbers: Numbers = tuple if event.uid else numbers_of(inquiry.uids)
    yield Raw(b"* THREAD " if found.blocks else b"* THREAD")
    for number, text in enumerate(found.rendered(numbers), 1):
        yield Raw(text)
        if not number % 4:
            await client.turn()
    yield Raw(b"\r\n")
    yield Tagged(event.tag, OK, "Done")


async def _in_threads(inquiry: Inquiry, event: c.Thread) -> Threads:
    uids = await inquiry.uids_by_stretch(await inquiry.find(event.key))
    found: Threads = await inquiry.view.mailbox.thread(uids, event.how)
    return found


async def _numbered(inquiry: Inquiry, order: Sequence[int]) -> Sequence[int]:
    numbers, told = numbers_of(inquiry.uids), array("I")
    for start in range(0, len(order), TOGETHER):
        told.extend(numbers(order[start : start + TOGETHER]))
        if len(order) > TOGETHER:
            await inquiry.client.turn()
    return told


def numbers_of(uids: Sequence[int]) -> Numbers:
    """What tells the sequence numbers of UIDs in a view of *uids*."""
    if uids and uids[-1] - uids[0] == len(uids) - 1:
        before = uids[0] - 1
        return lambda wanted: [one - before for one in wanted]
    if len(uids) <= MOST_TABLED:
        number_of = dict(zip(uids, range(1, len(uids) + 1), strict=True))
        return lambda wanted: map(number_of.__getitem__, wanted)
    return lambda wanted: map(partial(bisect_right, uids), wanted)
