"""What a searching command answers with: SEARCH (RFC 3501 §7.2.5) or ESEARCH (RFC 4731), in pieces.

`values` are sequence numbers or UIDs in the order of the result, which for SORT is not an ascending one; the answer for it is
spelled the same (RFC 5267 §3.1).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

from twistmail.mail.values import frozen
from twistmail.servers.imap.client import Client
from twistmail.wire.imap.responses import Raw, string
from twistmail.wire.imap.returns import Returns

#: Numbers that are rendered before the reactor gets its turn: about two milliseconds.
TOGETHER = 10_000


@frozen
class Result:
    """What was found: `values` in order, told as UIDs or not; `scores` parallel to them where they were asked for.

    `more`: what else stands at the end of an ESEARCH, such as b"MODSEQ 5".
    """

    values: Sequence[int]
    uid: bool
    scores: Sequence[int] | None = None
    more: bytes = b""


def correlator(tag: bytes, mailbox: bytes | None = None, uidvalidity: int = 0) -> bytes:
    """To which command an ESEARCH belongs, and to which mailbox where it is not the selected one (RFC 7377 §2.1)."""
    about = b"TAG " + string(tag)
    if mailbox is not None:
        about += b" MAILBOX %b UIDVALIDITY %d" % (mailbox, uidvalidity)
    return about


async def search_lines(client: Client, values: Sequence[int], kind: bytes = b"SEARCH", more: bytes = b"") -> AsyncIterator[Raw]:
    """The old answer: all numbers, one by one. *more*: such as b"(MODSEQ 5)"."""
    yield Raw(b"* " + kind)
    for start in range(0, len(values), TOGETHER):
        told = tuple(values[start : start + TOGETHER])
        yield Raw(b" %d" * len(told) % told)
        if len(values) > TOGETHER:
            await client.turn()
    yield Raw(b" %b\r\n" % more if more else b"\r\n")


async def esearch_lines(client: Client, about: bytes, wanted: Returns, result: Result) -> AsyncIterator[Raw]:
    """The answer to RETURN. *about*: the `correlator`. RFC 4731 §3.1: MIN, MAX and ALL are left out where nothing was found."""
    values = result.values
    yield Raw(b"* ESEARCH (%b)%b%b" % (about, b" UID" if result.uid else b"", _numbers(wanted, values)))
    told = range(len(values)) if wanted.partial is None else range(*wanted.partial.span(len(values)))
    if wanted.partial is not None:
        yield Raw(b" PARTIAL (%b " % wanted.partial.octets())
    elif "ALL" in wanted and values:
        yield Raw(b" ALL ")
    if wanted.partial is not None or "ALL" in wanted:
        for piece in set_pieces(values[told.start : told.stop]):
            yield Raw(piece)
            if len(told) > TOGETHER:
                await client.turn()
    if wanted.partial is not None:
        yield Raw(b")" if told else b"NIL)")
    if "RELEVANCY" in wanted:
        scores = result.scores or ()
        yield Raw(b" RELEVANCY (%b)" % b" ".join([b"%d" % scores[place] for place in told]))
    yield Raw(b" %b\r\n" % result.more if result.more else b"\r\n")


def _numbers(wanted: Returns, values: Sequence[int]) -> bytes:
    told = []
    if "MIN" in wanted and values:
        told.append(b" MIN %d" % values[0])
    if "MAX" in wanted and values:
        told.append(b" MAX %d" % values[-1])
    if "COUNT" in wanted:
        told.append(b" COUNT %d" % len(values))
    return b"".join(told)


def set_pieces(values: Sequence[int]) -> Iterator[bytes]:
    """*values*, in the order given, as a set ("1:5,7"); each piece takes as long as TOGETHER values. No run is cut in two."""
    start = previous = -1
    comma = b""
    for at in range(0, len(values), TOGETHER):
        pieces = []
        for value in values[at : at + TOGETHER]:
            if value != previous + 1 or start < 0:
                if start >= 0:
                    pieces.append(_range(start, previous))
                start = value
            previous = value
        if pieces:
            yield comma + b",".join(pieces)
            comma = b","
    if start >= 0:
        yield comma + _range(start, previous)


def _range(start: int, end: int) -> bytes:
    return b"%d" % start if start == end else b"%d:%d" % (start, end)
