"""As much of HTTP/1.1 (RFC 9112) as a server needs that has a few small pages: one GET, HEAD or small POST, one answer, the end.

No second request on a connection, no body but of a length that is told, nothing that one proxy could read
otherwise than another: whatever is unusual is refused, and the connection closed.
"""

from __future__ import annotations

from typing import Any

from twistmail.mail.values import frozen
from twistmail.wire.buffer import Buffer, LineTooLong
from twistmail.wire.contract import NEED_DATA, PAUSED, Ask, LocalProtocolError, Signal, Wants

LONGEST_LINE, MOST_LINES, LONGEST_BODY = 4096, 64, 4096
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
           413: "Content Too Large",
           431: "Request Header Fields Too Large", 503: "Service Unavailable", 505: "HTTP Version Not Supported"}  # fmt: skip


@frozen
class Get(Ask):
    """Somebody wants what is at *path*: as it stands in the request, from the first slash on, without a query."""

    path: str


@frozen
class Post(Ask):
    """Somebody sends *body* to *path*, as `Get` has it."""

    path: str
    body: bytes


@frozen
class Bad(Ask):
    """Nothing that we answer otherwise than with *code*."""

    code: int


@frozen
class Silence:
    """What is said before anybody has asked."""

    is_final = True


@frozen
class Page:
    """An answer, after which the connection ends."""

    code: int
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"
    is_final = True


class HttpServerWire:
    """One connection. See `wire.contract.Wire`."""

    in_content = False
    lone_lf = False

    def __init__(self) -> None:
        self.wants: Wants | None = None
        self._buffer = Buffer()
        self._paused = True  # until the silence is said
        self._lines: list[bytes] = []
        self._head_only = False
        self._awaited: tuple[str, int] | None = None  # where to, and how long the body is
        self._said = b""

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    def receive_bytes(self, data: bytes) -> None:
        self._buffer.feed(data)

    def receive_eof(self) -> None:
        """Half a request is nothing."""

    def next_event(self) -> Ask | Signal:
        if self._paused:
            return PAUSED
        if self._awaited is not None:
            return self._posted(*self._awaited)
        try:
            while (line := self._buffer.line(LONGEST_LINE)) is not None:
                if not line and self._lines:
                    asked = self._request()
                    return self._posted(*self._awaited) if self._awaited is not None else self._asked(asked)
                self._lines.append(line)
                if len(self._lines) > MOST_LINES:
                    return self._asked(Bad(431))
        except LineTooLong:
            return self._asked(Bad(431))
        return NEED_DATA

    def _posted(self, path: str, size: int) -> Ask | Signal:
        return NEED_DATA if len(self._buffer) < size else self._asked(Post(path, self._buffer.take(size)))

    def said(self) -> bytes:
        return self._said

    def _asked(self, event: Ask) -> Ask:
        self._said = self._lines[0] if self._lines else b"(a line that is too long)"
        self._paused = True
        self._buffer.clear()
        return event

    def _request(self) -> Ask:
        """RFC 9112 §3: method, target, version, one space between; then fields."""
        words = self._lines[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/"):
            return Bad(400)
        method, target, version = words
        if version not in (b"HTTP/1.1", b"HTTP/1.0"):
            return Bad(505)
        if method not in (b"GET", b"HEAD", b"POST"):
            return Bad(405)
        names = [line.partition(b":")[0].lower() for line in self._lines[1:]]
        if not target.startswith(b"/") or names.count(b"content-length") != (method == b"POST") or b"transfer-encoding" in names:
            return Bad(400)
        path = target.partition(b"?")[0].decode("ascii", "replace")
        if method == b"POST":
            return self._announced(path, self._lines[1 + names.index(b"content-length")].partition(b":")[2].strip(b" \t"))
        self._head_only = method == b"HEAD"
        return Get(path)

    def _announced(self, path: str, size: bytes) -> Ask:
        """A body comes (RFC 9112 §6.2)."""
        if not size.isdigit():
            return Bad(400)
        if len(size) > len(str(LONGEST_BODY)) or int(size) > LONGEST_BODY:
            return Bad(413)
        self._awaited = path, int(size)
        return Post(path, b"")

    def send(self, response: Any) -> bytes:
        if not self._paused:
            raise LocalProtocolError(f"cannot send {response!r}: nothing was asked")
        if isinstance(response, Silence):
            self._paused = False
            return b""
        if not isinstance(response, Page):
            raise LocalProtocolError(f"{response!r} is no response of HTTP")
        self.wants = Wants.CLOSE
        head = (
            f"HTTP/1.1 {response.code} {REASONS[response.code]}\r\n"
            f"Content-Type: {response.kind}\r\nX-Content-Type-Options: nosniff\r\n"
            f"Content-Length: {len(response.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        return head.encode("ascii") + (b"" if self._head_only else response.body)

    def tls_started(self) -> None:
        """TLS came first; nothing was said before."""
