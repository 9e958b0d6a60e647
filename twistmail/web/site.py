"""HTTP: requests in, answers out. twisted.web's parser below; routes, guard and streams beside; handlers know none of it.

What strangers can do is bounded: octets of a request and seconds that it takes to come, connections, streams. A
handler's bug is a 500 and a trace in the log. Every answer carries the strict headers of STRICT unless it has its own.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

from twisted.logger import Logger
from twisted.web import http

from twistmail import tasks
from twistmail.web import reading
from twistmail.web.guard import BROWSER, BROWSER_OCTETS, Guard, hostname, is_browser
from twistmail.web.live import Stream, Streams
from twistmail.web.page import Answer, Asked, Live, Route, text
from twistmail.web.routes import NotFound, Routes

#: Octets of a request's body: a message to send with its attachments.
MOST_BODY = 4 * 1024 * 1024
TOO_MUCH = f"That is too much at once: {MOST_BODY >> 20} MB are the most that can be sent here, files and all. Go back, and send less.\n"
#: Seconds in which a request has to have come, and that a connection may be silent between two.
PATIENCE = 30.0
IDLE = 60.0
#: Connections: in all (30 browsers with six each, and programs), and from one address that is not this computer.
MOST_CONNECTIONS = 400
MOST_FROM_ONE = 24
#: No inline script or style, nothing from elsewhere, no frames of others, no form to elsewhere.
POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
STRICT = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: Browsers take an origin without TLS for trustworthy on this computer only; elsewhere they complain of the one that isolates windows.
ELSEWHERE = {name: value for name, value in STRICT.items() if name != "Cross-Origin-Opener-Policy"}
STREAM = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}

#: Looks at what is asked before any handler: an answer instead of the handler's, or None.
Gate = Callable[[Asked], Answer | None]
#: What is said where there is no answer: (asked, code, words).
Problem = Callable[[Asked, int, str], Answer]
log = Logger()


def _plain(asked: Asked, code: int, words: str) -> Answer:
    return text(words + "\n", code)


class Site(http.HTTPFactory):
    """Pages of *routes* for a listener. *guard* says who may ask; *gates* come after it; *problem* makes the pages of errors."""

    def __init__(
        self, reactor: Any, routes: Routes | Iterable[Route], *, guard: Guard, gates: Collection[Gate] = (), problem: Problem = _plain
    ) -> None:
        super().__init__(timeout=IDLE, reactor=reactor)
        self.routes = routes if isinstance(routes, Routes) else Routes(routes)
        self.guard = guard
        self.gates = list(gates)
        self.problem = problem
        self.streams = Streams()
        self._connections: Counter[str] = Counter()
        self.protocol = _Channel  # type: ignore[assignment]

    def buildProtocol(self, addr: Any) -> Any:
        host = getattr(addr, "host", "")
        if self._connections.total() >= MOST_CONNECTIONS or (self._connections[host] >= MOST_FROM_ONE and not is_near(host)):
            return None
        self._connections[host] += 1
        channel = super().buildProtocol(addr)
        channel.come_from = host  # type: ignore[union-attr]
        return channel

    def gone(self, host: str) -> None:
        """A connection from *host* has ended."""
        self._connections[host] -= 1
        if self._connections[host] <= 0:
            del self._connections[host]

    def startFactory(self) -> None:
        """Without the access log of twisted.web and its call every second."""

    def stopFactory(self) -> None:
        self.streams.close()

    def log(self, request: Any) -> None:
        """Nothing: what people click is nobody's business."""

    async def answer(self, asked: Asked) -> Answer | Live:
        """What *asked* gets. `asked.path` is still percent-encoded here."""
        found = self.routes.find(asked.method, asked.path)
        asked = replace(asked, path=unquote(asked.path), names={} if isinstance(found, NotFound) else found.names)
        if objection := self.guard.objection(asked):
            return self.problem(asked, 403, objection)
        for gate in self.gates:
            if (answer := gate(asked)) is not None:
                return answer
        if isinstance(found, NotFound):
            if found.methods:
                answer = self.problem(asked, 405, f"This goes with {' and '.join(found.methods)} only.")
                return replace(answer, headers={**answer.headers, "Allow": ", ".join(found.methods)})
            return self.problem(asked, 404, "There is no such page.")
        return await found.handler(asked)


def is_near(host: str) -> bool:
    """Is *host* this computer?"""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return True


def is_trustworthy(host: str) -> bool:
    """Whether a browser holds pages at *host* (a Host field) for safe without TLS: Secure Contexts §3.1."""
    name = hostname(host)
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


class _Request(http.Request):
    """One request, from its first octet to the last of its answer."""

    channel: Any
    body: bytearray | None = None
    stream: Stream | None = None
    leaving: Collection[Callable[[], Any]] = ()
    new_browser = ""

    def gotLength(self, length: int | None) -> None:
        self.body = bytearray()
        if length is not None and length > MOST_BODY:
            self.channel.refuse(413, TOO_MUCH)

    def handleContentChunk(self, data: bytes) -> None:
        assert self.body is not None
        if not self.channel.refused:
            self.body += data
        if len(self.body) > MOST_BODY:
            self.channel.refuse(413, TOO_MUCH)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self.channel.refused:
            return
        self.method, self.uri, self.clientproto = command, path, version
        self.path, _, query = path.partition(b"?")
        try:
            asked = self._asked(query.decode("ascii", "replace"))
        except reading.Unreadable as why:
            self._say(text(f"This cannot be read: {why}.\n", 400))
            return
        site: Site = self.channel.factory
        self.leaving = asked.leaving
        tasks.shielded(site.answer(asked)).addErrback(self._failed, site, asked).addCallback(self._take, site, asked)

    def _asked(self, query: str) -> Asked:
        headers = {
            name.decode("ascii", "replace").lower(): values[-1].decode("utf-8", "replace")
            for name, values in self.requestHeaders.getAllRawHeaders()
        }
        body, kind = bytes(self.body or b""), headers.get("content-type", "")
        cookies = dict(reading.cookies(headers.get("cookie", "")))
        if not is_browser(cookies.get(BROWSER, "")):
            cookies[BROWSER] = self.new_browser = secrets.token_urlsafe(BROWSER_OCTETS)
        form, files = reading.form(kind, body)
        return Asked(
            method=self.method.decode("ascii", "replace"),
            path=self.path.decode("ascii", "replace"),
            query=reading.fields(query),
            form=form,
            files=files,
            headers=headers,
            cookies=cookies,
            client=getattr(self.client, "host", ""),
            body=body,
            by_script=headers.get("x-requested-with") == "page",
        )

    def _failed(self, failure: Any, site: Site, asked: Asked) -> Answer:
        log.failure("{method} {path} failed", failure=failure, method=asked.method, path=asked.path)
        return site.problem(asked, 500, "This went wrong, and it is our fault. The server's log says what.")

    def _take(self, answer: Answer | Live, site: Site, asked: Asked) -> None:
        if self._disconnected:
            return
        if isinstance(answer, Answer):
            self._say(for_script(answer) if asked.by_script else answer)
        elif not site.streams.admits(owner := asked.client if not is_near(asked.client) else asked.cookies[BROWSER]):
            self._say(replace(text("Too many pages are open here. Close one.\n", 503), headers={"Retry-After": "10"}))
        else:
            self._head(200, STREAM)
            self.stream = Stream(self, answer, site.reactor)
            site.streams.open(self.stream, owner)

    def _say(self, answer: Answer) -> None:
        self._head(answer.code, {"Content-Type": answer.kind, "Content-Length": str(len(answer.body)), **answer.headers})
        self.write(b"" if self.method == b"HEAD" or answer.code == 204 else answer.body)
        self.finish()

    def _head(self, code: int, headers: Mapping[str, str]) -> None:
        self.setResponseCode(code)
        strict = STRICT if is_trustworthy(self.getHeader("host") or "") else ELSEWHERE
        for name, value in {**strict, **headers}.items():
            if code != 204 or name != "Content-Length":
                self.setHeader(name, value)
        if self.new_browser:
            self.addCookie(BROWSER, self.new_browser, path="/", httpOnly=True, sameSite="strict")

    def connectionLost(self, reason: Any) -> None:
        if self.stream:
            self.stream.lost()
        super().connectionLost(reason)
        for call in tuple(self.leaving):
            call()


def for_script(answer: Answer) -> Answer:
    """A script that sent a form does not want the page that a browser would go to: it is told where that is."""
    if answer.code != 303:
        return answer
    others = {name: value for name, value in answer.headers.items() if name != "Location"}
    return replace(answer, code=204, headers={**others, "X-Location": answer.headers["Location"]})


class _Channel(http.HTTPChannel):
    """A connection: http's, with a deadline for each request, and refusals that the browser can still read."""

    requestFactory = _Request  # type: ignore[assignment]
    refused = False
    come_from = ""
    transport: Any
    _deadline: Any = None

    def lineReceived(self, line: bytes) -> None:
        if self._deadline is None and not self.refused:
            self._deadline = self.callLater(PATIENCE, self.forceAbortClient)
        super().lineReceived(line)

    def allContentReceived(self) -> None:
        if not self.refused:
            self._in_time()
        super().allContentReceived()

    def dataReceived(self, data: bytes) -> None:
        if not self.refused:
            super().dataReceived(data)

    def refuse(self, code: int, words: str) -> None:
        """Answer before all has come, and take no more; what still comes is thrown away until the deadline."""
        if not self.refused:
            self.refused = True
            self.persistent = False
            body = words.encode()
            self.transport.write(
                b"HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (code, http.RESPONSES[code], len(body), body)
            )
            self.transport.loseWriteConnection()

    def connectionLost(self, reason: Any = None) -> None:
        self._in_time()
        super().connectionLost(reason)
        self.factory.gone(self.come_from)

    def _in_time(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None
