"""Everything that can be broken in the classroom: what it is called, what really happens, what one sees, what one learns.

`FAULTS` is the one list, for the switch board, for lessons, for the exercise in which something is broken at random, for
`twistmail.testing` and for the API. `Board` sets and mends; whether something is broken is asked of the thing itself
(`fault_acts`), so what is switched by other ways shows too.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from twistmail.lab import fault_texts as texts
from twistmail.lab.fault_acts import (
    Act,
    Between,
    Crash,
    Full,
    Gone,
    Line,
    Off,
    OtherRecords,
    Setting,
    Unanswered,
)
from twistmail.lab.fault_settings import NotNow
from twistmail.lab.links import LINK_STATES, WHOLE
from twistmail.lab.secret import fault_of
from twistmail.mail.values import frozen

__all__ = ["FAULTS", "Board", "Fault", "NotNow"]

#: Where faults are, in the order of the switch board, with its words.
GROUPS = {
    "office": "Offices",
    "link": "Lines between offices",
    "dns": "The DNS",
    "policy": "Rules of an office",
    "person": "People and their mailboxes",
}


@frozen
class Fault:
    """`name` is what programs call it, `title` what people do. `does`: what really happens; `seen`: what students see;
    `teaches`: what it is good for. `once`: it is over at once, and cannot be mended. `hidden`: no good riddle."""

    name: str
    group: str
    title: str
    act: Act
    does: str
    seen: str
    teaches: str
    once: bool = False
    hidden: bool = False


def _fault(name: str, group: str, act: Act, **more: bool) -> Fault:
    title, does, seen, teaches = texts.WORDS[name]
    return Fault(name, group, title, act, does, seen, teaches, **more)


ALL = (
    _fault("office-off", "office", Off()),
    _fault("crash", "office", Crash(), once=True, hidden=True),
    *(_fault(fault_of(state), "link", Line(state)) for state in LINK_STATES if state != WHOLE),
    _fault("dns-nxdomain", "dns", Unanswered("NXDOMAIN")),
    _fault("dns-servfail", "dns", Unanswered("SERVFAIL")),
    _fault("dns-silent", "dns", Unanswered("silent")),
    _fault("mx-to-nowhere", "dns", OtherRecords("MX to nowhere", texts.mx_to_nowhere)),
    _fault("null-mx", "dns", OtherRecords("null MX", texts.null_mx)),
    _fault("two-mx", "dns", OtherRecords("two MX", texts.two_mx)),
    _fault("no-mx", "dns", OtherRecords("no MX", texts.no_mx), hidden=True),
    _fault("greylist", "policy", Setting("greylist", texts.greylist)),
    _fault("too-big", "policy", Setting("too-big", texts.too_big)),
    _fault("relay-denied", "policy", Setting("relay-denied", texts.relay_denied)),
    _fault("no-tls", "policy", Setting("no-tls", texts.no_tls)),
    _fault("insists-on-tls", "policy", Setting("insists-on-tls", texts.insists_on_tls)),
    _fault("forgets-tls", "policy", Setting("forgets-tls", texts.forgets_tls), hidden=True),
    _fault("forged-sender", "policy", Setting("forged-sender", texts.forged_sender), hidden=True),
    _fault("alias-loop", "policy", Setting("alias-loop", texts.alias_loop), hidden=True),
    _fault("forward-loop", "policy", Between("forward-loop", texts.forward_loop), hidden=True),
    _fault("mailbox-full", "person", Full()),
    _fault("unknown-user", "person", Gone()),
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in ALL}


class Board:
    """The switches of *town*. Places are called as the faults' acts call them: "green", "blue>green", "carol@green.test" ..."""

    def __init__(self, town: Any) -> None:
        self._town = town

    def places(self, name: str) -> tuple[str, ...]:
        """Where fault *name* can be. KeyError where there is no such fault; so with the others."""
        return FAULTS[name].act.places(self._town)

    def is_set(self, name: str, place: str) -> bool:
        self._insist(name, place)
        return FAULTS[name].act.is_set(self._town, place)

    def now(self) -> Iterator[tuple[Fault, str]]:
        """All that is broken, in the order of the list."""
        for fault in ALL:
            for place in fault.act.places(self._town):
                if fault.act.is_set(self._town, place):
                    yield fault, place

    def shows(self, name: str, place: str) -> bool:
        """As `is_set`, as far as it is shown: not what is to be found."""
        return self.is_set(name, place) and self._town.secret != (name, place)

    def shown(self) -> Iterator[tuple[Fault, str]]:
        """As `now`, without what is to be found."""
        return ((fault, place) for fault, place in self.now() if self._town.secret != (fault.name, place))

    async def set(self, name: str, place: str) -> None:
        """Break it. KeyError as `places`; ValueError for another place; NotNow where that cannot be, in words for people."""
        self._insist(name, place)
        await FAULTS[name].act.set(self._town, place)

    async def clear(self, name: str, place: str) -> None:
        """Mend it; nothing where it is whole."""
        self._insist(name, place)
        await FAULTS[name].act.clear(self._town, place)

    async def clear_all(self) -> None:
        """Mend everything; offices first, for the others may be mended only where these are on. Nothing is to be found then."""
        for fault, place in tuple(self.now()):
            await fault.act.clear(self._town, place)
        for fault, place in tuple(self.now()):  # what showed itself only when its office was on again
            await fault.act.clear(self._town, place)
        self._town.secret = None

    def riddle(self, chance: random.Random) -> tuple[Fault, str]:
        """Something whole, to be broken so that others find it."""
        able = [(fault, place) for fault in ALL if not fault.hidden for place in fault.act.places(self._town)]
        whole = [(fault, place) for fault, place in able if not fault.act.is_set(self._town, place)]
        fault = chance.choice(list(dict.fromkeys(fault for fault, _ in whole)))  # each kind as likely as any other
        return fault, chance.choice([place for of, place in whole if of is fault])

    def as_json(self) -> list[dict[str, Any]]:
        """Every fault with its places and where it is set, as far as that is shown: for the API."""
        return [
            {
                "name": fault.name,
                "group": fault.group,
                "title": fault.title,
                "does": fault.does,
                "seen": fault.seen,
                "teaches": fault.teaches,
                "once": fault.once,
                "places": {place: self.shows(fault.name, place) for place in fault.act.places(self._town)},
            }
            for fault in ALL
        ]

    def _insist(self, name: str, place: str) -> None:
        if place not in (places := self.places(name)):
            raise ValueError(f"{place} is no place for {name}; there are: {', '.join(places)}")
