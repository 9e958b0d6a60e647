"""What people and programs see of the queue and the journal: items as rows, and the filters that pick some.

Used by the server (`steering`) and by the command line when it reads the files
itself, so that both show the same. Pure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.values import frozen
from twistmail.queue.outlook import Outlook

#: A filter may name so many ids.
MOST_IDS = 10_000
#: An attempt runs; an operator has to release it; nobody has tried it; it waits for the next try.
ACTIVE, HELD, NEW, DEFERRED = STATES = ("active", "held", "new", "deferred")


def _nobody(_: str) -> bool:
    return False


def domains(item: Item) -> dict[Target, str]:
    """Where each target of *item* goes, as far as its address tells: its domain; nowhere for a mailbox of ours."""
    return {errand.target: errand.target.address.domain if errand.target.kind is Kind.REMOTE else "" for errand in item.errands}


def as_written(item: Item) -> Outlook:
    """All that an item itself tells of its next attempt."""
    return Outlook(None if item.held else item.next_try)


@frozen
class View:
    """What is known of items besides themselves, at *now* (POSIX seconds).

    `is_active`(id): an attempt runs. `places`(item): where each target that waits goes next. `outlook`(item): when, and what
    it waits for. A server that does not run attempts nothing, and the domain is all that its files tell of places.
    """

    now: float
    is_active: Callable[[str], bool] = _nobody
    places: Callable[[Item], Mapping[Target, str]] = domains
    outlook: Callable[[Item], Outlook] = as_written

    def state(self, item: Item) -> str:
        """One of STATES."""
        if self.is_active(item.id):
            return ACTIVE
        if item.held:
            return HELD
        return DEFERRED if item.attempts or any(errand.attempts for errand in item.errands) else NEW


@frozen
class Filter:
    """Which items are meant: those that fit everything that is given. `ids` may be beginnings; ages are seconds.

    `reason`: part of a last answer, or of why it is held. `state`: one of STATES. `account`: who has submitted it.
    """

    ids: tuple[str, ...] = ()
    sender: str = ""
    recipient: str = ""
    domain: str = ""
    older_than: float | None = None
    held: bool | None = None
    state: str = ""
    reason: str = ""
    place: str = ""
    account: str = ""

    @property
    def is_empty(self) -> bool:
        return self == Filter()

    def fits(self, item: Item, view: View) -> bool:
        return (
            (not self.ids or item.id.startswith(self.ids))
            and (self.older_than is None or view.now - item.arrived >= self.older_than)
            and (self.held is None or item.held is self.held)
            and (not self.account or item.account == self.account)
            and (not self.sender or any(self.sender.lower() in sender.lower() for sender in _senders(item)))
            and (not self.recipient or any(self.recipient.lower() in str(e.target.address).lower() for e in item.errands))
            and (not self.domain or any(e.target.address.domain == self.domain.lower() for e in item.errands))
            and (not self.state or view.state(item) == self.state)
            and (not self.reason or self._is_reason_of(item))
            and (not self.place or self.place.lower() in view.places(item).values())
        )

    def _is_reason_of(self, item: Item) -> bool:
        wanted = self.reason.lower()
        said = [str(errand.status) for errand in item.errands if errand.status is not None and errand.is_pending]
        return any(wanted in text.lower() for text in (*said, item.held_for if item.held else ""))

    def as_arguments(self) -> dict[str, Any]:
        """What `from_arguments` reads."""
        return {"ids": list(self.ids), "from": self.sender, "to": self.recipient, "domain": self.domain, "older_than": self.older_than,
                "held": self.held, "state": self.state, "reason": self.reason, "place": self.place, "account": self.account}


_TEXTS = ("from", "to", "domain", "state", "reason", "place", "account")


def from_arguments(arguments: Mapping[str, Any]) -> Filter:
    """The Filter in the arguments of a request. ValueError where they are none."""
    ids, older, held = arguments.get("ids", []), arguments.get("older_than"), arguments.get("held")
    texts = [arguments.get(key, "") for key in _TEXTS]
    if not isinstance(ids, list) or len(ids) > MOST_IDS or not all(isinstance(text, str) and text for text in ids):
        raise ValueError("ids is not a list of ids")
    if not all(isinstance(text, str) for text in texts) or not isinstance(older, int | float | None) or not isinstance(held, bool | None):
        raise ValueError("the filter cannot be read")
    sender, recipient, domain, state, reason, place, account = texts
    if state and state not in STATES:
        raise ValueError(f"there is no state {state}; there are: {', '.join(STATES)}")
    return Filter(tuple(ids), sender, recipient, domain, older, held, state, reason, place, account)


def row(item: Item, view: View) -> dict[str, Any]:
    """*item* as one JSON object; fields only ever grow."""
    places, outlook = view.places(item), view.outlook(item)
    at = None if item.held else outlook.at
    return {
        "id": item.id,
        "arrived": iso(item.arrived),
        "age_s": int(view.now - item.arrived),
        "attempts": item.attempts,
        "next_s": None if at is None else max(0, int(at - view.now)),
        "next": "" if at is None else iso(max(at, view.now)),
        "waits_for": "" if item.held else outlook.why,
        "state": view.state(item),
        "held": item.held,
        "held_for": item.held_for if item.held else "",
        "hold_until": iso(until) if (until := item.wishes.hold_until) and until > view.now else "",
        "deadline": iso(item.wishes.deadline.at) if item.wishes.deadline else "",
        "priority": item.wishes.priority,
        "via": item.via,
        "size": item.size,
        "from": sender_of(item),
        "account": item.account,
        "to": [_errand(errand, places.get(errand.target, "")) for errand in item.errands if errand.result is not Result.EXPANDED],
    }


def _errand(errand: Errand, place: str) -> dict[str, Any]:
    status = errand.status
    return {
        "address": str(errand.target.address),
        "original": str(errand.target.original),
        "sender": str(errand.target.sender or ""),
        "state": errand.result.value if errand.result else "waiting",
        "code": str(status.code) if status else "",
        "enhanced": status.enhanced if status else "",
        "text": status.text if status else "",
        "host": errand.host,
        "attempts": errand.attempts,
        "place": place,
    }


def listing(items: Iterable[Item], chosen: Filter, view: View, most: int | None = None) -> dict[str, Any]:
    """`{"rows": [...], "count": n, "size": octets}` of the items that fit: all are counted, at most *most* are shown."""
    rows, count, size = [], 0, 0
    for item in items:
        if chosen.fits(item, view):
            count += 1
            size += item.size
            if most is None or count <= most:
                rows.append(row(item, view))
    return {"rows": rows, "count": count, "size": size}


def told(entries: Iterable[Mapping[str, Any]], what: str, since: float, wanted: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """The entries of the journal that tell of *what* ("Accepted", "Refused") and hold all of *wanted*.

    *wanted* has parts of "sender", "recipient", "subject", "message_id"; case does not matter. *since*: POSIX seconds.
    """
    lowered = {key: value.lower() for key, value in wanted.items() if value}
    for entry in entries:
        if entry.get("what") == what and entry["at"] >= since:
            texts = {
                "sender": str(entry.get("sender") or "<>"),
                "recipient": " ".join(recipients(entry)),
                "subject": entry.get("subject") or "",
                "message_id": entry.get("message_id") or "",
            }
            if all(value in texts.get(key, "").lower() for key, value in lowered.items()):
                yield entry


def recipients(entry: Mapping[str, Any]) -> list[str]:
    """Whom an entry of the journal is about."""
    return entry.get("recipients") or ([entry["recipient"]] if entry.get("recipient") else [])


def iso(at: float) -> str:
    """POSIX seconds as `2026-11-21T14:02:11Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _senders(item: Item) -> Iterator[str]:
    """The sender of the message, and those that lists have put in his place."""
    yield sender_of(item)
    yield from {str(errand.target.sender) for errand in item.errands if errand.target.sender is not None}


def sender_of(item: Item) -> str:
    """The envelope sender; `<>` where there is none."""
    return str(item.sender) if item.sender else "<>"
