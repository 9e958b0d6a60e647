"""Makes a `journey.Journey` of the events that belong to it: events go in, in any order, values come out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twistmail.hops import ranges_in
from twistmail.lab.journey import Alias, Attempt, Call, Copy, Dialogue, Journey, Leg, Line, LookUp, Node, Question, Reading
from twistmail.lab.ring import Event
from twistmail.mail.words import decode_words
from twistmail.web.safe_html import without_tricks


def build(
    root: Node, events: Iterable[Event], parents: Mapping[Node, Node], about: str = "", came: Mapping[Node, str] | None = None
) -> Journey:
    """The journey that began as item *root*. *events*: all that belongs to it, in any order; *parents*: where items came from.

    *came*: the connections on which items came, or will have come when *events* go on.
    """
    ordered = sorted(set_of(events), key=lambda event: event.number)
    making = _Making(root, parents, came or {})
    for event in ordered:
        making.take(event)
    legs = making.legs()
    moments = tuple(event.number for event in ordered if not _goes_on(event))
    return Journey(root[1], legs, making.dialogues(), tuple(making.questions), about, ordered[-1].number if ordered else 0, moments)


def _goes_on(event: Event) -> bool:
    """Whether there is nothing to stop at: what a client says, up to the answer, and what is not the end of an answer."""
    if event.kind == "line":
        text = str(event.what.get("text", ""))
        return event.what.get("side") == "C" or (text[:3].isdigit() and text[3:4] == "-")
    return event.kind == "net"


def set_of(events: Iterable[Event]) -> list[Event]:
    """Each event once."""
    return list({event.number: event for event in events}.values())


def of_one_letter(events: Sequence[Event], accepted: int) -> list[Event]:
    """Of the events of a connection, those of the letter that was accepted with event number *accepted*, where there were several:
    all up to the first MAIL, and from its own MAIL to the next one."""
    begins = [event.number for event in events
              if event.kind == "line" and _is_mail(str(event.what.get("side", "")), str(event.what.get("text", "")))]
    first = begins[0] if begins else accepted
    own = max((number for number in begins if number <= accepted), default=first)
    following = min((number for number in begins if number > accepted), default=0)
    return [event for event in events if event.kind == "connection" or event.number < first
            or (event.number >= own and (not following or event.number < following))]


def subject_of(written: str) -> str:
    """A subject as people read it: encoded words are decoded, what tricks a reader is named."""
    return without_tricks(decode_words(written.encode("utf-8", "replace")))


def mood_of(text: str) -> str:
    """What an answer of SMTP, POP3 or IMAP means for who hears it."""
    if text[:3].isdigit() and text[3:4] in (" ", "-", ""):
        return {"4": "later", "5": "refused"}.get(text[0], "") if len(text) > 2 else ""
    words = text.split(" ", 2)
    return "refused" if words[0] == "-ERR" or (len(words) > 1 and words[1] in ("NO", "BAD")) else ""


@dataclass(slots=True)
class _Connection:
    """One connection, while the events go by."""

    office: str
    peer: str = ""
    service: str = ""
    partner: str = ""  # the office at the other end, by name
    port: int = 0
    program: str = ""
    mechanism: str = ""
    login: str = ""
    tls: str = ""
    end: str = ""
    lines: list[Line] = field(default_factory=list)


class _Making:
    """Events go in, in their order; legs, dialogues and questions come out."""

    def __init__(self, root: Node, parents: Mapping[Node, Node], came: Mapping[Node, str]) -> None:
        self._root = root
        self._parents = parents
        self._came = came
        self._legs: dict[Node, dict[str, Any]] = {}
        self._connections: dict[str, _Connection] = {}
        self._outgoing: dict[str, str] = {}  # the names of connections between offices -> who has made them
        self._readings: dict[str, None] = {}
        self.questions: list[Question] = []

    def take(self, event: Event) -> None:
        if (take := _TAKE.get(event.kind)) is not None:
            take(self, event)

    # ----- connections

    def _connection(self, event: Event) -> _Connection:
        key = event.connection or event.about
        return self._connections.setdefault(key, _Connection(event.office))

    def connection(self, event: Event) -> None:
        one, what = self._connection(event), event.what
        if what.get("state") == "opened":
            one.peer, one.service = str(what.get("peer", "")), str(what.get("service", ""))
            one.partner, one.port = str(what.get("from", "")), int(what.get("port") or 0)
        elif what.get("state") == "closed":
            one.end = str(what.get("why", ""))
        elif what.get("state") == "introduced":
            one.program = str(dict(what.get("parameters") or {}).get("name", ""))[:60]

    def line(self, event: Event) -> None:
        one, text = self._connection(event), str(event.what.get("text", ""))
        if ">" in event.connection:
            self._outgoing[event.connection] = event.office
            leg = self._leg(event)
            if _is_mail(str(event.what.get("side", "")), text) and leg["call"] is None:  # on a connection that was made for another one
                leg["call"] = Call(event.at, _server_at("", leg), answered=True)
        mood = mood_of(text) if event.what.get("side") == "S" else ""
        one.lines.append(Line(event.number, event.at, str(event.what.get("side", "")), text, mood, bool(event.what.get("lone_lf"))))

    def net(self, event: Event) -> None:
        """Of the making of a connection, on behalf of an item."""
        what, leg = event.what.get("what"), self._leg(event)
        if what == "connecting":
            leg["call"] = Call(event.at, _server_at(str(event.what.get("address", "")), leg))
        elif what == "connected":
            leg["call"] = Call(event.at, leg["call"].host if leg["call"] else _server_at("", leg), answered=True)
        else:
            if what != "closed":
                name = leg["call"].host if leg["call"] else _server_at(str(event.what.get("to", "")), leg)
                leg["in_vain"].append(f"{name}, {what}")
            leg["call"] = None

    def tls(self, event: Event) -> None:
        what = event.what
        self._connection(event).tls = _encrypted(what)

    def auth(self, event: Event) -> None:
        one = self._connection(event)
        if event.what.get("result") == "ok":
            one.mechanism, one.login = str(event.what.get("mechanism", "")), str(event.what.get("login", ""))

    # ----- items

    def _leg(self, event: Event) -> dict[str, Any]:
        node = event.office, event.about
        leg = self._legs.get(node)
        if leg is None:
            leg = self._legs[node] = {"office": event.office, "id": event.about, "at": event.at, "parent": self._parents.get(node),
                                      "aliases": [], "look_ups": [], "attempts": [], "copies": {}, "reports": [], "tries": 0, "call": None,
                                      "in_vain": []}
        return leg

    def mail(self, event: Event) -> None:
        leg, what = self._leg(event), event.what
        state = what.get("state")
        if state == "accepted":
            leg.update(at=event.at, connection=event.connection, service=str(what.get("service", "")), sender=str(what.get("sender", "")),
                       recipients=tuple(map(str, what.get("recipients", ()))), size=int(what.get("size") or 0),
                       message_id=str(what.get("message_id", "")), subject=subject_of(str(what.get("subject", ""))),
                       account=str(what.get("account", "")))
        elif state == "removed":
            leg.update(state="done", why=str(what.get("why", "")), next=0.0, call=None)
        else:
            leg["call"] = None
            leg["attempts"].append(Attempt(
                leg["tries"] + 1, event.at, str(what.get("recipient", "")), str(what.get("kind", "")), str(state),
                str(what.get("status", "")), str(what.get("host", "")), str(what.get("secured", ""))))

    def queue(self, event: Event) -> None:
        leg, what = self._leg(event), event.what
        state = str(what.get("state", ""))
        if state == "queued":
            leg.update(state="queued", queued_at=event.at)
        elif state == "waiting":
            leg["tries"] = int(what.get("attempt") or leg["tries"] + 1)
            leg.update(state="waiting", next=float(what.get("next") or 0.0), call=None, in_vain=[])
        elif state == "servers":
            leg["in_vain"] = []
            leg["look_ups"].append(LookUp(event.at, str(what.get("next_hop", "")), tuple(map(str, what.get("servers", ()))),
                                          str(what.get("status", ""))))
        elif state == "warned":
            leg["warned"] = event.at
        elif state == "returned" and what.get("report"):
            leg["reports"].append(str(what["report"]))
        elif state in ("frozen", "given up"):
            leg.update(why=str(what.get("why") or what.get("status", "")), **({"state": "frozen"} if state == "frozen" else {}))

    def alias(self, event: Event) -> None:
        what = event.what
        found = Alias(str(what.get("from", "")), tuple(map(str, what.get("to", ()))), str(what.get("origin", "")))
        self._leg(event)["aliases"].append(found)

    def store(self, event: Event) -> None:
        what = event.what
        copy = Copy(event.office, event.at, str(what.get("account", "")), str(what.get("mailbox", "")), int(what.get("uid") or 0),
                    str(what.get("file", "")))
        self._leg(event)["copies"][copy.account, copy.mailbox, copy.uid] = copy, []

    def read(self, event: Event) -> None:
        what, ranges = event.what, list(ranges_in(str(event.what.get("uids", ""))))
        for leg in self._legs.values():
            for (account, mailbox, uid), (_, readings) in leg["copies"].items():
                if (leg["office"], account, mailbox) == (event.office, what.get("account"), what.get("mailbox")) and any(
                    low <= uid <= high for low, high in ranges
                ):
                    readings.append(Reading(event.at, str(what.get("service", "")), account, event.about))
                    self._readings[event.about] = None

    def dns(self, event: Event) -> None:
        what = event.what
        self.questions.append(Question(event.at, event.office, str(what.get("question", "")), str(what.get("type", "")),
                                       tuple(map(str, what.get("answer", ()))), str(what.get("result", "")), float(what.get("ms") or 0.0)))

    # ----- the end

    def legs(self) -> tuple[Leg, ...]:
        """The first is the root; then in the order in which they began, children never before their parents."""
        self._begin()
        made = {node: self._made(leg) for node, leg in self._legs.items()}
        ordered = sorted(made.values(), key=lambda leg: (self._depth(leg.node), leg.at, leg.office, leg.id))
        return tuple(ordered) or (Leg(*self._root, 0.0),)

    def _begin(self) -> None:
        """Items that are still being said on a connection that is known."""
        for node, key in self._came.items():
            one = self._connections.get(key)
            if one is not None and not self._legs.get(node, {}).get("service"):
                leg = self._leg(Event(0, one.lines[0].at if one.lines else 0.0, node[0], "mail", node[1]))
                leg.update(connection=key, service=one.service, state="coming", account=one.login)

    def _depth(self, node: Node) -> int:
        depth = 0
        while (parent := self._parents.get(node)) is not None and depth < len(self._legs):
            node, depth = parent, depth + 1
        return depth

    def _made(self, leg: dict[str, Any]) -> Leg:
        came = self._connections.get(leg.get("connection") or "")
        known = {} if came is None else {"peer": came.partner or came.peer, "program": came.program or _hello(came.lines),
                                         "mechanism": came.mechanism, "tls": came.tls}
        copies = tuple(Copy(one.office, one.at, one.account, one.mailbox, one.uid, one.file, tuple(readings))
                       for one, readings in leg["copies"].values())
        last = {one.recipient: one.state for one in leg["attempts"]}
        if leg.get("state", "taken") == "taken" and last and set(last.values()) <= {"delivered", "relayed"}:
            leg["state"] = "done"  # it has never been in the queue
        lists = {name: tuple(leg[name]) for name in ("aliases", "look_ups", "attempts", "reports", "in_vain")}
        return Leg(**{**leg, **known, **lists, "copies": copies})

    def dialogues(self) -> tuple[Dialogue, ...]:
        """Of those between two offices, what the one says who has made it; what the other one has heard too, where that differs."""
        brought = {leg["connection"] for leg in self._legs.values() if leg.get("connection")} | set(self._came.values())
        made = []
        for key, one in self._connections.items():
            if key in self._outgoing:
                made.append(_dialogue(key, "out", one, key.partition(">")[2].partition(":")[0]))
            elif key in brought:
                twin = self._connections.get(f"{one.partner}>{one.office}:{one.port}") if one.partner else None
                if twin is None or _answers(twin) < _answers(one):
                    made.append(_dialogue(key, "in", one, one.partner or one.login.partition("@")[0]))
            elif key in self._readings:
                made.append(_dialogue(key, "reading", one, one.login.partition("@")[0]))
        return tuple(sorted((one for one in made if one.lines), key=lambda one: (one.lines[0].number, one.key)))


def _dialogue(key: str, kind: str, one: _Connection, peer: str) -> Dialogue:
    return Dialogue(key, kind, one.office, peer, one.service or "smtp", tuple(one.lines), one.end, one.tls)


def _encrypted(what: Mapping[str, Any]) -> str:
    """How, and whether the one who has connected knows with whom: he looks at every certificate, also where nobody wants it checked."""
    version, fault = what.get("version"), what.get("fault")
    if not version:
        return f"failed: {fault or ''}"
    if what.get("verified"):
        return f"{version}, certificate checked by {what['verified']}" + (f": {what['issuer']}" if what.get("issuer") else "")
    return f"{version}, certificate not in order: {fault}" if fault else str(version)


def _answers(one: _Connection) -> int:
    """How many lines the server has said about the letter: what was said before may have been about another one."""
    begins = next((place for place, line in enumerate(one.lines) if _is_mail(line.side, line.text)), len(one.lines))
    return sum(line.side == "S" for line in one.lines[begins:])


def _is_mail(side: str, text: str) -> bool:
    """Whether somebody begins to tell of a letter."""
    return side == "C" and text[:9].upper() == "MAIL FROM"


def _server_at(address: str, leg: Mapping[str, Any]) -> str:
    """The name under which the DNS has told of *address*, or of the first server where that is not known."""
    servers = leg["look_ups"][-1].servers if leg["look_ups"] else ()
    found = next((one for one in servers if f"[{address}]" in one), "") or (servers[0] if servers and not address else address)
    return found.partition(" ")[0]


def _hello(lines: Sequence[Line]) -> str:
    """What the client has called itself."""
    said = (line.text.split(None, 1) for line in lines if line.side == "C" and line.text[:4].upper() in ("EHLO", "HELO"))
    return next((words[1][:60] for words in said if len(words) > 1), "")


_TAKE: dict[str, Callable[[_Making, Event], None]] = {
    "connection": _Making.connection, "line": _Making.line, "tls": _Making.tls, "auth": _Making.auth, "mail": _Making.mail,
    "net": _Making.net,    "queue": _Making.queue, "alias": _Making.alias, "store": _Making.store, "read": _Making.read, "dns": _Making.dns,
}
