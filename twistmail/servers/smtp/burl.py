"""BURL: content that comes out of a mailbox here instead of down the line (RFC 4468).

The submission service and the mailboxes are one house, so there is no IMAP in between: a URL with URLAUTH is good when
`servers.urls` says so, and one without when it leads to a mailbox of who has logged in. URLs of other servers are not fetched.
What a URL means goes through the wire's measure like what a chunk brings; \\Seen stays as it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing

from twistmail.disk import status_of
from twistmail.interfaces import Unavailable
from twistmail.mail.imapurl import BadUrl, MessageUrl, parse
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.servers.excerpts import Excerpt
from twistmail.servers.urls import Bearer, Urls
from twistmail.wire.smtp.commands import Burl, LastBurl

NOT_A_MESSAGE = Status(554, "5.6.6", "That URL does not mean a message")
NOTHING_THERE = Status(554, "5.6.6", "There is nothing where that URL leads")
#: RFC 4468 §5 calls it X.7.8, which RFC 4954 §6 gave to wrong passwords at the same time; the registry has X.7.14 for it.
ANOTHER_SERVER = Status(554, "5.7.14", "URLs of that server are not fetched here")
NOT_YOURS = Status(554, "5.7.0", "That URL is no leave for you to read")


async def borrow(urls: Urls, account: str, event: Burl | LastBurl, add: Callable[[bytes], Awaitable[None]]) -> Status | None:
    """Give *add* what the URL of *event* means to *account*. What was wrong with the URL, or None; see the measure for the rest."""
    try:
        url = parse(event.url)
        if refusal := await _refusal(urls, account, url):
            return refusal
        found = await urls.read(url)
        if found is None:
            return NOTHING_THERE
        await _pour(urls, found, event, add)
    except BadUrl:
        return NOT_A_MESSAGE
    except Unavailable:
        return UNAVAILABLE
    except OSError as error:
        return status_of(error)
    return None


async def _refusal(urls: Urls, account: str, url: MessageUrl) -> Status | None:
    """Why *account* may not use *url* (RFC 4468 §3.3)."""
    if not urls.is_here(url):
        return ANOTHER_SERVER
    if url.grant is not None:
        good = await urls.allows(url, Bearer("", submits_for=account))
    else:
        good = url.server is not None and await urls.name_of(url.server.user) == account
    return None if good else NOT_YOURS


async def _pour(urls: Urls, found: Excerpt, event: Burl | LastBurl, add: Callable[[bytes], Awaitable[None]]) -> None:
    """Nothing more is read once the measure has found a fault."""
    measure = event.measure
    measure.begin(found.size, last=isinstance(event, LastBurl))
    pieces = found.pieces(urls.threads)
    async with aclosing(pieces):  # type: ignore[type-var]
        async for piece in pieces:
            if data := measure.feed(piece):
                await add(data)
            if measure.fault is not None:
                return
