"""SEARCH (RFC 3501 §6.4.4) with RETURN (RFC 4731) and SAVE (RFC 5182).

What a key means is `inquiry`'s, how the answer is spelled `results`'.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from twistmail.servers.imap.client import Client, Responses
from twistmail.servers.imap.inquiry import Inquiry
from twistmail.servers.imap.results import Result, correlator, esearch_lines, search_lines
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.responses import NO, OK, Tagged
from twistmail.wire.imap.returns import ALL, Returns


async def search(client: Client, event: c.Search) -> Responses:
    view = client.selected
    wanted = event.returns
    if wanted is not None and wanted.saves:
        view.saved.replace(0, 0)  # RFC 5182 §2.1: nothing, should this fail
    inquiry = Inquiry(client, view)
    found = await inquiry.find(event.key)
    if wanted is not None and wanted.saves:
        view.saved.replace(to_save(inquiry, wanted, found), inquiry.places.count)
    if wanted is None and "IMAP4REV2" in client.enabled:
        wanted = ALL  # RFC 9051 §6.4.4
    if wanted is None:
        lines: Any = search_lines(client, await inquiry.values(found, uid=event.uid))
        async with aclosing(lines):
            async for line in lines:
                yield line
    elif not wanted.tells_nothing:
        result = Result(await inquiry.values(found, uid=event.uid), event.uid)
        lines = esearch_lines(client, correlator(event.tag), wanted, result)
        async with aclosing(lines):
            async for line in lines:
                yield line
    yield Tagged(event.tag, OK, "Done")


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
