"""The server's end of the control socket: a line of JSON asks, a line of JSON answers.

    {"verb": "queue.list", "args": {}}      {"ok": true, "result": ...}
                                            {"ok": false, "error": "...", "exit": 69, "step": "what to do next"}

A verb may say much, or speak for long: then lines {"part": ...} come before that one, as fast as they are read.

Whoever can open the socket rules the server, so it is 0600 in a folder that is
0700. What the verbs do is given (`operator`); requests of one connection are
answered in order, one at a time. What `twistmail` asks, and expects:

    queue.list      FILTER, most          parts: [rows.row()]; {"rows": [], "count", "size"} of all that fit. FILTER is rows.Filter
    queue.flush     FILTER, all           {"count": how many}; so do hold, bounce (words: why), release, delete, route (via).
                                          An empty FILTER means nothing unless `all`
    queue.stats     FILTER, by, most      shape.Shape.as_json()
    queue.dump      id                    parts: the message in base64; {"id", "size"}
    queue.watch     FILTER                parts: watch.Watch.news(), until nobody listens
    queue.history   history.Search, most  parts: [rows of history.ended()]; {"rows": [], "count"}
    trace.story     id                    [entries of the journal]
    trace.message   message_id, since    {"server": name, "entries": [entries of the journal]}, see hops
    trace.find      what, since, most, wanted    [entries of the journal], see rows.told
    status          -                     {"hostname", "version", "pid", "up_s", "config": path or "",
                                          "services": [{"name", "listen": [...], "connections", "most"}],
                                          "queue": {"count", "size", "oldest_s" or null, "held", "states"}, "warnings": [...]}
    reload          -                     {"applied": bool, "problems": [str(Problem)],
                                          "changes": [{"section", "key", "before", "now", "reload": Reload.value}]}
    stop            -                     {}; the server stops after it has answered
    uplink.show     -                     {"offline", "since": ISO or "", "since_s" or null, "changed", "waiting"}; so down, up
    uplink.places   -                     [{"place", "rule", "waiting", "running", "at_a_time", "rests_s", "why"}]
    session.list    who                   [{"id", "service", "user", "client", "tls", "since_s", "idle_s" or null, "proxy"}]; `who`: ids,
                                          users or addresses, of which one has to fit; none: everybody
    session.kick    who                   {"count", "ids"}
    ban.list        -                     [{"network", "since", "until" or null, "left_s" or null, "by", "reason", "times", "turned_away"}]
    ban.add         networks, for_s, reason      the same, of the new ones
    ban.remove      networks              {"lifted": [networks that were banned]}
    alias.list      -                     [{"address", "targets": [...], "source"}]
    alias.resolve   address               {"address", "what", "children": [the same ...], "arrives": bool (at the root)}
    alias.check     -                     [{"address", "problem", "source"}]
    policy.check    service, client, sender, recipient, hello, login
                                          {"rows": [{"point", "stage", "verdict", "rule", "decides"}], "result", "stage", "rule",
                                          "reply", "targets": [...]}
    explain.letter  letter, data          {"octets"}: a piece (base64) of a message that is asked about next, under a name of the asker's
    explain.show    sender, recipient, client, hello, service, login, letter
                                          explaining.explained()
    cert.list       -                     [certificate_views.listed()]; cert.look too, which reads the files again before
    cert.check      -                     [certificate_views.checked()]
    cert.renew      force                 {"renewed": bool, "certificate": a row of cert.list, or null}; takes up to some minutes
    table.list      -                     [{"table", "kind", "source"}]
    table.query     table, key            {"table", "key", "found", "source", and "targets": [...], or "account", "name", "addresses",
                                          "quota", "enabled", "password": how it is kept}
    user.list       domain               [{"name", "display_name", "enabled", "quota", "source"}]
    user.show       name                 the same, with "addresses", "app_passwords" (labels), "settings" {key: text}
    user.add        name, secret, keys, display_name, quota, ... (registrar.FIELDS)    as user.list, and "is_ours": mail for it is taken
    user.change     name, fields {key: text}    as user.show; user.secret: name, secret, keys; user.rename: name, to
    user.remove     name, dry_run        as user.list, what was removed
    user.dump       name                 all that is kept, the password's hash among it
    user.usage      name                 {"name", "octets", "messages", "quota"}
    forward.show    name, extension      {"name", "extension", "file", "text" or null, "goals", "problems", "settled": [...]}
    forward.set     name, extension, text    the same, afterwards; so forward.clear: name, extension
    domain.list     -                    [{"name", "same_as", "catchall", "description", "default", "source", "users"}]
    domain.show     name                 one of them; so domain.add: name, same_as, catchall, description; domain.remove: name, dry_run
    list.all        -                    [{"name", "members", "suspended", "post", "owners", "source"}]; list.show: name, one, with more
    list.members    name                 [{"address", "source", "since", "state", "suspended", "bounces", "why"}]
    list.add        name, addresses      {"added", "were_members"}; list.remove {"removed", "kept_out": [{"address", "source"}]};
                                         list.suspend {"suspended"}, list.resume {"resumed"}
    popauth.list    -                     [{"address", "account", "service", "left_s"}]
"""

from __future__ import annotations

import json
import os
import stat
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from twistmail import tasks, tenancy
from twistmail.mail.values import frozen

log = Logger()

LONGEST_REQUEST = 64 * 1024
MOST_WAITING = 64
MOST_CONNECTIONS = 32


@frozen
class Part:
    """Something that a verb says before it has come to its result. An empty one says nothing, but notices who has gone."""

    value: Any = None


#: Gets the arguments of the request; what it returns must be JSON.
Verb = Callable[[Mapping[str, Any]], Coroutine[Any, Any, Any]]
#: Or it yields any number of Parts, and its result last.
Speaker = Callable[[Mapping[str, Any]], AsyncGenerator[Any, None]]


class Refusal(Exception):
    """A verb cannot be done: told to whoever asked, with an exit code (sysexits) and what to do next."""

    def __init__(self, text: str, exit_code: int, step: str = "") -> None:
        super().__init__(text)
        self.exit_code = exit_code
        self.step = step


class ControlProtocol(LineOnlyReceiver):
    """One conversation with one `twistmail` command."""

    transport: Any
    delimiter = b"\n"
    MAX_LENGTH = LONGEST_REQUEST

    def __init__(self, verbs: Mapping[str, Verb | Speaker], gone: Callable[[ControlProtocol], None]) -> None:
        self._verbs = verbs
        self._gone = gone
        self._waiting: deque[bytes] = deque()
        self._busy = False
        self._lost = False
        self._room: tasks.Deferred[None] | None = None  # fires when the transport takes more

    def lineReceived(self, line: bytes) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self.transport.loseConnection()
            return
        self._waiting.append(line)
        self._next()

    def lineLengthExceeded(self, line: bytes) -> None:
        self._answer({"ok": False, "error": f"a request is longer than {LONGEST_REQUEST} octets", "exit": 64})
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:  # type: ignore[override]
        self._lost = True
        self._waiting.clear()
        self.resumeProducing()
        self._gone(self)

    def _next(self) -> None:
        if self._busy or not self._waiting:
            return
        self._busy = True
        tasks.shielded(_perform(self._verbs, self._waiting.popleft(), self._tell)).addCallbacks(self._done, self._failed)

    # ----- parts: written as fast as they are read (IPushProducer)

    async def _tell(self, part: Part) -> bool:
        """Say *part*, and wait until there is room for more; whether anybody still listens."""
        if part.value is not None:
            self._answer({"part": part.value})
        if self._room is not None:
            await self._room
        return not self._lost

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        self._room = self._room or tasks.Deferred()

    def resumeProducing(self) -> None:
        if (room := self._room) is not None:
            self._room = None
            room.callback(None)

    def stopProducing(self) -> None:
        self.resumeProducing()

    def _done(self, result: Any) -> None:
        self._end({"ok": True, "result": result})

    def _failed(self, failure: Failure) -> None:
        if failure.check(Refusal):
            refusal = failure.value
            self._end({"ok": False, "error": str(refusal), "exit": refusal.exit_code, "step": refusal.step})
            return
        log.failure("control: a request failed", failure=failure)
        self._end({"ok": False, "error": "something went wrong in the server", "exit": 70, "step": "the log of the server says what"})

    def _end(self, answer: dict[str, Any]) -> None:
        self._answer(answer)
        self._busy = False
        self._next()

    def _answer(self, answer: dict[str, Any]) -> None:
        if not self._lost:
            self.sendLine(json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))


async def _perform(verbs: Mapping[str, Verb | Speaker], line: bytes, tell: Callable[[Part], Awaitable[bool]]) -> Any:
    """Do what *line* asks, and *tell* its parts. Refusal where it is no request of ours."""
    try:
        request = json.loads(line)
        name, arguments = request["verb"], request.get("args", {})
        if not isinstance(arguments, dict):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Refusal("this is not a request", 64) from None
    verb = verbs.get(name) if isinstance(name, str) else None
    if verb is None:
        raise Refusal(f"the server does not know {name!r}", 69, "server and command may be of different versions")
    return await spoken(verb(arguments), tell)


async def spoken(answer: Coroutine[Any, Any, Any] | AsyncGenerator[Any, None], tell: Callable[[Part], Awaitable[bool]]) -> Any:
    """What the *answer* of a verb comes to, after its parts were told; None where nobody listens any more."""
    if not isinstance(answer, AsyncGenerator):
        return await answer
    async with aclosing(answer) as said:
        async for one in said:
            if not isinstance(one, Part):
                return one
            if not await tell(one):
                break
    return None


class ControlFactory(Factory):
    """Makes a ControlProtocol per connection. `verbs` may be assigned anew."""

    noisy = False

    def __init__(self, verbs: Mapping[str, Verb | Speaker]) -> None:
        self.verbs = verbs
        self.open: set[ControlProtocol] = set()

    def buildProtocol(self, addr: Any) -> ControlProtocol | None:
        return self.opened(lambda gone: ControlProtocol(self.verbs, gone))

    def opened(self, make: Callable[[Callable[[ControlProtocol], None]], ControlProtocol]) -> ControlProtocol | None:
        """What *make* makes for one more connection, told whom to tell that it has ended; None where there are enough."""
        if len(self.open) >= MOST_CONNECTIONS:
            return None
        protocol = make(self.open.discard)
        self.open.add(protocol)
        return protocol


def listen(reactor: Any, path: Path, factory: Factory, mode: int = 0o600) -> Any:
    """Open the UNIX socket at *path* (an IListeningPort). OSError, or twisted's CannotListenError where a server runs already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    around = stat.S_IMODE(os.stat(path.parent).st_mode)
    if around & 0o002 and not around & stat.S_ISVTX:
        raise PermissionError(f"{path.parent} may be written by everybody, so it is no place for the control socket")
    tenancy.clear(path)
    before = os.umask(0o177)
    try:
        return reactor.listenUNIX(str(path), factory, mode=mode)
    finally:
        os.umask(before)
