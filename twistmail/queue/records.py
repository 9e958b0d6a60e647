"""How an item and what happens to it are written in an envelope file.

One record is one line: eight hexadecimal digits of CRC-32, a space, JSON,
LF. The first record is the item as it was accepted, every further one an
event; reading is replaying. Pure.

What a sender may ask for (`Wishes`, NOTIFY, ORCPT) came later: it is written only where there is something of it, and
envelopes without it are read as they always were. So an older twistmail still reads what does not need it, and says
"version 2" of what does.

Lines at the end that have no LF or a wrong checksum are writes that a crash has
cut short: nobody was told of them, and `read` says where the sound part ends.
The same before a sound line is damage, and raises.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from sys import intern
from typing import Any
from zlib import crc32

from twistmail import compact
from twistmail.mail.address import Address
from twistmail.mail.envelope import NO_WISHES, Deadline, Kind, Notify, Target, Wishes
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Event, Frozen, GaveUp, Outcome, Postponed, Reported, Rerouted, Result, SenderWarned
from twistmail.mail.status import Status

#: 1: as in the beginning. 2: with wishes, which a reader of version 1 would silently forget.
PLAIN, WITH_WISHES = 1, 2
#: Attributes of an item that came later too, and harm nobody who does not know them.
_LATER = ("overdue_told", "held_for", "via")
#: The same of an outcome.
_OF_OUTCOMES = ("passed_on", "secured", "tried")

class Damaged(Exception):
    """An envelope that cannot be trusted; the text says what is wrong with it."""


def written(item: Item) -> bytes:
    """The first record of *item*."""
    asked: dict[str, Any] = {"wishes": _wishes(item.wishes)} if item.wishes != NO_WISHES else {}
    if any(of_each := [_asked(errand) for errand in item.errands]):
        asked["asked"] = of_each
    tried = [errand.tried for errand in item.errands]
    return _line({
        "v": WITH_WISHES if asked else PLAIN, "id": item.id, "sender": _address(item.sender), "arrived": item.arrived, "size": item.size,
        "prefix": item.prefix.decode("latin-1"), "account": item.account, "body": item.body,
        "attempts": item.attempts, "due": item.due, "warned": item.warned, "held": item.held,
        "errands": [_errand(errand) for errand in item.errands], **asked, **({"tried": tried} if any(tried) else {}),
        **{name: value for name in _LATER if (value := getattr(item, name))},
    })


def event_written(event: Event) -> bytes:
    """The record of *event*."""
    match event:
        case Outcome(target, result, status, host):
            ended = {"e": "outcome", "target": _target(target), "result": result.value, "status": _status(status), "host": host}
            return _line(ended | {name: value for name in _OF_OUTCOMES if (value := getattr(event, name))})
        case Postponed(until):
            return _line({"e": "postponed", "until": until})
        case Rerouted(via):
            return _line({"e": "rerouted", "via": via})
        case SenderWarned(overdue):
            return _line({"e": "warned"} | ({"overdue": True} if overdue else {}))
        case Reported(report, addresses, success, why):
            told = {"e": "reported", "report": report, "addresses": [_address(address) for address in addresses]}
            return _line(told | ({"success": True} if success else {}) | ({"why": why} if why else {}))
        case Frozen(why):
            return _line({"e": "frozen", "why": why})
        case GaveUp(status):
            return _line({"e": "gave up", "status": _status(status)})
    raise TypeError(f"{event!r} is no event of an item")


def hold_written(held: bool, why: str = "") -> bytes:
    """The record of an operator's hold, set (*why*: in his words) or cleared."""
    return _line({"e": "held", "held": held} | ({"why": why} if why else {}))


def read(data: bytes) -> tuple[Item, int]:
    """The item that an envelope file holds, and how many octets of the file are sound. Raises Damaged."""
    lines = data.split(b"\n")
    lines.pop()  # what follows the last LF: empty, or cut short
    try:
        records = [_checked(line) for line in lines]
        sound = records.index(None) if None in records else len(records)
        if any(record is not None for record in records[sound:]):
            raise Damaged("a checksum is wrong")
        if not sound:
            raise Damaged("there is no whole record")
        item = _item(records[0])
        for record in records[1:sound]:
            item = _replay(item, record)
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"a record makes no sense: {error!r}") from None
    return item, sum(len(line) + 1 for line in lines[:sound])


def _line(record: dict[str, Any]) -> bytes:
    text = compact.line(record)
    return b"%08x %b\n" % (crc32(text), text)


def _checked(line: bytes) -> Any:
    """The record in *line*, None where its checksum is wrong."""
    digits, _, text = line.partition(b" ")
    return json.loads(text) if digits == b"%08x" % crc32(text) else None


def _item(record: Any) -> Item:
    if record["v"] not in (PLAIN, WITH_WISHES):
        raise Damaged(f"version {record['v']} is neither {PLAIN} nor {WITH_WISHES}")
    asked = record.get("asked") or [None] * len(record["errands"])
    tried = record.get("tried") or [0.0] * len(record["errands"])
    errands = tuple(_to_errand(*each) for each in zip(record["errands"], asked, tried, strict=True))
    return Item(
        record["id"], _to_address(record["sender"]), errands, record["arrived"], record["size"],
        record["prefix"].encode("latin-1"), record["account"], record["body"], record["attempts"], record["due"],
        record["warned"], record["held"], _to_wishes(record.get("wishes") or {}),
        **{name: record[name] for name in _LATER if name in record})


def _replay(item: Item, record: Any) -> Item:
    kind = record["e"]
    return item.on_hold(record["held"], record.get("why", "")) if kind == "held" else item.after(_EVENTS[kind](record))


_EVENTS: dict[str, Callable[[Any], Event]] = {
    "outcome": lambda r: Outcome(_to_target(r["target"]), Result(r["result"]), _to_status(r["status"]), intern(r["host"]),
                                 **{name: r[name] for name in _OF_OUTCOMES if name in r}),
    "frozen": lambda r: Frozen(r["why"]),
    "postponed": lambda r: Postponed(r["until"]),
    "rerouted": lambda r: Rerouted(r["via"]),
    "warned": lambda r: SenderWarned(r.get("overdue", False)),
    "reported": lambda r: Reported(r["report"], tuple(Address(*a) for a in r["addresses"]), r.get("success", False), r.get("why", "")),
    "gave up": lambda r: GaveUp(Status(*r["status"])),
}


def _address(address: Address | None) -> list[str] | None:
    return None if address is None else [address.local, address.domain]


def _to_address(value: Any) -> Address | None:
    return None if value is None else _to_known(value)


def _to_known(value: Any) -> Address:
    """An Address whose domain is kept once, however many items it has: of 100,000 messages most go to a few hundred places."""
    local, domain = value
    return Address(local, intern(domain))


def _status(status: Status | None) -> list[Any] | None:
    return None if status is None else [status.code, status.enhanced, status.text]


def _to_status(value: Any) -> Status:
    code, enhanced, text = value
    return Status(code, intern(enhanced), intern(text))


def _target(target: Target) -> list[Any]:
    words = [target.kind.value, _address(target.address), _address(target.original), target.account, target.folder]
    if more := _more_of(target):
        return [*words, target.seen, target.front.decode("latin-1"), more]
    if target.front:
        return [*words, target.seen, target.front.decode("latin-1")]
    return [*words, True] if target.seen else words


def _more_of(target: Target) -> dict[str, Any]:
    """What few targets have."""
    more: dict[str, Any] = {"way": target.way} if target.way else {}
    return more if target.sender is None else more | {"sender": _address(target.sender)}


def _to_target(value: Any) -> Target:
    kind, address, original, account, folder, *more = value
    seen = bool(more and more[0])
    front = more[1].encode("latin-1") if len(more) > 1 else b""
    rare = more[2] if len(more) > 2 else {}
    to, sender = _to_known(address), rare.get("sender")
    return Target(
        Kind(kind), to, to if original == address else _to_known(original), account, folder, seen, front, rare.get("way", ""),
        _to_known(sender) if sender else None,
    )  # fmt: skip


def _errand(e: Errand) -> list[Any]:
    return [_target(e.target), e.result.value if e.result else None, _status(e.status), e.host, e.attempts, e.reported]


def _to_errand(value: Any, asked: Any, tried: float) -> Errand:
    target, result, status, host, attempts, reported = value
    notify, orcpt = asked or ((), "")
    return Errand(_to_target(target), Result(result) if result else None, _to_status(status) if status else None, host, attempts,
                  reported, frozenset(map(Notify, notify)), orcpt, tried)


# ----- what the sender asked for


def _asked(errand: Errand) -> list[Any] | None:
    """NOTIFY and ORCPT of one recipient; None where there is neither."""
    return [sorted(one.value for one in errand.notify), errand.orcpt] if errand.notify or errand.orcpt else None


def _wishes(wishes: Wishes) -> dict[str, Any]:
    """What differs from no wishes at all."""
    said = {one.name: getattr(wishes, one.name) for one in fields(Wishes) if getattr(wishes, one.name) != one.default}
    if wishes.deadline is not None:
        said["deadline"] = [wishes.deadline.at, wishes.deadline.returns, wishes.deadline.trace]
    return said


def _to_wishes(value: dict[str, Any]) -> Wishes:
    deadline = value.get("deadline")
    return Wishes(**value | {"deadline": Deadline(*deadline) if deadline else None}) if value else NO_WISHES
