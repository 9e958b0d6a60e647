"""The pretend DNS as a table that people edit: which names there are, what stands there, and what is wrong with them.

`nameserver` answers from it. Values are written as in a zone file ("10 mx.green.test", "192.0.2.20"); dnspython reads and
checks them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from twistmail.lab.offices import Office

KINDS = ("MX", "A", "AAAA", "TXT", "CNAME", "PTR", "TLSA")
TROUBLES = ("NXDOMAIN", "SERVFAIL", "silent")
#: Seconds for which an answer may be kept.
TTL = 5
MOST_NAMES, MOST_VALUES, LONGEST_VALUE = 500, 20, 1000
#: A chain of aliases goes on for so many steps.
MOST_ALIASES = 8


def usual(offices: Iterable[Office]) -> dict[str, dict[str, list[str]]]:
    """What stands in the DNS when a lesson begins."""
    records: dict[str, dict[str, list[str]]] = {}
    for office in offices:
        records[office.domain] = {"MX": [f"10 {office.host}."]}
        records[office.host] = {"A": [office.address]}
        records[dns.reversename.from_address(office.address).to_text(omit_final_dot=True)] = {"PTR": [f"{office.host}."]}
    return records


class Zones:
    """`records`: {name: {kind: values}}, names in lower case without the last dot. `trouble`: name -> one of TROUBLES.

    Both may be read by everybody and are changed by the methods, which say ValueError, in words for people, to what cannot be.
    """

    def __init__(self, offices: Sequence[Office]) -> None:
        self._offices = tuple(offices)
        self.records: dict[str, dict[str, list[str]]] = {}
        self.trouble: dict[str, str] = {}
        self._listeners: list[Any] = []
        self.reset()

    def reset(self) -> None:
        """As at the beginning."""
        self.records = usual(self._offices)
        self.trouble = {}

    def set(self, name: str, kind: str, values: Sequence[str]) -> None:
        """*values* are what stands at *name* from now on; none: nothing of that kind."""
        name, kind = checked_name(name), _kind(kind)
        if not values:
            self.remove(name, kind)
            return
        if name not in self.records and len(self.records) >= MOST_NAMES:
            raise ValueError(f"there are {MOST_NAMES} names already; remove one first")
        if len(values) > MOST_VALUES:
            raise ValueError(f"one name has at most {MOST_VALUES} values of a kind")
        there = self.records.get(name, {}).keys() - {kind}
        if there and (kind == "CNAME" or "CNAME" in there):
            raise ValueError(f"{name} has {', '.join(sorted(there))}: beside a CNAME nothing else may stand (RFC 1034 §3.6.2)")
        data = [_read(kind, value) for value in values]
        if kind == "CNAME" and len(data) > 1:
            raise ValueError("a name has one CNAME at most")
        self.records.setdefault(name, {})[kind] = [one.to_text() for one in data]

    def remove(self, name: str, kind: str = "") -> None:
        """Nothing of *kind* stands at *name* any more, nothing at all where none is given."""
        name = checked_name(name)
        kinds = self.records.get(name)
        if kinds is None:
            raise ValueError(f"there is no {name}")
        if kind and _kind(kind) not in kinds:
            raise ValueError(f"{name} has no {kind.upper()}")
        if kind:
            del kinds[kind.upper()]
        if not kind or not kinds:
            del self.records[name]

    def break_name(self, name: str, trouble: str) -> None:
        """Whoever asks for *name* meets *trouble*, one of TROUBLES; empty: an answer again."""
        name = checked_name(name)
        if not trouble:
            self.trouble.pop(name, None)
        elif trouble not in TROUBLES:
            raise ValueError(f"{trouble} is none of {', '.join(TROUBLES)}")
        else:
            self.trouble[name] = trouble

    # ----- for the name server

    def exists(self, name: str) -> bool:
        """Whether there is *name*, or one below it."""
        return name in self.records or any(other.endswith("." + name) for other in self.records)

    def find(self, name: str, kind: str) -> dns.rrset.RRset | None:
        """What stands there of *kind*."""
        values = self.records.get(name, {}).get(kind)
        return dns.rrset.from_text_list(dns.name.from_text(name), TTL, "IN", kind, values) if values else None

    def chain(self, name: str, kind: str) -> tuple[list[dns.rrset.RRset], str]:
        """The answer to a question: aliases that are gone through, then what stands at their end; and that end's name."""
        answer: list[dns.rrset.RRset] = []
        for _ in itertools.repeat(None, MOST_ALIASES):
            alias = self.find(name, "CNAME") if kind != "CNAME" else None
            if alias is None:
                break
            answer.append(alias)
            name = alias[0].target.to_text(omit_final_dot=True).lower()
        found = self.find(name, kind)
        return ([*answer, found] if found is not None else answer), name


def checked_name(text: str) -> str:
    """*text* as a name of the DNS, in lower case, without the last dot. ValueError."""
    try:
        name = dns.name.from_text(text.strip())
    except (dns.exception.DNSException, UnicodeError):
        raise ValueError(f"{text.strip()[:100] or 'nothing'} is no name of the DNS; write one such as mx.green.test") from None
    if name == dns.name.root:
        raise ValueError("write a name such as mx.green.test")
    return name.to_text(omit_final_dot=True).lower()


def _kind(text: str) -> str:
    if text.upper() not in KINDS:
        raise ValueError(f"{text[:20]} is none of {', '.join(KINDS)}")
    return text.upper()


_EXAMPLES = {"MX": "10 mx.green.test", "A": "192.0.2.20", "AAAA": "2001:db8::20", "TXT": '"v=spf1 mx -all"', "CNAME": "mx.green.test",
             "PTR": "mx.green.test", "TLSA": "3 1 1 0123abcd..."}  # fmt: skip


def _read(kind: str, value: str) -> dns.rdata.Rdata:
    text = value.strip()
    if kind == "TXT" and text and not text.startswith('"'):
        text = _quoted(text)
    try:
        if not text or len(text) > LONGEST_VALUE or any(ord(character) < 32 for character in text):
            raise ValueError
        return dns.rdata.from_text("IN", kind, text, origin=dns.name.root, relativize=False)
    except (dns.exception.DNSException, ValueError, UnicodeError):
        raise ValueError(f"{value.strip()[:100]!r} is no value of {kind}; write one such as {_EXAMPLES[kind]}") from None


def _quoted(text: str) -> str:
    """A text as strings of 255 octets at most, as the DNS has them."""
    words = text.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join(f'"{words[start : start + 250]}"' for start in range(0, len(words), 250))
