"""A running classroom as a test sees it: ports to talk to, messages to look at, facts to wait for, faults, the clock.

Everything goes over the classroom's HTTP API (docs/testing.md), so it does not matter
what the test runs on: it blocks, and needs neither Twisted nor the same process.
What goes wrong in the classroom is an AssertionError that says what had happened until then.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from twistmail.mail.values import frozen

#: Seconds that a request may take beside what it waits for, and that one of them waits at most.
PATIENCE, ONE_WAIT = 30.0, 30.0
#: Events that are told of when something did not happen.
TOLD = 15


class Refused(AssertionError):
    """The classroom has not done what was asked; says why. `code` is that of HTTP."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"{code} {words}")
        self.code = code


@frozen
class Office:
    """One mail server. `host`, such as "mx.blue.test", is only known to the classroom's own DNS: connect to 127.0.0.1.

    `ports`: by "mx", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "dns".
    """

    name: str
    domain: str
    host: str
    accounts: tuple[str, ...]
    ports: Mapping[str, int]
    on: bool


class Classroom:
    """The classroom at *url* ("http://127.0.0.1:8025").

    `since`: the number of the last event before this test; `wait` looks behind it.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = url.rstrip("/")
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self.since = 0
        self.since = self.last

    # ----- who is there

    @property
    def password(self) -> str:
        """Everybody's."""
        return str(self._get("/api/v1/town")["password"])

    @property
    def offices(self) -> dict[str, Office]:
        """By name, as they are now."""
        told = self._get("/api/v1/town")["offices"]
        return {
            one["name"]: Office(one["name"], one["domain"], one["host"], tuple(one["accounts"]), one["ports"], one["on"]) for one in told
        }

    def port(self, office: str, service: str) -> int:
        """Where to connect on 127.0.0.1: `port("blue", "submission")`."""
        return self.offices[office].ports[service]

    # ----- messages

    def messages(self, query: str = "") -> list[dict[str, Any]]:
        """Everybody's, the newest first, as Mailpit's list has them; *query*: which (docs/testing.md)."""
        path = f"/api/v1/search?{urlencode({'query': query, 'limit': 1000})}" if query else "/api/v1/messages?limit=1000"
        return list(self._get(path)["messages"])

    def message(self, identifier: str = "latest", query: str = "") -> dict[str, Any]:
        """One message, whole; by that it is read. *query*: "latest" of which. Refused where there is none."""
        return dict(self._get(f"/api/v1/message/{quote(identifier)}{_query(query=query)}"))

    def raw(self, identifier: str = "latest", query: str = "") -> bytes:
        """The source of a message."""
        return self._ask("GET", f"/api/v1/message/{quote(identifier)}/raw{_query(query=query)}")

    def send(self, sender: str, to: Sequence[str] | str, subject: str = "", text: str = "", **more: Any) -> dict[str, Any]:
        """Send a message; its `ID` is what the first office calls it. *more*: as POST /api/v1/send has it (HTML, Headers ...). Refused."""
        to = [to] if isinstance(to, str) else to
        body = {"From": {"Email": sender}, "To": [{"Email": one} for one in to], "Subject": subject, "Text": text, **more}
        return dict(self._put("POST", "/api/v1/send", body))

    def delete(self, query: str = "") -> None:
        """Delete what fits; everything without a *query*."""
        self._ask("DELETE", f"/api/v1/search{_query(query=query)}" if query else "/api/v1/messages")

    # ----- facts

    @property
    def last(self) -> int:
        """The number of the latest event."""
        return int(self._get("/api/v1/events?kind=-")["last"])

    def events(self, kind: str = "", *, after: int | None = None, **what: Any) -> list[dict[str, Any]]:
        """What has happened in this test (or behind event *after*). *kind*: one or several, "mail store"; *what*: `office="blue"` ..."""
        found: list[dict[str, Any]] = []
        at = self.since if after is None else after
        while True:
            told = self._events(kind, at, 0, what)
            found += told["events"]
            if len(told["events"]) < 500:
                return found
            at = told["events"][-1]["n"]

    def wait(self, kind: str, *, seconds: float = 10.0, after: int | None = None, **what: Any) -> dict[str, Any]:
        """The first event of that *kind* (or of several) as *what* says, in this test, those that have been among them.

        `classroom.wait("mail", office="green", state="delivered")`. AssertionError where none comes within *seconds*.
        """
        at = self.since if after is None else after
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            told = self._events(kind, at, min(left, ONE_WAIT), what)
            if told["events"]:
                return dict(told["events"][0])
        raise AssertionError(f"no {kind} {what} within {seconds:g} seconds; what has happened:\n{self._story()}")

    def wait_for_message(self, query: str, *, seconds: float = 10.0) -> dict[str, Any]:
        """The newest message that *query* finds, whole, as soon as there is one: `wait_for_message("to:bob subject:welcome")`."""
        end = time.monotonic() + seconds
        while True:
            before = self.last
            if found := self.messages(query):
                return self.message(found[0]["ID"])
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"no message fits {query!r} within {seconds:g} seconds; what has happened:\n{self._story()}")
            self._events("store", before, min(left, ONE_WAIT), {})

    def _events(self, kind: str, after: int, seconds: float, what: Mapping[str, Any]) -> dict[str, Any]:
        said = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in what.items()}
        asked = {**said, **({"kind": kind} if kind else {}), "after": after, "wait": f"{seconds:.2f}"}
        return dict(json.loads(self._ask("GET", f"/api/v1/events?{urlencode(asked)}", patience=seconds + PATIENCE)))

    def _story(self) -> str:
        told = [event for event in self.events() if event["kind"] not in ("line", "connection")][-TOLD:]
        return "\n".join(f"  {event['office']:6} {event['kind']:6} {_said(event)}" for event in told) or "  nothing"

    # ----- time and trouble

    @property
    def now(self) -> float:
        """The classroom's time, POSIX seconds."""
        return float(self._get("/api/v1/clock")["now"])

    def jump(self, seconds: float) -> None:
        """Let time pass: the queue, its warnings, greylists and retention go by it."""
        self._put("POST", "/api/v1/clock", {"jump": seconds})

    def faults(self) -> list[dict[str, Any]]:
        """Everything that can be broken: `name`, `title`, what it does, and `places`, each with whether it is broken there now."""
        return list(self._get("/api/v1/faults")["faults"])

    def break_(self, fault: str, place: str) -> None:
        """Break something: `break_("office-off", "green")`, `break_("cut-after-the-dot", "blue>green")`. Refused."""
        self._ask("PUT", _switch(fault, place))

    def mend(self, fault: str, place: str) -> None:
        """Mend it; nothing where it is whole."""
        self._ask("DELETE", _switch(fault, place))

    def mend_all(self) -> None:
        self._ask("DELETE", "/api/v1/faults")

    @contextmanager
    def broken(self, fault: str, place: str) -> Iterator[None]:
        """It is broken within the block."""
        self.break_(fault, place)
        try:
            yield
        finally:
            self.mend(fault, place)

    def reset(self) -> None:
        """All mail gone, all that is broken mended, as at the beginning; what has happened is forgotten."""
        self._put("POST", "/api/v1/reset", {})
        self.since = self.last

    # ----- HTTP

    def _get(self, path: str) -> Any:
        return json.loads(self._ask("GET", path))

    def _put(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        answer = self._ask(method, path, json.dumps(body).encode())
        return json.loads(answer) if answer[:1] in (b"{", b"[") else answer

    def _ask(self, method: str, path: str, body: bytes | None = None, *, patience: float = PATIENCE) -> bytes:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=patience)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
            answer = connection.getresponse()
            octets = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise Refused(answer.status, octets.decode("utf-8", "replace").strip())
        return octets


def _switch(fault: str, place: str) -> str:
    return f"/api/v1/faults/{quote(fault, safe='')}/{quote(place, safe='')}"


def _query(**words: str) -> str:
    said = urlencode({name: value for name, value in words.items() if value})
    return f"?{said}" if said else ""


def _said(event: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in event.items() if key not in ("n", "at", "office", "kind", "connection") and value not in ("", [])}
    return " ".join(f"{key}={value}" for key, value in rest.items())[:200]
