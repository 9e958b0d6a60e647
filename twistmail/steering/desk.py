"""The queue's verbs of the control socket (`control` lists them): what waits, what became of it, and orders.

A queue may hold a hundred thousand messages: whatever looks at all of them does
so in pieces, between which the reactor serves everybody else, and long lists are
said part by part. Orders are the runner's own functions, done one message at a
time, so a crash in the middle leaves each message as it was or as it was ordered.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from itertools import chain
from typing import Any

from twistmail import tasks
from twistmail.control import Part, Refusal, Speaker, Verb
from twistmail.mail.item import Item
from twistmail.relay.route import parse_via
from twistmail.rows import Filter, View, from_arguments, row
from twistmail.steering import history
from twistmail.steering.shape import BY, Shape
from twistmail.steering.watch import Watch

USAGE, NO_USER, TEMPORARY = 64, 67, 75  # sysexits
#: Rows of one answer, whatever is asked.
MOST_ROWS = 100_000
#: Items that are looked at, or ordered about, before the others get their turn (500 take 2 ms); rows and octets of one part.
SLICE, ROWS, CHUNK = 500, 100, 48 * 1024
#: Orders that wait for the disk together, which makes them durable in bulk.
TOGETHER = 64
#: Characters of an operator's words.
LONGEST_WORDS = 200

Order = Callable[[str], Coroutine[Any, Any, Any]]


class QueueDesk:
    """The verbs over what *foundation* (`foundation.Foundation`) holds."""

    def __init__(self, foundation: Any) -> None:
        self._foundation = foundation

    def verbs(self) -> dict[str, Verb | Speaker]:
        return {
            "queue.list": self.listed,
            "queue.stats": self.stats,
            "queue.flush": self.flush,
            "queue.hold": self._hold,
            "queue.release": self._release,
            "queue.bounce": self._bounce,
            "queue.delete": self._delete,
            "queue.route": self._route,
            "queue.dump": self._dump,
            "queue.watch": self._watch,
            "queue.history": self.ended,
        }

    @property
    def _runner(self) -> Any:
        return self._foundation.runner

    def view(self) -> View:
        """What is known of items at this moment."""
        runner = self._runner
        return View(self._foundation.ground.epoch(), runner.is_under_way, runner.rules.dispatch.places, runner.outlook_of)

    # ----- looking

    async def slices(self) -> AsyncIterator[tuple[Item, ...]]:
        """All items, oldest first, a few at a time; the reactor has its turn in between."""
        items = self._runner.queue.items()
        for start in range(0, len(items), SLICE):
            if start:
                await tasks.sleep(self._foundation.ground.reactor, 0)
            yield items[start : start + SLICE]

    async def fitting(self, chosen: Filter) -> AsyncIterator[list[Item]]:
        """Those that fit *chosen*, a few at a time."""
        view = self.view()
        async with aclosing(self.slices()) as slices:  # type: ignore[type-var]
            async for items in slices:
                yield [item for item in items if chosen.fits(item, view)]

    async def listed(self, arguments: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """Parts with rows, then `{"rows": [], "count", "size"}` of all that fit."""
        chosen, view = _filter(arguments), self.view()
        left, count, size = _most(arguments), 0, 0
        async with aclosing(self.fitting(chosen)) as found:  # type: ignore[type-var]
            async for items in found:
                count += len(items)
                size += sum(item.size for item in items)
                shown = items[:left]
                left -= len(shown)
                for start in range(0, len(shown), ROWS):
                    yield Part([row(item, view) for item in shown[start : start + ROWS]])
                    await tasks.sleep(self._foundation.ground.reactor, 0)
        yield {"rows": [], "count": count, "size": size}

    async def stats(self, arguments: Mapping[str, Any]) -> Any:
        by, most = arguments.get("by", BY[0]), arguments.get("most", 20)
        if by not in BY or not isinstance(most, int) or most < 1:
            raise Refusal(f"by is one of {', '.join(BY)}, most a number", USAGE)
        shape = Shape(self.view(), by)
        async with aclosing(self.fitting(_filter(arguments))) as found:  # type: ignore[type-var]
            async for items in found:
                for item in items:
                    shape.add(item)
        return shape.as_json(min(most, MOST_ROWS))

    async def _watch(self, arguments: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """Parts with what happens, as it happens, until nobody listens any more."""
        watch = Watch(_filter(arguments), self._runner.item, self.view)
        foundation = self._foundation
        stop = foundation.facts.listen(watch.note)
        try:
            while True:
                yield Part(watch.news(len(self._runner.queue.items())))
                await watch.wait(self._foundation.ground.reactor)
        finally:
            stop()

    async def _dump(self, arguments: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """Parts with the message in base64, as it will be sent but for what the relay changes; then its size in octets."""
        item = await self._one(arguments)
        chunks: Iterator[bytes] = _pieces(item.prefix, self._runner.queue.content(item.id))
        threads = self._foundation.threads
        size = 0
        try:
            while chunk := await threads.run(next, chunks, b""):
                size += len(chunk)
                yield Part(base64.b64encode(chunk).decode("ascii"))
        except OSError as trouble:
            raise Refusal(f"{item.id} cannot be read: {trouble.strerror}", NO_USER, "it may have left the queue") from None
        yield {"id": item.id, "size": size}

    async def _one(self, arguments: Mapping[str, Any]) -> Item:
        """The item of which `id` is a beginning."""
        beginning = arguments.get("id")
        if not isinstance(beginning, str) or not beginning:
            raise Refusal("which message?", USAGE)
        if (exact := self._runner.item(beginning)) is not None:
            return exact  # type: ignore[no-any-return]
        found = [item for item in self._runner.queue.items() if item.id.startswith(beginning)]
        if len(found) > 1:
            raise Refusal(f"{beginning} fits {len(found)} messages", USAGE, "type more of it")
        if not found:
            raise Refusal(f"no message {beginning} is in the queue", NO_USER, f"what became of it: twistmail trace show {beginning}")
        return found[0]  # type: ignore[no-any-return]

    # ----- what has been

    async def ended(self, arguments: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """Parts with rows of `history.ended`, by time, the latest `most`; then their number."""
        try:
            search = history.search_in(arguments)
        except ValueError as trouble:
            raise Refusal(str(trouble), USAGE) from None
        rows = await self._ends(search, _most(arguments))
        for start in range(0, len(rows), ROWS):
            yield Part(rows[start : start + ROWS])
            await tasks.sleep(self._foundation.ground.reactor, 0)
        yield {"rows": [], "count": len(rows)}

    async def _ends(self, search: history.Search, most: int) -> list[dict[str, Any]]:
        foundation = self._foundation
        try:
            for one in foundation.journals:
                await foundation.threads.run(one.write)
        except OSError as trouble:
            raise Refusal(f"the journal cannot be written: {trouble}", TEMPORARY) from None
        return await foundation.threads.run(history.latest, foundation.journals[0].folder, search, most)  # type: ignore[no-any-return]

    # ----- orders

    async def flush(self, arguments: Mapping[str, Any]) -> Any:
        """Try again now. What is kept for somebody who calls goes only where it is named."""
        chosen = _filter(arguments)
        kept = bool(chosen.ids or chosen.domain or chosen.recipient or chosen.place)
        return {"count": await self._each_slice(arguments, lambda ids: self._runner.flush(ids, kept=kept))}

    async def _hold(self, arguments: Mapping[str, Any]) -> Any:
        words = _words(arguments)
        return await self._each(arguments, lambda identifier: self._runner.hold(identifier, words))

    async def _release(self, arguments: Mapping[str, Any]) -> Any:
        return await self._each(arguments, self._runner.release)

    async def _bounce(self, arguments: Mapping[str, Any]) -> Any:
        words = _words(arguments)
        return await self._each(arguments, lambda identifier: self._runner.bounce(identifier, words))

    async def _delete(self, arguments: Mapping[str, Any]) -> Any:
        return await self._each(arguments, self._runner.delete)

    async def _route(self, arguments: Mapping[str, Any]) -> Any:
        via = route_in(arguments)
        return await self._each(arguments, lambda identifier: self._runner.reroute(identifier, via))

    async def _each_slice(self, arguments: Mapping[str, Any], order: Callable[[list[str]], int | Awaitable[int]]) -> int:
        """How many of those that fit *order* was obeyed for. An empty filter means all of them only where `all` says so."""
        chosen = _filter(arguments)
        if chosen.is_empty and arguments.get("all") is not True:
            raise Refusal("which messages?", USAGE, "give ids or a filter, or --all")
        count = 0
        async with aclosing(self.fitting(chosen)) as found:  # type: ignore[type-var]
            async for items in found:
                obeyed = order([item.id for item in items])
                count += obeyed if isinstance(obeyed, int) else await obeyed
        return count

    async def _each(self, arguments: Mapping[str, Any], order: Order) -> Any:
        return {"count": await self._each_slice(arguments, partial(_obeyed, order))}


async def _obeyed(order: Order, identifiers: Sequence[str]) -> int:
    """*order* for each; how many were there still. Refusal where the disk will not; what was done until then is done."""
    count = 0
    try:
        for start in range(0, len(identifiers), TOGETHER):
            count += sum(await tasks.gather(*(_done(order, one) for one in identifiers[start : start + TOGETHER])))
    except OSError as trouble:
        raise Refusal(f"it could not be written down: {trouble.strerror or trouble}", TEMPORARY, "the server's log says more") from None
    return count


async def _done(order: Order, identifier: str) -> bool:
    try:
        await order(identifier)
    except KeyError:
        return False  # it has left the queue meanwhile
    return True


def route_in(arguments: Mapping[str, Any]) -> str:
    """What stands in `via`: a route as [relay] smarthost has it, or nothing. Refusal."""
    via = arguments.get("via")
    if not isinstance(via, str):
        raise Refusal("by which route?", USAGE)
    try:
        if via:
            parse_via(via)
    except ValueError as trouble:
        text, _, step = str(trouble).partition("\n")
        raise Refusal(text, USAGE, step) from None
    return via


def _pieces(prefix: bytes, content: Any) -> Iterator[bytes]:
    """The whole message in pieces of at most CHUNK octets. Blocking."""
    for chunk in chain((prefix,), content.chunks()):
        yield from (chunk[start : start + CHUNK] for start in range(0, len(chunk), CHUNK))


def _most(arguments: Mapping[str, Any]) -> int:
    most = arguments.get("most")
    if most is not None and (not isinstance(most, int) or most < 0):
        raise Refusal("most is no number", USAGE)
    return MOST_ROWS if most is None else min(most, MOST_ROWS)


def _filter(arguments: Mapping[str, Any]) -> Filter:
    try:
        return from_arguments(arguments)
    except ValueError as trouble:
        raise Refusal(str(trouble), USAGE) from None


def _words(arguments: Mapping[str, Any]) -> str:
    """An operator's words, in one line."""
    words = arguments.get("words", "")
    if not isinstance(words, str):
        raise Refusal("the reason is no text", USAGE)
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())[:LONGEST_WORDS]
