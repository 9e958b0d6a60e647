"""What people and programs see of the queue and the journal: items as rows, and the filters that pick some.

Used by the server (`operator`) and by the command line when it reads the files
itself, so that both show the same. Pure.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twistmail.mail.item import Errand, Item

#: A filter may name so many ids.
MOST_IDS = 10_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which items are meant: those that fit everything that is given. `ids` may be beginnings; ages are seconds."""

    ids: tuple[str, ...] = ()
    sender: str = ""
    recipient: str = ""
    domain: str = ""
    older_than: float | None = None
    held: bool | None = None

    @property
    def is_empty(self) -> bool:
        return self == Filter()

    def fits(self, item: Item, now: float) -> bool:
        addresses = [str(errand.target.address).lower() for errand in item.errands]
        return (
            (not self.ids or any(item.id.startswith(beginning) for beginning in self.ids))
            and (not self.sender or self.sender.lower() in _sender(item).lower())
            and (not self.recipient or any(self.recipient.lower() in address for address in addresses))
            and (not self.domain or any(address.endswith("@" + self.domain.lower()) for address in addresses))
            and (self.older_than is None or now - item.arrived >= self.older_than)
            and (self.held is None or item.held is self.held)
        )

    def as_arguments(self) -> dict[str, Any]:
        """What `from_arguments` reads."""
        return {"ids": list(self.ids), "from": self.sender, "to": self.recipient, "domain": self.domain,
                "older_than": self.older_than, "held": self.held}


def from_arguments(arguments: Mapping[str, Any]) -> Filter:
    """The Filter in the arguments of a request. ValueError where they are none."""
    ids, older, held = arguments.get("ids", []), arguments.get("older_than"), arguments.get("held")
    texts = [arguments.get(key, "") for key in ("from", "to", "domain")]
    if not isinstance(ids, list) or len(ids) > MOST_IDS or not all(isinstance(text, str) and text for text in ids):
        raise ValueError("ids is not a list of ids")
    if not all(isinstance(text, str) for text in texts) or not isinstance(older, int | float | None) or not isinstance(held, bool | None):
        raise ValueError("the filter cannot be read")
    sender, recipient, domain = texts
    return Filter(tuple(ids), sender, recipient, domain, older, held)


def row(item: Item, now: float) -> dict[str, Any]:
    """*item* as one JSON object; fields only ever grow."""
    return {
        "id": item.id,
        "arrived": iso(item.arrived),
        "age_s": int(now - item.arrived),
        "attempts": item.attempts,
        "next_s": None if item.held else max(0, int(item.next_try - now)),
        "held": item.held,
        "held_for": item.held_for if item.held else "",
        "hold_until": iso(until) if (until := item.wishes.hold_until) and until > now else "",
        "deadline": iso(item.wishes.deadline.at) if item.wishes.deadline else "",
        "priority": item.wishes.priority,
        "size": item.size,
        "from": _sender(item),
        "account": item.account,
        "to": [_errand(errand) for errand in item.errands],
    }


def _errand(errand: Errand) -> dict[str, Any]:
    status = errand.status
    return {
        "address": str(errand.target.address),
        "original": str(errand.target.original),
        "state": errand.result.value if errand.result else "waiting",
        "code": str(status.code) if status else "",
        "enhanced": status.enhanced if status else "",
        "text": status.text if status else "",
        "host": errand.host,
        "attempts": errand.attempts,
    }


def listing(items: Iterable[Item], chosen: Filter, now: float, most: int | None = None) -> dict[str, Any]:
    """`{"rows": [...], "count": n, "size": octets}` of the items that fit: all are counted, at most *most* are shown."""
    rows, count, size = [], 0, 0
    for item in items:
        if chosen.fits(item, now):
            count += 1
            size += item.size
            if most is None or count <= most:
                rows.append(row(item, now))
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


def _sender(item: Item) -> str:
    return str(item.sender) if item.sender else "<>"
