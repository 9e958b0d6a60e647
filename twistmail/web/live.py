"""Server-sent events: what happens is told to a browser while it happens (WHATWG HTML, "Server-sent events").

A stream is a place in a source of numbered events (`page.Live`), not a heap of its own: a browser that does not read
holds nothing but its place, and one that comes back (Last-Event-ID) goes on from there. What the source has forgotten
meanwhile, or a number from before a restart, is said as an event "gap": look at everything anew.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from twistmail.web.page import Live

#: Milliseconds after which a browser calls again.
RETRY = 1000
#: Seconds between signs of life.
PING = 15.0
#: Seconds that events are collected for, so that a dialogue of forty lines is one write.
COLLECT = 0.05
#: Seconds that a browser may leave its stream unread.
PATIENCE = 60.0
#: Events that are written at once; then others have their turn.
AT_ONCE = 200


class Streams:
    """How many streams there are: at most *most*, and *most_each* of one owner."""

    def __init__(self, most: int = 60, most_each: int = 8) -> None:
        self.most = most
        self.most_each = most_each
        self._open: dict[Stream, Hashable] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admits(self, owner: Hashable) -> bool:
        return len(self) < self.most and list(self._open.values()).count(owner) < self.most_each

    def open(self, stream: Stream, owner: Hashable) -> None:
        self._open[stream] = owner
        stream.start(lambda: self._open.pop(stream, None))

    def close(self) -> None:
        """End all of them: the server stops."""
        for stream in list(self._open):
            stream.end()


class Stream:
    """One browser's stream. *out* is the request: write, finish, registerProducer, unregisterProducer, loseConnection.

    *clock*: IReactorTime, the real one.
    """

    def __init__(self, out: Any, live: Live, clock: Any) -> None:
        self._out = out
        self._live = live
        self._clock = clock
        self._paused = False
        self._calls: dict[str, Any] = {}
        self._ended: Callable[[], Any] = lambda: None
        self._stop: Callable[[], None] = lambda: None
        self._place = live.source.last if live.after is None else live.after

    def start(self, ended: Callable[[], Any]) -> None:
        self._ended = ended
        self._out.registerProducer(self, True)
        self._out.write(b"retry: %d\n\n" % RETRY)
        self._stop = self._live.source.listen(lambda _: self._soon())
        self._again("ping", PING, self._ping)
        self._send()

    def end(self) -> None:
        """We have no more to say."""
        if self.lost():
            self._out.unregisterProducer()
            self._out.finish()

    def lost(self) -> bool:
        """The browser has gone. True: it was not known before."""
        ended, self._ended = self._ended, _nothing
        self._stop()
        for call in self._calls.values():
            if call.active():
                call.cancel()
        self._calls.clear()
        if ended is _nothing:
            return False
        ended()
        return True

    def pauseProducing(self) -> None:
        self._paused = True
        self._again("patience", PATIENCE, self._out.loseConnection)

    def resumeProducing(self) -> None:
        self._paused = False
        self._cancel("patience")
        self._send()

    def stopProducing(self) -> None:
        self.lost()

    def _soon(self) -> None:
        if not self._paused and "send" not in self._calls:
            self._again("send", COLLECT, self._send)

    def _send(self) -> None:
        """What has come since the place where the browser is, as much as goes at once."""
        self._cancel("send")
        if self._paused or self._ended is _nothing:
            return
        source = self._live.source
        parts = []
        if self._place > source.last or 0 < self._place < source.first - 1:
            self._place = source.last
            parts.append(written(self._place, "gap", "{}"))
        events = source.since(self._place)
        for event in events[:AT_ONCE]:
            self._place = event.number
            if (words := self._live.render(event)) is not None:
                parts.append(written(event.number, *words))
        if parts:
            self._out.write(b"".join(parts))
        if len(events) > AT_ONCE:
            self._soon()

    def _ping(self) -> None:
        if not self._paused:
            self._out.write(b": here\nid: %d\n\n" % self._place)
        self._again("ping", PING, self._ping)

    def _again(self, name: str, seconds: float, function: Callable[[], Any]) -> None:
        self._cancel(name)
        self._calls[name] = self._clock.callLater(seconds, function)

    def _cancel(self, name: str) -> None:
        call = self._calls.pop(name, None)
        if call is not None and call.active():
            call.cancel()


def _nothing() -> None:
    """Told already."""


def written(number: int, name: str, data: str) -> bytes:
    """One event, as it goes over the wire. Line ends within *data* become further `data:` lines."""
    lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return f"id: {number}\nevent: {name}\n{''.join(f'data: {line}{chr(10)}' for line in lines)}\n".encode()
