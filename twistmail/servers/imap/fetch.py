"""FETCH (RFC 3501 §6.4.5): what was asked is compiled once into a `Plan`, and answered in blocks.

Three roads, from fast to slow: what the view's arrays hold (UID, FLAGS); what
the store keeps rendered in columns, a block being one query and one join; and
the messages themselves, which is `bodies`. A message that another session has
expunged is left out, and the command then ends with NO [EXPUNGEISSUED] (RFC 2180
§4.1.2, RFC 5530) unless it went by UID, where a message that is gone is no
mistake (RFC 3501 §6.4.8).
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from twistmail.mail import headers
from twistmail.mail.mailbox import Column, Flag, FlagChange
from twistmail.mail.values import frozen
from twistmail.servers.imap import changes
from twistmail.servers.imap.bodies import BodyItem, Row, Tally, body_item, body_responses
from twistmail.servers.imap.client import Client, Refusal, Responses
from twistmail.servers.imap.oldclients import as_old, wants_surrogates
from twistmail.servers.imap.portions import LIGHT, portions
from twistmail.servers.imap.rendering import Days, dates
from twistmail.servers.imap.rev2 import as_rev2
from twistmail.servers.imap.view import Block, View
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.fetchitems import Binary, FetchItem, Item, Section, SectionText
from twistmail.wire.imap.responses import BAD, NIL, NO, OK, Raw, Tagged, literal, nstring, string
from twistmail.wire.imap.returns import Partial
from twistmail.wire.imap.sequence import render

COLUMNS = {
    Item.INTERNALDATE: Column.INTERNALDATE,
    Item.SIZE: Column.SIZE,
    Item.ENVELOPE: Column.ENVELOPE,
    Item.BODY: Column.BODY,
    Item.BODYSTRUCTURE: Column.BODYSTRUCTURE,
    Item.RFC822_HEADER: Column.HEADER,
    Item.SAVEDATE: Column.SAVEDATE,
    Item.EMAILID: Column.EMAILID,
    Item.THREADID: Column.THREADID,
    Item.PREVIEW: Column.PREVIEW,
    Item.PREVIEW_LAZY: Column.PREVIEW_AT_HAND,
}
#: How a value from the store looks in a response; the others are rendered already.
RENDERED: dict[Item, Callable[[Sequence[Any]], Iterable[Any]]] = {
    Item.INTERNALDATE: lambda found: dates(found, Days()),
    Item.SAVEDATE: lambda found: dates(found, Days()),  # RFC 8514 §4.2
    Item.EMAILID: lambda found: [b"(%b)" % value.encode("ascii") for value in found],  # RFC 8474 §5.3
    Item.THREADID: lambda found: [b"(%b)" % value.encode("ascii") if value else NIL for value in found],
    Item.PREVIEW: lambda found: [string(value.encode()) for value in found],  # RFC 8970 §3.2
    Item.PREVIEW_LAZY: lambda found: [nstring(None if value is None else value.encode()) for value in found],
    Item.RFC822_HEADER: lambda found: map(literal, found),
}
#: What may be told without opening the message.
Light = Item | Section
_HEADER_TEXTS = {SectionText.HEADER, SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT}


@frozen
class Plan:
    """A compiled item list. `template` renders one row of `items`' values behind its number; `bodies` need the message itself.

    `by_uid`: the UID stands where else the number does (RFC 9586 §3).
    """

    items: tuple[Light, ...]
    columns: tuple[Column, ...]
    template: bytes
    bodies: tuple[BodyItem, ...]
    sets_seen: bool
    by_uid: bool = False

    @property
    def heavy(self) -> int:
        """How many of `items` may each be as big as a message."""
        return sum(1 for item in self.items if (column := _column(item)) is not None and column not in LIGHT)

    @property
    def keeps(self) -> bool:
        """What it renders depends on nothing but the messages, their numbers and their flags."""
        return not (self.bodies or self.sets_seen or {Item.MODSEQ, Item.PREVIEW_LAZY}.intersection(self.items))


#: How a value is put behind its label, where it is no octets.
_VALUES: dict[FetchItem, bytes] = {Item.UID: b" %d", Item.SIZE: b" %d", Item.MODSEQ: b" (%d)"}


def compile_items(items: Sequence[FetchItem], *, by_uid: bool = False) -> Plan:
    """The Plan for what the client wants, in its order; items that need the message come last in each response."""
    light = tuple(item for item in items if not isinstance(item, Binary) and _is_light(item))
    columns = tuple(dict.fromkeys(column for item in light if (column := _column(item)) is not None))
    begin = b"* %d UIDFETCH (" if by_uid else b"* %d FETCH ("
    bodies = tuple(body_item(item) for item in items if isinstance(item, Binary) or not _is_light(item))
    return Plan(light, columns, begin + _template(light), bodies, any(item.sets_seen for item in items), by_uid)


def _template(items: Iterable[Light]) -> bytes:
    return b" ".join([item.label.replace(b"%", b"%%") + _VALUES.get(item, b" %b") for item in items])


def plan_for(view: View, items: Sequence[FetchItem], *, uid: bool) -> Plan:
    """The Plan for *items*; *uid*: the UID is told in any case (RFC 3501 §6.4.8)."""
    if uid and Item.UID not in items and not view.by_uid_only:
        items = (Item.UID, *items)
    return compile_items(items, by_uid=view.by_uid_only)


def _is_light(item: Light) -> bool:
    """No need to open the message."""
    if isinstance(item, Section):
        return not item.part and item.text in _HEADER_TEXTS
    return item not in (Item.RFC822, Item.RFC822_TEXT)


def _column(item: Light) -> Column | None:
    if isinstance(item, Section):
        is_listed = item.text is SectionText.HEADER_FIELDS and headers.LISTED.issuperset(name.lower() for name in item.fields)
        return Column.LISTED if is_listed else Column.HEADER
    return COLUMNS.get(item)


async def fetch(client: Client, event: c.Fetch) -> Responses:
    view = client.selected
    spans = spans_of(view, event.set, uid=event.uid)
    if event.partial is not None:
        spans = part_of(spans, event.partial)
    if event.vanished:
        changes.require_qresync(client)
        for gone in await changes.vanished(client, event.set, event.changed_since or 0):
            yield gone
    if event.items == (Item.UID,) and not event.uid and event.changed_since is None:
        for span in spans:
            yield Raw(_uids_told(view, range(*span)))
        yield Tagged(event.tag, OK, "Done")
        return
    tally = Tally()
    items = event.items
    wanted: Iterable[Sequence[int]] = [range(*span) for span in spans]
    if event.changed_since is not None:
        items = tuple(dict.fromkeys((*items, Item.MODSEQ)))
        wanted = await changes.changed(client, spans, event.changed_since, tally)
    lines = responses(client, plan_for(view, items, uid=event.uid), wanted, tally)
    async with aclosing(lines):  # type: ignore[type-var]
        async for line in lines:
            yield line
    yield ended(event, tally)


def _uids_told(view: View, places: range) -> bytes:
    """Which message has which number: that is so too of one that is gone and has its number still."""
    return b"".join([b"* %d FETCH (UID %d)\r\n" % (place + 1, view.uids[place]) for place in places])


def part_of(spans: Sequence[tuple[int, int]], partial: Partial) -> list[tuple[int, int]]:
    """The places in *spans* that *partial* means, counted over all of them (RFC 9394 §3.3)."""
    first, last = partial.span(sum(stop - start for start, stop in spans))
    found, before = [], 0
    for start, stop in spans:
        low, high = max(start, start + first - before), min(stop, start + last - before)
        if low < high:
            found.append((low, high))
        before += stop - start
    return found


async def responses(client: Client, plan: Plan, wanted: Iterable[Sequence[int]], tally: Tally) -> AsyncIterator[Raw]:
    """The responses about the messages at *wanted* positions, of which each is a range or a list of at most BLOCK."""
    view = client.selected
    for places in wanted:
        for first, last in await portions(view.mailbox, view.uids_at(places), plan.columns, plan.heavy):
            known = _known(client, plan, places[first:last], tally)
            if known is not None:
                yield Raw(known)
                continue
            lines = block_responses(client, plan, places[first:last], tally)
            async with aclosing(lines):  # type: ignore[type-var]
                async for line in lines:
                    yield line


def _known(client: Client, plan: Plan, places: Sequence[int], tally: Tally) -> bytes | None:
    """The responses about the messages at these positions, where they have been rendered before."""
    if not plan.keeps:
        return None
    block = client.selected.block_at(places)
    known = client.service.kept.find(_key(client, plan, block)[0])
    if known is not None:
        tally.gone += len(places) - len(block.uids)
    return known


def _key(client: Client, plan: Plan, block: Block) -> tuple[Hashable, int]:
    """All that the responses for *block* depend on, and how many octets that has."""
    mailbox = client.selected.mailbox
    told = [array("L", column).tobytes() for column in (block.numbers, block.uids)]
    words: tuple[str, ...] = ()
    if Item.FLAGS in plan.items:
        told.append(array("Q", block.bits).tobytes())
        words = tuple(mailbox.keywords)
    assert client.account is not None
    where = (client.account.name, mailbox.name, mailbox.uidvalidity)
    return (where, plan, frozenset(client.enabled), words, *told), sum(map(len, told))


def spans_of(view: View, numbers: Any, *, uid: bool) -> list[tuple[int, int]]:
    """The positions that a command's set means. Refusal (BAD) for a sequence number that no message has."""
    if not uid and numbers.highest > len(view.uids) and view.uids:
        raise Refusal(f"There are {len(view.uids)} messages only", condition=BAD)
    return view.spans(numbers, uid=uid)


def ended(event: Any, tally: Tally) -> Tagged:
    """The end of a command about messages, of which some may be gone."""
    if tally.gone and not event.uid:
        return Tagged(event.tag, NO, "Some of the messages are gone", b"EXPUNGEISSUED")
    return Tagged(event.tag, OK, "Done", b"DOWNGRADED " + render(sorted(tally.downgraded)) if tally.downgraded else b"")  # RFC 6858 §3


async def block_responses(client: Client, plan: Plan, places: Sequence[int], tally: Tally) -> AsyncIterator[Raw]:
    """The responses about the messages at these positions."""
    view = client.selected
    newly_seen = await _mark_seen(view, places) if plan.sets_seen and view.may("s") else frozenset()
    rows = await view.mailbox.rows(view.uids_at(places), plan.columns) if plan.columns else None
    surrogates: list[int] = []
    if rows is not None and view.is_rev2:
        rows = await as_rev2(client, plan.columns, rows)
    elif rows is not None and wants_surrogates(client):
        rows, surrogates = await as_old(client, plan.columns, rows)
        tally.downgraded.update(surrogates)
    block = view.block_at(places)
    if rows is not None and len(rows) != len(block.uids):
        block, rows = _both(block, rows)
    tally.gone += len(places) - len(block.uids)
    if not block.uids:
        return
    texts = _rows_rendered(view, plan, block, rows)
    tails = _tails(view, plan, block, newly_seen)
    if not plan.bodies:
        rendered = b"".join(map(bytes.__add__, texts, tails))
        if plan.keeps and not surrogates:
            key, weight = _key(client, plan, block)
            client.service.kept.keep(key, rendered, weight)
        yield Raw(rendered)
        return
    glue = b" " if plan.items else b""
    answers = [Row(uid, text + glue, tail) for uid, text, tail in zip(block.uids, texts, tails, strict=True)]
    lines = body_responses(client, plan.bodies, answers, tally)
    async with aclosing(lines):  # type: ignore[type-var]
        async for line in lines:
            yield line


def _both(block: Block, rows: list[Any]) -> tuple[Block, list[Any]]:
    """What is in the block and in the rows: between the two, messages have gone."""
    by_uid = {row[0]: row for row in rows}
    kept = [entry for entry in zip(*block, strict=True) if entry[1] in by_uid]
    both = Block(*map(list, zip(*kept, strict=True))) if kept else Block((), (), (), ())
    return both, [by_uid[uid] for uid in both.uids]


async def _mark_seen(view: View, places: Sequence[int]) -> frozenset[int]:
    """Set \\Seen where it is missing; the UIDs that have got it."""
    block = view.block_at(places)
    unseen = [uid for uid, bits in zip(block.uids, block.bits, strict=True) if not bits & Flag.SEEN]
    if not unseen:
        return frozenset()
    changed, _ = await view.mailbox.store(unseen, FlagChange.ADD, ("\\Seen",), by=view.watcher)
    return frozenset(changed)


def _tails(view: View, plan: Plan, block: Block, newly_seen: frozenset[int]) -> list[bytes]:
    """What ends each response: where fetching has changed the flags and they were not asked for, they are told (RFC 3501 §6.4.5)."""
    more = [item for item in flag_news(view) if item not in plan.items] if newly_seen else []
    if not more:
        return [b")\r\n"] * len(block.uids)
    news = zip(*[_values(item, view, block, {}) for item in more], strict=True)
    template = b" " + _template(more) + b")\r\n"
    return [template % new if uid in newly_seen else b")\r\n" for uid, new in zip(block.uids, news, strict=True)]


def flag_news(view: View, *, silent: bool = False) -> list[Item]:
    """What this client is told where flags have changed; *silent*: it knows them itself (RFC 7162 §3.2.4)."""
    told = [] if silent else [Item.FLAGS]
    if view.tells_modseqs:
        told.append(Item.MODSEQ)
        if not view.by_uid_only:
            told.insert(0, Item.UID)
    return told


def _rows_rendered(view: View, plan: Plan, block: Block, rows: list[Any] | None) -> list[bytes]:
    """The beginning of each response with the values of `plan.items`: one % of the template for each row, and no loop of ours."""
    fetched = dict(zip(plan.columns, list(zip(*rows, strict=True))[1:], strict=False)) if rows else {}
    values: list[Iterable[Any]] = [_values(item, view, block, fetched) for item in plan.items]
    return list(map(plan.template.__mod__, zip(block.uids if plan.by_uid else block.numbers, *values, strict=True)))


def _values(item: Light, view: View, block: Block, fetched: Mapping[Column, Sequence[Any]]) -> Iterable[Any]:
    """The rendered value of *item* for every message of the block."""
    column = _column(item)
    found: Sequence[Any] = () if column is None else fetched.get(column, ())
    if isinstance(item, Section):
        return list(map(_header_section(item), found))
    if item is Item.UID:
        return block.uids
    if item is Item.FLAGS:
        return map(view.rendered.__getitem__, block.bits)
    if item is Item.MODSEQ:
        return block.modseqs
    return RENDERED[item](found) if item in RENDERED else found


def _header_section(item: Section) -> Callable[[bytes], bytes]:
    """What makes BODY[HEADER...] of a header block."""
    names = frozenset(name.lower() for name in item.fields)
    whole, exclude = item.text is SectionText.HEADER, item.text is SectionText.HEADER_FIELDS_NOT

    def section(header: bytes) -> bytes:
        text = header if whole else headers.select(header, names, exclude)
        if item.offset is not None:
            text = text[item.offset : item.offset + (item.count or 0)]
        return literal(text.replace(b"\0", b"\x80") if b"\0" in text else text)

    return section
