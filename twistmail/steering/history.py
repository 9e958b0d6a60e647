"""What became of what was sent: one row for each recipient of a message that was delivered, passed on or failed.

Read from the journal, which is kept for [log] journal; so there is nothing that
could tell otherwise than `twistmail trace`. Plain blocking Python: the server
reads in a thread, the command line for itself when no server runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twistmail import journal
from twistmail.mail.ids import born
from twistmail.mail.values import frozen
from twistmail.rows import iso

#: What of the journal tells of ends.
KINDS = frozenset({"Accepted", "Outcome", "GaveUp", "Removed"})
DELIVERED, RELAYED, FAILED = RESULTS = ("delivered", "relayed", "failed")
#: A message may have come so long (seconds) before its end: who sent it stands in the journal of then.
BEFORE = 7 * 86400.0
#: Messages whose sender and last answers are remembered while the journal is read.
MOST_REMEMBERED = 200_000


@frozen
class Search:
    """Which rows are wanted: those that fit everything. Times are POSIX seconds; texts are parts, whatever their case."""

    since: float = 0.0
    until: float | None = None
    result: str = ""  # one of RESULTS; "" is all
    id: str = ""
    sender: str = ""
    recipient: str = ""
    domain: str = ""
    reason: str = ""
    account: str = ""

    def fits(self, row: Mapping[str, Any], account: str) -> bool:
        """Whether *row*, of a message that *account* has submitted, is wanted."""
        return (
            row["at_s"] >= self.since
            and (self.until is None or row["at_s"] < self.until)
            and self.result in ("", row["result"])
            and row["id"].startswith(self.id)
            and self.sender.lower() in row["from"].lower()
            and self.recipient.lower() in f"{row['to']} {row['original']}".lower()
            and self.domain.lower() in ("", row["to"].rpartition("@")[2].lower())
            and self.reason.lower() in f"{row['answer']} {row['host']}".lower()
            and self.account in ("", account)
        )


def search_in(wanted: Mapping[str, Any]) -> Search:
    """The Search that the arguments of a request ask for. ValueError where they are none."""
    texts = {key: wanted.get(key, "") for key in ("result", "id", "sender", "recipient", "domain", "reason", "account")}
    since, until = wanted.get("since", 0.0), wanted.get("until")
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(since, int | float):
        raise ValueError("the question cannot be read")
    if not isinstance(until, int | float | None) or texts["result"] not in ("", *RESULTS):
        raise ValueError(f"until is no time, or the result none of {', '.join(RESULTS)}")
    return Search(since, until, **texts)


@dataclass(slots=True)
class _Message:
    """What is known of one whose end has not come: the last answer for each recipient that still waits."""

    sender: str = ""
    account: str = ""
    waiting: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def ended(entries: Iterable[Mapping[str, Any]], search: Search) -> Iterator[dict[str, Any]]:
    """The rows that *entries* (of KINDS, from `BEFORE` the search begins) tell of, by time; see `_row` for their fields."""
    known: dict[str, _Message] = {}
    for entry in entries:
        identifier, what = entry["id"], entry["what"]
        if what == "Removed":
            known.pop(identifier, None)
            continue
        if (message := known.get(identifier)) is None:
            if len(known) >= MOST_REMEMBERED:
                del known[next(iter(known))]
            message = known[identifier] = _Message()
        if what == "Accepted":
            message.sender, message.account = entry.get("sender") or "<>", entry.get("account") or ""
            continue
        for row in _ends(entry, message):
            if search.fits(row, message.account):
                yield row


def latest(folder: Path, search: Search, most: int) -> list[dict[str, Any]]:
    """The last *most* rows that the journal in *folder* has."""
    begin = max(0.0, search.since - BEFORE)
    return list(deque(ended(journal.entries(folder, begin, KINDS), search), maxlen=most))


def _ends(entry: Mapping[str, Any], message: _Message) -> Iterator[dict[str, Any]]:
    """The rows of an Outcome that is an end, or of a GaveUp: it is the end of all that waited."""
    if entry["what"] == "GaveUp":
        for outcome in message.waiting.values():
            yield _row(entry, message, outcome, FAILED)
        message.waiting.clear()
        return
    address = entry["target"]["address"]
    if entry["result"] in RESULTS:
        message.waiting.pop(address, None)
        yield _row(entry, message, entry, entry["result"])
    else:
        message.waiting[address] = entry


def _row(entry: Mapping[str, Any], message: _Message, outcome: Mapping[str, Any], result: str) -> dict[str, Any]:
    """*entry* tells when it ended, *outcome* to whom it was to go and what was said last."""
    identifier = entry["id"]
    try:
        took = max(0, int(entry["at"] - born(identifier)))
    except ValueError:
        took = 0
    return {
        "at": iso(entry["at"]),
        "at_s": entry["at"],
        "id": identifier,
        "result": result,
        "from": message.sender or "<>",  # a report of our own is accepted by nobody
        "to": outcome["target"]["address"],
        "original": outcome["target"]["original"],
        "answer": outcome["status"],
        "host": outcome["host"],
        "secured": outcome.get("secured", ""),
        "took_s": took,
    }
