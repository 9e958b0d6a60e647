"""The way of a message from its writer to its reader, hop by hop, out of what the journals of servers tell (R01).

`told_of` picks what one journal knows of a Message-ID; `hops` puts what several
servers know into one order. Used by the server (`operator`) and by the command
line, which reads the files itself where no server runs. Plain blocking Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twistmail import journal
from twistmail.mail.values import frozen

Entry = Mapping[str, Any]

#: What belongs to the way of an item, and what to the connection that brought it.
_OF_ITEMS = ("Accepted", "Expanded", "Queued", "ServersFound", "Outcome", "Stored", "Postponed", "SenderWarned", "Reported", "Frozen",
             "GaveUp", "Fated", "Removed")
_OF_CONNECTIONS = ("Connected", "TlsStarted", "LoggedIn")
#: Messages of one Message-ID that are looked at: anybody can write the same one into all of his.
MOST_ITEMS = 100
#: In the order in which they follow each other where they have the same time.
SUBMITTED, QUEUED, LOOKED_UP, PASSED_ON, SORTED, FILED, FETCHED = (
    "MUA -> MSA", "MSA -> queue", "MX look-up", "MTA -> MTA", "MTA -> MDA", "MDA -> store", "MAA -> MUA")
ALIASES, TROUBLE = "aliases", "queue"
_RANK = {name: rank for rank, name in enumerate((SUBMITTED, PASSED_ON, ALIASES, QUEUED, LOOKED_UP, TROUBLE, SORTED, FILED, FETCHED))}
#: How our servers say that they have taken a message.
_TAKEN = re.compile(r"\bAccepted as ([0-9a-z]{6}-[0-9a-z]{4})\b")


@frozen
class Hop:
    """One step. `at`: POSIX seconds; `server` has told of it; `id` as that server names the item; `peer`: who else had a part in it."""

    at: float
    name: str
    server: str
    id: str
    peer: str
    text: str

    def as_json(self) -> dict[str, Any]:
        return {"at_s": self.at, "hop": self.name, "server": self.server, "id": self.id, "peer": self.peer, "text": self.text}


def bare(message_id: str) -> str:
    """A Message-ID without its angle brackets."""
    return message_id.strip().removeprefix("<").removesuffix(">")


def is_message_id(text: str) -> bool:
    """Whether that is a Message-ID and not one of our ids."""
    return "@" in text or text.startswith("<")


# ----- one journal


def told_of(folder: Path, message_id: str, since: float = 0.0) -> list[dict[str, Any]]:
    """What the journal in *folder* tells of messages with that Message-ID, their connections, and who has read them; by time."""
    wanted = bare(message_id)
    accepted = [entry for entry in journal.entries(folder, since, ("Accepted",)) if bare(entry.get("message_id") or "") == wanted]
    accepted = accepted[:MOST_ITEMS] if wanted else []
    if not accepted:
        return []
    items, connections = {entry["id"] for entry in accepted}, {entry["connection"] for entry in accepted}
    lying: dict[tuple[str, str], dict[int, float]] = {}
    told: list[dict[str, Any]] = []
    for entry in journal.entries(folder, accepted[0]["at"] - journal.DAY, (*_OF_ITEMS, *_OF_CONNECTIONS, "Read")):
        what = entry["what"]
        if what == "Read":
            if is_read(entry, lying.get((entry.get("account", ""), entry.get("mailbox", "")), {})):
                told.append(entry)
        elif entry["id"] in (connections if what in _OF_CONNECTIONS else items):
            told.append(entry)
            if what == "Stored":
                lying.setdefault((entry["account"], entry["mailbox"]), {})[entry["uid"]] = entry["at"]
    readers = {entry["id"] for entry in told if entry["what"] == "Read"} - connections
    if readers:
        told += [entry for entry in journal.entries(folder, accepted[0]["at"] - journal.DAY, ("Connected",)) if entry["id"] in readers]
    return sorted(told, key=lambda entry: float(entry["at"]))


def is_read(entry: Entry, uids: Iterable[int]) -> bool:
    """Whether *entry*, of somebody's reading, tells of one of *uids*."""
    ranges = list(ranges_in(str(entry.get("uids") or entry.get("uid") or "")))
    return any(low <= uid <= high for uid in uids for low, high in ranges)


def ranges_in(text: str) -> Iterator[tuple[int, int]]:
    """A sequence set such as "1:20,22" as ranges. One that the journal has cut off is read as far as it is whole."""
    parts = text.split(",")
    if len(text) >= journal.LONGEST_TEXT:
        parts.pop()
    for part in parts:
        low, _, high = part.partition(":")
        if low.isdigit() and (high or low).isdigit():
            yield int(low), int(high or low)


# ----- several servers


def hops(servers: Mapping[str, Sequence[Entry]]) -> list[Hop]:
    """The way, in its order. *servers*: what `told_of` says, by the name of the server whose journal it was."""
    taken = {entry["id"]: (name, entry) for name, told in servers.items() for entry in told if entry["what"] == "Accepted"}
    found = [hop for name, told in servers.items() for hop in _Way(name, told, taken).hops()]
    return sorted(found, key=lambda hop: (round(hop.at, 3), _RANK[hop.name]))


class _Way:
    """What one server tells. *taken*: what all servers have accepted, by id: (server, entry)."""

    def __init__(self, server: str, told: Sequence[Entry], taken: Mapping[str, tuple[str, Entry]]) -> None:
        self._server = server
        self._told = told
        self._taken = taken
        self._about: dict[str, dict[str, Entry]] = {}  # connections: what is known of each
        for entry in told:
            if entry["what"] in _OF_CONNECTIONS:
                self._about.setdefault(entry["id"], {})[entry["what"]] = entry

    def hops(self) -> Iterator[Hop]:
        for entry in self._told:
            if (tell := _TELLERS.get(entry["what"])) is not None:
                yield from tell(self, entry)

    def _hop(self, name: str, entry: Entry, text: str, peer: str = "") -> Hop:
        return Hop(float(entry["at"]), name, self._server, str(entry["id"]), peer, text)

    def accepted(self, entry: Entry) -> Iterator[Hop]:
        about = self._about.get(entry["connection"], {})
        came = about.get("Connected", {})
        peer = f"{came['address']}:{came['port']}" if came else ""
        is_writer = bool(entry["account"]) or entry["service"] == "submission"
        by = [entry["service"], *_login(about), *_tls(about)]
        text = f"from {entry['sender'] or '<>'} to {', '.join(entry['recipients'])}, {entry['size']} octets ({', '.join(by)})"
        yield self._hop(SUBMITTED if is_writer else PASSED_ON, entry, text, peer)

    def expanded(self, entry: Entry) -> Iterator[Hop]:
        yield self._hop(ALIASES, entry, f"{entry['address']} leads to {', '.join(str(t['address']) for t in entry['targets']) or 'nobody'}")

    def queued(self, entry: Entry) -> Iterator[Hop]:
        yield self._hop(QUEUED, entry, f"{entry['pending']} to go")

    def looked_up(self, entry: Entry) -> Iterator[Hop]:
        found = ", ".join(entry["servers"]) or str(entry.get("status") or "nobody")
        asked = "" if entry["by_mx"] else " (its addresses; no MX was asked for)"
        yield self._hop(LOOKED_UP, entry, f"{entry['next_hop']}: {found}{asked}, {entry['seconds'] * 1000:.0f} ms")

    def outcome(self, entry: Entry) -> Iterator[Hop]:
        if entry["result"] == "expanded":
            return
        kind, address = entry["target"]["kind"], str(entry["target"]["address"])
        if entry["result"] == "delivered" and kind == "mailbox":
            filed = self._filed(entry)
            yield replace(self._hop(SORTED, entry, f"{address}: {entry['status']}", str(entry["host"])), at=filed)
        elif kind != "remote":
            yield self._hop(SORTED, entry, f"{address}: {entry['result']}, {entry['status']}", str(entry["host"]))
        elif not self._is_told_by_the_other(entry):
            secured = f" ({entry['secured']})" if entry.get("secured") else ""
            yield self._hop(PASSED_ON, entry, f"{address}: {entry['result']}, {entry['status']}{secured}", str(entry["host"]))

    def _filed(self, entry: Entry) -> float:
        """When the copy that *entry* tells of was put where it lies, which is told before."""
        ours = [one["at"] for one in self._told if one["what"] == "Stored" and one["id"] == entry["id"]
                and one["account"] == entry["target"]["account"] and one["at"] <= entry["at"]]
        return float(max(ours, default=entry["at"]))

    def _is_told_by_the_other(self, entry: Entry) -> bool:
        """Whether the server that has taken it tells of that itself."""
        said = _TAKEN.search(str(entry["status"]))
        return said is not None and self._taken.get(said[1], (self._server, None))[0] != self._server

    def stored(self, entry: Entry) -> Iterator[Hop]:
        file = f", {entry['file']}" if entry.get("file") else ""
        yield self._hop(FILED, entry, f"{entry['mailbox']}, UID {entry['uid']}{file}", f"mailbox {entry['account']}")

    def read(self, entry: Entry) -> Iterator[Hop]:
        text = f"{entry['account']} has fetched {entry['mailbox']}, UID {entry['uids']}, by {entry['service']}"
        about = self._about.get(entry["id"], {}).get("Connected", {})
        yield self._hop(FETCHED, entry, text, f"{about['address']}:{about['port']}" if about else "")

    def trouble(self, entry: Entry) -> Iterator[Hop]:
        yield self._hop(TROUBLE, entry, _TROUBLE[entry["what"]](entry))


def _login(about: Mapping[str, Entry]) -> list[str]:
    return [f"{one['account']} by {one['mechanism']}"] if (one := about.get("LoggedIn")) else []


def _tls(about: Mapping[str, Entry]) -> list[str]:
    return [str(one["tls"]["version"])] if (one := about.get("TlsStarted")) else []


_TROUBLE = {
    "SenderWarned": lambda entry: "the sender was told that it is late",
    "Reported": lambda entry: f"report {entry['report'] or '(to nobody)'} about {', '.join(entry['addresses'])}",
    "Frozen": lambda entry: f"frozen: {entry['why']}",
    "GaveUp": lambda entry: f"given up: {entry['status']}",
    "Fated": lambda entry: f"{'held' if entry['fate'] == 'HOLD' else 'discarded'}: {entry['reason']}",
}
_TELLERS = {
    "Accepted": _Way.accepted, "Expanded": _Way.expanded, "Queued": _Way.queued, "ServersFound": _Way.looked_up, "Outcome": _Way.outcome,
    "Stored": _Way.stored, "Read": _Way.read, **dict.fromkeys(_TROUBLE, _Way.trouble),
}
