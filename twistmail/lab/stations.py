"""The six stations of a message's journey, as the page draws them: MUA, MSA, queue, MX, MDA, MAA. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from twistmail.lab.journey import Attempt, Call, Copy, Journey, Leg
from twistmail.lab.links import PATIENCE
from twistmail.mail.values import frozen

#: What can be said of a station; each has a word and a border of its own on the page.
DONE, WAITING, TROUBLE, NOT_YET, PASSED_BY = "done", "waiting", "trouble", "not yet", "passed by"
PUSH, PULL = "push", "pull"


@frozen
class Station:
    """`arrow`: who decides that the mail moves on to here, PUSH or PULL; "" for the first. `due`: POSIX seconds of what
    `due_for` begins to tell, or 0."""

    number: int
    name: str
    title: str
    state: str
    who: str
    lines: tuple[str, ...] = ()
    at: float = 0.0
    due: float = 0.0
    due_for: str = "next try in"
    arrow: str = PUSH
    explained: str = ""
    rfc: str = ""


_EXPLAINED = (
    ("MUA", "Mail user agent", "The program in which people write and read mail.", "RFC 5321 §2.3.3"),
    ("MSA", "Mail submission agent", "Takes mail from people who have said who they are, and makes it complete.", "RFC 6409 §3"),
    ("Queue", "Queue", "Mail waits here, safe on disk, until it has gone on; where that fails, it is tried again, later and later.",
     "RFC 5321 §4.5.4"),
    ("MX", "Mail transfer agent", "The server that the DNS names for the recipient's domain: it takes mail from other servers.",
     "RFC 5321 §5.1"),
    ("MDA", "Mail delivery agent", "Finds out whose mailbox an address means, by way of aliases, and files the mail.", "RFC 5321 §4.4"),
    ("MAA", "Mail access agent", "Gives people what is in their mailboxes when their program asks for it.", "RFC 1939, RFC 3501"),
)
_ARROWS = ("", PUSH, PUSH, PUSH, PUSH, PULL)


@frozen
class _Seen:
    """What one station shows, before it has its words."""

    state: str
    who: str
    lines: tuple[str, ...] = ()
    at: float = 0.0
    due: float = 0.0
    due_for: str = "next try in"


def stations(journey: Journey, outlooks: Mapping[str, str] = MappingProxyType({})) -> tuple[Station, ...]:
    """All six, in their order. *outlooks*: by the id of a leg, what its queue says of it now, in words."""
    made = []
    looks: tuple[Callable[[Journey], _Seen], ...] = (_mua, _msa, lambda journey: _queue(journey, outlooks), _mx, _mda, _maa)
    for place, ((name, title, explained, rfc), look, arrow) in enumerate(zip(_EXPLAINED, looks, _ARROWS, strict=True)):
        seen = look(journey)
        made.append(Station(place + 1, name, title, seen.state, seen.who, seen.lines, seen.at, seen.due, seen.due_for, arrow, explained,
                            rfc))
    return tuple(made)


def current(all_six: Sequence[Station]) -> int:
    """The number of the station where the message is now: the first that waits or is in trouble, else the last that is done."""
    stuck = [one.number for one in all_six if one.state in (WAITING, TROUBLE)]
    return stuck[0] if stuck else max((one.number for one in all_six if one.state == DONE), default=1)


def _mua(journey: Journey) -> _Seen:
    first = journey.first
    if first.is_report:
        return _Seen(PASSED_BY, f"{first.office} wrote it itself", at=first.at)
    who = first.account or first.sender or ("somebody" if first.state == "coming" else "nobody")
    lines = tuple(filter(None, (first.program and f"calls itself {first.program}", first.peer and f"from {first.peer}")))
    return _Seen(DONE, who, lines, first.at)


def _msa(journey: Journey) -> _Seen:
    first = journey.first
    if first.state == "coming":
        return _Seen(WAITING, f"{first.office}, {first.service}", ("is being told",), first.at)
    if first.service == "submission":
        secured = first.tls or "not encrypted"
        login = f"logged in by {first.mechanism}" if first.mechanism else "not logged in"
        return _Seen(DONE, f"{first.office}, submission", (f"accepted as {first.id}", login, secured), first.at)
    if first.is_report:
        return _Seen(PASSED_BY, "not needed: a report", at=first.at)
    return _Seen(PASSED_BY, f"went straight to {first.office}'s port 25", at=first.at)


def _queue(journey: Journey, outlooks: Mapping[str, str]) -> _Seen:
    queued = [leg for leg in journey.legs if leg.state in ("queued", "waiting", "frozen") or leg.queued_at]
    if not queued:
        return _Seen(PASSED_BY, "not needed: delivered at once") if journey.copies else _Seen(NOT_YET, "nothing has been queued")
    leg = next((leg for leg in queued if leg.state != "done"), queued[0])
    tries = f"{leg.tries} {'try' if leg.tries == 1 else 'tries'} failed" if leg.tries else "first try"
    if leg.state == "waiting" and leg.call is None:
        return _Seen(WAITING, leg.office, (tries, *(("the sender has been warned",) if leg.warned else ())), leg.queued_at, leg.next)
    if leg.state == "frozen":
        return _Seen(TROUBLE, leg.office, ("held", leg.why), leg.queued_at)
    if leg.state in ("queued", "waiting"):
        return _Seen(WAITING, leg.office, (*((tries,) if leg.tries else ()), outlooks.get(leg.id) or "under way"), leg.queued_at)
    if _failed(journey):
        return _Seen(TROUBLE, leg.office, ("given back to the sender",) if _reports(journey) else ("given up",), leg.queued_at)
    return _Seen(DONE, leg.office, ("left the queue", *((tries,) if leg.tries else ())), leg.queued_at)


def _mx(journey: Journey) -> _Seen:
    tried = [(leg, one) for leg in journey.legs for one in leg.attempts if one.kind == "remote"]
    if under_way := _call_of(journey):
        return _called(*under_way)
    if not tried:
        here = bool(journey.copies)
        return _Seen(PASSED_BY, "not needed: the same office") if here else _Seen(NOT_YET, "nobody has been asked yet")
    latest = {(leg.node, one.recipient): (leg, one) for leg, one in tried}.values()
    bad = [(leg, one) for leg, one in latest if one.state in ("failed", "deferred")]
    shown = bad[-1][1] if bad else list(latest)[-1][1]
    state = DONE if not bad else _how_bad(bad)
    in_vain = () if bad else tuple(f"asked in vain before: {one}" for one in tried[-1][0].in_vain)
    secured = shown.secured or ("not encrypted" if shown.state == "relayed" else "")
    return _Seen(state, _server(shown, tried[-1][0]), (shown.status, *((secured,) if secured else ()), *in_vain), shown.at)


def _how_bad(bad: Sequence[tuple[Leg, Attempt]]) -> str:
    """Of attempts that have not succeeded: whether another one will come."""
    return TROUBLE if any(one.state == "failed" or leg.state == "done" for leg, one in bad) else WAITING


def _call_of(journey: Journey) -> tuple[Leg, Call] | None:
    return next(((leg, leg.call) for leg in journey.legs if leg.call), None)


def _called(leg: Leg, call: Call) -> _Seen:
    """It is being asked at this moment; beside that, what came of the try before."""
    before = tuple(f"the last time: {answer}" for answer in _last_answer(leg))
    if call.answered:
        return _Seen(WAITING, call.host, (f"is connected with {leg.office}: they speak", *before), call.at)
    waits = f"is being called by {leg.office}, has not answered yet"
    return _Seen(WAITING, call.host, (waits, *before), call.at, call.at + PATIENCE, f"{leg.office} hangs up in")


def _server(attempt: Attempt, leg: Leg) -> str:
    if attempt.host:
        return attempt.host.partition(" ")[0]
    domain = attempt.recipient.rpartition("@")[2]
    if not leg.look_ups:  # it has waited behind another letter, and what came of that one is said of both
        return f"the server of {domain}"
    found = leg.look_ups[-1]
    return found.servers[0].partition(" ")[0] if found.servers else f"no server found for {domain}"


def _mda(journey: Journey) -> _Seen:
    by_leg = [(leg, one) for leg in journey.legs for one in leg.attempts if one.kind not in ("remote", "")]
    tried = [one for _, one in by_leg]
    bad = [(leg, one) for leg, one in {one.recipient: (leg, one) for leg, one in by_leg}.values() if one.state in ("failed", "deferred")]
    if bad:
        last = bad[-1][1]
        return _Seen(_how_bad(bad), last.recipient, (last.status,), last.at)
    if not tried and not journey.copies:
        return _Seen(NOT_YET, "not delivered yet")
    lines = tuple(f"{alias.name} = {', '.join(alias.targets)}" for leg in journey.legs for alias in leg.aliases)
    boxes = [f"{copy.account}, {copy.mailbox}" for copy in journey.copies] or [one.recipient for one in tried]
    return _Seen(DONE, boxes[0] if len(boxes) == 1 else f"{len(boxes)} mailboxes", (*lines, *(boxes if len(boxes) > 1 else ())),
                 max((copy.at for copy in journey.copies), default=tried[-1].at if tried else 0.0))


def how_read(service: str) -> str:
    """In words: by a mail program, or in the browser, which looks into the store without one."""
    return "on the inbox page" if service == "web" else f"by {service.upper()}"


def _maa(journey: Journey) -> _Seen:
    read = [(copy, reading) for copy in journey.copies for reading in copy.readings]
    if not read:
        waits = f"{_people(journey.copies)} can fetch it" if journey.copies else "nobody can read it yet"
        return _Seen(NOT_YET, waits, ("POP3 or IMAP",))
    lines = tuple(dict.fromkeys(f"{copy.account} {how_read(reading.service)}" for copy, reading in read))
    return _Seen(DONE, _people(tuple(copy for copy, _ in read)), lines, read[-1][1].at)


def _people(copies: Sequence[Copy]) -> str:
    return _some(copy.account.partition("@")[0] for copy in copies)


def _some(names: Iterable[str]) -> str:
    found = list(dict.fromkeys(names))
    return ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")


def _last_answer(leg: Leg) -> tuple[str, ...]:
    late = [one.status for one in leg.attempts if one.state == "deferred"]
    return tuple(late[-1:])


def _failed(journey: Journey) -> bool:
    return any(one.state == "failed" for leg in journey.legs for one in leg.attempts) or _reports(journey)


def _reports(journey: Journey) -> bool:
    return any(leg.reports for leg in journey.legs)


# ----- in one sentence


def summary(journey: Journey) -> tuple[str, str]:
    """(state, sentence): where the message is now. For lists, and for screen readers."""
    if under_way := _call_of(journey):
        office, call = under_way[0].office, under_way[1]
        return WAITING, f"{office} {'speaks with' if call.answered else 'is calling'} {call.host}"
    if journey.next:
        late = [answer for leg in journey.legs if leg.state == "waiting" for answer in _last_answer(leg)]
        return WAITING, f"waits in the queue of {_waiting(journey).office}" + (f": {late[-1]}" if late else "")
    if _failed(journey):
        words = "came back to its sender" if _reports(journey) else "could not be delivered"
        return TROUBLE, f"delivered to {_people(journey.copies)}; for {_undelivered(journey)} it {words}" if journey.copies else words
    if any(leg.state == "frozen" for leg in journey.legs):
        return TROUBLE, "is held"
    if readers := [copy for copy in journey.copies if copy.readings]:
        return DONE, f"read by {_people(readers)}"
    if journey.copies:
        return DONE, f"delivered to {_people(journey.copies)}"
    if any(one.state == "delivered" for leg in journey.legs for one in leg.attempts):
        return DONE, "delivered"
    return WAITING, "on its way"


def _undelivered(journey: Journey) -> str:
    failed = [one.recipient for leg in journey.legs for one in leg.attempts if one.state == "failed"]
    return _some(failed) or "others"


def _waiting(journey: Journey) -> Leg:
    return min((leg for leg in journey.legs if leg.state == "waiting" and leg.call is None), key=lambda leg: leg.next)
