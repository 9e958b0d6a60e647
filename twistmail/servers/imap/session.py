"""One IMAP connection: which function answers which command, what is said before each final response, and how it ends.

`families.FAMILIES` is the whole table. A command function is an async generator over
responses, given the `Client` and the event; it raises `Refusal`, StoreError,
Unavailable or OSError where the command fails, and here that becomes one NO or
BAD. News of the selected mailbox is said before the final response of every
command, EXPUNGE only where numbers may change (RFC 3501 §7.4.1); an idling
client hears it at once through `pending_updates`.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from twistmail.interfaces import Unavailable
from twistmail.mail.envelope import TlsState
from twistmail.mail.mailbox import StoreError
from twistmail.servers.imap.changes import begun
from twistmail.servers.imap.client import Client, Refusal
from twistmail.servers.imap.families import FAMILIES
from twistmail.servers.imap.limits import limited
from twistmail.servers.imap.news import news_of_selected
from twistmail.servers.imap.pending import Answer
from twistmail.servers.imap.service import ImapService, wire_limits
from twistmail.wire.contract import PeerGone
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.responses import NO, Bye, Late, Raw, Response, Tagged, Untagged
from twistmail.wire.imap.server import ImapWire
from twistmail.wire.imap.uploads import AppendAbandoned, AppendBegin, AppendChunk, AppendEnd, AppendMore

log = Logger()

#: Seconds that a client has to go after a BYE.
FAREWELL = 10.0
MAILBOX_GONE = "The mailbox that you have selected is gone"
LAST_WORDS = {
    "timed out": Bye("We have waited long enough"),
    "shutdown": Bye("The server is going down, please come back later", b"UNAVAILABLE"),
    "kicked": Bye("An operator has ended this session"),
    "bug": Bye("Something went wrong here, please try again later", b"SERVERBUG"),
    "damaged": Bye("What you have compressed cannot be read, or is too much"),
}

#: Commands that need not wait for the answers to those before them.
APPENDING = (AppendBegin, AppendMore, AppendChunk, AppendEnd, AppendAbandoned)


def open_connection(service: ImapService, identifier: str, address: str, port: int, via: str = "") -> tuple[ImapWire, ImapSession]:
    """Wire and session of a new connection from *address*, whatever proxy it came *via*."""
    return ImapWire(wire_limits(service.settings)), ImapSession(service, identifier, address, via)


class ImapSession:
    """See `servers.session.Session`."""

    minimum_rate = 0

    def __init__(self, service: ImapService, identifier: str, address: str, via: str = "") -> None:
        self.client = Client(service, identifier, address, via)
        self._service = service
        self._leaving = False

    @property
    def patience(self) -> float:
        """Until login there is one deadline for everything (RFC 3501 §5.4 asks for 30 minutes only after it)."""
        settings = self._service.settings
        if self._leaving:
            return FAREWELL
        if self.client.account is None:
            return max(0.0, self.client.began + settings.login_timeout - self._service.clock.seconds())
        return float(settings.idle_timeout)

    def attach(self, poke: Callable[[], None]) -> None:
        self.client.poke = poke

    async def admit(self) -> bool:
        return self.client.count_address()

    async def greet(self) -> AsyncIterator[Response]:
        if not await self.admit():
            yield self._bye("There are too many connections from where you are", b"UNAVAILABLE")
            return
        hostname = self._service.hostname.encode("ascii", "replace")
        yield Untagged(b"OK [CAPABILITY %b] %b is ready" % (await self.client.capabilities(), hostname))

    def answer(self, event: Any) -> AsyncIterator[Response]:
        return self._answer_behind(event) if self.client.pending else self._answer(event)

    async def _answer_behind(self, event: Any) -> AsyncIterator[Response]:
        """While answers to earlier commands are still to come: they are said first."""
        pending = self.client.pending
        if pending.is_full or not isinstance(event, APPENDING):
            await pending.known()
        for late in self._late():
            yield late
        async with aclosing(self._answer(event)) as responses:  # type: ignore[type-var]
            async for response in responses:
                if pending and isinstance(response, Tagged):
                    await pending.known()
                    for late in self._late():
                        yield late
                yield response

    async def _answer(self, event: Any) -> AsyncIterator[Response]:
        if isinstance(event, PeerGone):
            return
        if self._mailbox_is_gone and isinstance(event, c.Command) and not isinstance(event, c.Logout):
            yield self._bye(MAILBOX_GONE)
            return
        self.client.doing = event
        try:
            if isinstance(event, c.Command):
                for line in begun(self.client, event):
                    yield line
            todo = limited(self.client, event)
            responses = FAMILIES[type(event)](self.client, todo.event)
            async with aclosing(responses):  # type: ignore[type-var]
                async for response in responses:
                    if isinstance(response, Tagged):
                        async for news in self._news(event):
                            yield news
                    for told in todo.told(response) if todo.code else (response,):
                        yield told
        except (Refusal, StoreError) as error:
            async for said in self._failed(event, str(error), error.code, getattr(error, "condition", NO)):
                yield said
        except (OSError, Unavailable) as error:
            log.warn("{id}: {event} failed: {error}", id=self.client.connection, event=type(event).__name__, error=error)
            async for said in self._failed(event, *_weather(error)):
                yield said
        finally:
            self.client.doing = None

    async def _failed(self, event: Any, text: str, code: str, condition: str = NO) -> AsyncIterator[Response]:
        async for news in self._news(event):
            yield news
        yield Tagged(event.tag, condition, text, code.encode("ascii"))

    async def _news(self, event: Any) -> AsyncIterator[Response]:
        """What has happened to annotations and to the selected mailbox, before the final response to *event*."""
        if isinstance(event, c.Logout | c.Bad | c.No):
            return
        if (overhearing := self.client.overhearing) is not None and (overheard := overhearing.lines()):
            yield Raw(overheard)
        if self.client.view is None or isinstance(event, c.Select):
            return
        async for news in news_of_selected(self.client, expunges=not event.keeps_numbers):
            yield news

    async def pending_updates(self) -> AsyncIterator[Response]:
        for late in self._late():
            yield late
        client = self.client
        listening = client.listening
        if client.view is not None and (client.idling or listening is not None):
            if client.view.gone:
                yield self._bye(MAILBOX_GONE)
                return
            async for news in news_of_selected(client, expunges=client.idling or not listening.delayed):
                yield news
        if listening is not None:
            async for news in listening.said():
                yield news
        if client.idling and client.overhearing is not None and (overheard := client.overhearing.lines()):
            yield Raw(overheard)

    def _late(self) -> Iterable[Response]:
        """The answers to earlier commands that have become known."""
        for answer in self.client.pending.take():
            if self.client.view is not None and (news := self.client.view.updates(expunges=False)):
                yield Raw(news)
            yield Late(answer.response or self._explained(answer))

    def _explained(self, answer: Answer) -> Tagged:
        error = answer.error
        if isinstance(error, Refusal | StoreError):
            return Tagged(answer.tag, getattr(error, "condition", NO), str(error), error.code.encode("ascii"))
        if isinstance(error, OSError | Unavailable):
            log.warn("{id}: APPEND failed: {error}", id=self.client.connection, error=error)
            text, code = _weather(error)
        else:
            log.failure("connection {id}: a bug of ours", Failure(error), id=self.client.connection)
            text, code = "Something went wrong here, please try again later", "SERVERBUG"
        return Tagged(answer.tag, NO, text, code.encode("ascii"))

    @property
    def _mailbox_is_gone(self) -> bool:
        """Somebody has deleted what is selected here: RFC 2180 §3.3 leaves us nothing better than to say BYE."""
        return self.client.view is not None and self.client.view.gone

    def _bye(self, text: str, code: bytes = b"") -> Bye:
        self._leaving = True
        return Bye(text, code)

    def last_words(self, why: str) -> Iterable[Response]:
        yield from self._late()
        if why in LAST_WORDS and not self._leaving:
            yield LAST_WORDS[why]

    def tls_started(self, tls: TlsState) -> None:
        self.client.tls = tls
        self.client.conversation = None

    def closed(self, why: str) -> None:
        client = self.client
        if client.upload is not None:
            client.upload.close()
            client.upload = None
        client.leave_mailbox()
        client.listen(None)
        client.overhear(None)
        if client.account is not None:
            client.uncount()

    def departed(self) -> None:
        self.client.uncount()


def _weather(error: Exception) -> tuple[str, str]:
    """What a client is told of *error* (spec D7): text and response code."""
    if isinstance(error, OSError) and error.errno == errno.EDQUOT:
        return "The mailbox is full", "OVERQUOTA"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG):
        return "There is no room at the moment, please try again later", "UNAVAILABLE"
    return "This cannot be done at the moment, please try again later", "UNAVAILABLE"
