"""One list in the DNS of addresses or of domains (RFC 5782): how it is spelled, asked, understood, and whether it is to be believed.

A list that does not answer costs mail nothing but the time-out, and after a few
failures not even that. A list that lists everybody, as lists do when they die,
or nobody, or that refuses our questions, is switched off: each is tested before
its first answer counts, and hourly from then on (RFC 5782 §5). What a listing
leads to is the business of `policy.blocklists`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.interfaces import DnsTrouble, INameLookup, NoSuchDomain
from twistmail.mail.address import canonical_domain
from twistmail.mail.values import frozen
from twistmail.networks import address_of
from twistmail.options import WORDS, Kind

log = Logger()

#: A range for each octet.
Pattern = tuple[range, range, range, range]

ANY = range(256)
LISTED: Pattern = (range(127, 128), ANY, ANY, ANY)
#: What big lists answer to those whose questions they do not take: "typing error", "public resolver", "too many questions".
REFUSALS: Pattern = (range(127, 128), range(255, 256), range(255, 256), ANY)

RETEST = 3600.0  # seconds between two tests of a list
RETRY = 60.0  # ... where the last test got no answer
QUIET = 60.0  # seconds between two lines in the log about the trouble with one list
MOST_FAILURES = 5  # questions in a row without an answer, after which a list is left in peace
PEACE = 60.0  # ... for so many seconds
MOST_ASKING = 50  # questions under way to one list; who comes then is not asked about
REASON_TIMEOUT = 2.0  # seconds that the text of a listing may take
LONGEST_REASON = 200  # octets
LONGEST_NAME = 253  # octets of a name in the DNS, without its final dot


@frozen
class ListName:
    """A list as a setting names it: its zone, and which of its answers count."""

    zone: str
    counts: Pattern = LISTED

    def __str__(self) -> str:
        return self.zone if self.counts == LISTED else f"{self.zone}={'.'.join(map(_spelled, self.counts))}"


def _spelled(octet: range) -> str:
    if octet == ANY:
        return "*"
    return str(octet[0]) if len(octet) == 1 else f"{octet[0]}-{octet[-1]}"


def _read_octet(text: str) -> range:
    match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?|\*", text)
    if not match:
        raise ValueError
    octet = range(int(match[1]), int(match[2] or match[1]) + 1) if match[1] else ANY
    if not octet or octet[-1] > 255:
        raise ValueError
    return octet


def _read_list(word: str) -> ListName:
    zone, sign, answers = word.partition("=")
    try:
        name = canonical_domain(zone)
    except ValueError:
        name = ""
    if "." not in name or name.startswith("["):
        raise ValueError(f"{zone} is not the zone of a list\nwrite its name, such as zen.example")
    if not sign:
        return ListName(name)
    try:
        first, second, third, fourth = map(_read_octet, answers.split("."))
    except ValueError:
        first = ANY
    if first != LISTED[0]:
        hint = f"write {name}=127.0.0.2-11, or {name}=127.0.*.2; where two ranges count, name the list twice"
        raise ValueError(f"{answers} are not answers of a list\n{hint}")
    return ListName(name, (first, second, third, fourth))


LISTS = Kind("lists in the DNS", lambda text: tuple(map(_read_list, WORDS.read(text))), lambda names: " ".join(map(str, names)))


def _matches(answer: str, pattern: Pattern) -> bool:
    return all(int(octet) in wanted for octet, wanted in zip(answer.split("."), pattern, strict=True))


def reversed_name(address: str) -> str:
    """What stands before the zone for *address*: 7.2.0.192, or the nibbles of an IPv6 address (RFC 5782 §2.1, §2.4). ValueError."""
    parsed = address_of(address)
    if parsed is None:
        raise ValueError(f"{address} is no address")
    return _before_zone(parsed)


def _before_zone(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return address.reverse_pointer.rsplit(".", 2)[0]


@frozen
class Touchstone:
    """What a list has to list, and what it must not, each as people write it and as it is asked (RFC 5782 §5).

    `forgiving`: the first is not kept to by all lists in use, and one that lists nobody does no harm.
    """

    wanted: tuple[str, str]
    unwanted: tuple[str, str]
    forgiving: bool = False


def _addresses(wanted: str, unwanted: str) -> Touchstone:
    return Touchstone((wanted, _before_zone(ipaddress.ip_address(wanted))), (unwanted, _before_zone(ipaddress.ip_address(unwanted))))


#: A list has to pass one of its kind: a list of IPv6 addresses need not know 127.0.0.2.
ADDRESSES = (_addresses("127.0.0.2", "127.0.0.1"), _addresses("::ffff:7f00:2", "::ffff:7f00:1"))
DOMAINS = (Touchstone(("test", "test"), ("invalid", "invalid"), forgiving=True),)


@frozen
class Listing:
    """List `zone` has answered `answer`, and gives `reason`: printable ASCII, perhaps empty."""

    zone: str
    answer: str
    reason: str = ""

    @property
    def rule(self) -> str:
        return f"{self.zone} {self.answer}"


class DnsList:
    """One list. `patterns`: its answers that count, besides the refusals, which never do. `timeout`: seconds a question may take."""

    def __init__(
        self,
        zone: str,
        patterns: tuple[Pattern, ...],
        touchstones: tuple[Touchstone, ...],
        lookup: INameLookup,
        clock: Any,
        *,
        timeout: float,
    ) -> None:
        self.zone = zone
        self._patterns = patterns
        self._touchstones = touchstones
        self._lookup = lookup
        self._clock = clock
        self._timeout = timeout
        self._works: bool | None = None  # None: not known yet
        self._testing: tasks.Deferred[None] | None = None
        self._test_due = float("-inf")
        self._told = float("-inf")
        self._failures = 0
        self._in_peace_until = float("-inf")
        self._asking = 0

    async def find(self, entry: str) -> Listing | None:
        """What the list says of *entry* (`reversed_name`, or a domain); None: nothing, or nothing now. Raises nothing."""
        if self._clock.seconds() < self._in_peace_until or len(entry) + len(self.zone) >= LONGEST_NAME:
            return None
        if self._asking >= MOST_ASKING:
            self._tell(f"{MOST_ASKING} questions wait for their answers already; mail is accepted without it")
            return None
        self._asking += 1
        try:
            answer = await tasks.with_timeout(self._clock, self._timeout, self._listed(entry), self.zone)
            self._failures = 0
            return Listing(self.zone, answer, await self._reason(entry)) if answer else None
        except (DnsTrouble, tasks.TimedOut) as trouble:
            self._failed(trouble)
            return None
        finally:
            self._asking -= 1

    def begin_test(self) -> None:
        """Test the list, if that is due. Returns at once."""
        now = self._clock.seconds()
        if now >= self._test_due:
            self._test_due = now + RETEST
            self._testing = tasks.start(self._test(), f"the test of {self.zone}")

    # ----- questions

    async def _listed(self, entry: str) -> str:
        """The answer that lists *entry*, or "". Waits for the first test. Raises DnsTrouble."""
        self.begin_test()
        if self._works is None and self._testing is not None and not self._testing.called:
            await self._testing
        if not self._works:
            return ""
        answers = await self._answers(entry)
        return next((answer for answer in answers if any(_matches(answer, pattern) for pattern in self._patterns)), "")

    async def _answers(self, entry: str) -> list[str]:
        """What the list answers, but for what no list means (RFC 5782 §2.3) and for its refusals. Raises DnsTrouble."""
        try:
            answers = await self._lookup.ipv4(f"{entry}.{self.zone}")
        except NoSuchDomain:
            return []
        if strange := [answer for answer in answers if not _matches(answer, LISTED) or _matches(answer, REFUSALS)]:
            self._tell(f"its answer {strange[0]} says nothing about {entry}; does it take our questions?")
        return [answer for answer in answers if answer not in strange]

    async def _reason(self, entry: str) -> str:
        """Why, in the words of the list. A listing without words is one too."""
        try:
            texts = await tasks.with_timeout(self._clock, REASON_TIMEOUT, self._lookup.txt(f"{entry}.{self.zone}"), self.zone)
        except (DnsTrouble, tasks.TimedOut):
            return ""
        return sanitised(texts[0]) if texts else ""

    # ----- whether it is to be believed

    async def _test(self) -> None:
        try:
            fault = await tasks.with_timeout(self._clock, self._timeout, self._fault(), self.zone)
        except (DnsTrouble, tasks.TimedOut) as trouble:
            self._test_due = self._clock.seconds() + RETRY
            self._failed(trouble)
            return
        if fault:
            log.error("the DNS list {zone} is switched off: {fault}. It is tested again in an hour", zone=self.zone, fault=fault)
        elif self._works is False:
            log.info("the DNS list {zone} is in order again", zone=self.zone)
        self._works = not fault

    async def _fault(self) -> str:
        """What is wrong with the list, or "". Raises DnsTrouble."""
        fault = ""
        for stone in self._touchstones:
            (wanted, its_entry), (unwanted, entry) = stone.wanted, stone.unwanted
            if await self._answers(entry):
                return f"it lists {unwanted}, so it would list everybody"
            if await self._answers(its_entry):
                return ""
            if stone.forgiving:
                self._tell(f"it does not list the domain {wanted}, as it should (RFC 5782 §5); is it a list of domains?")
                return ""
            fault = fault or f"it does not list {wanted}, as every list in use does"
        return fault

    def _failed(self, trouble: Exception) -> None:
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            self._failures = 0
            self._in_peace_until = self._clock.seconds() + PEACE
        self._tell(f"{trouble}; mail is accepted without it")

    def _tell(self, what: str) -> None:
        now = self._clock.seconds()
        if now - self._told >= QUIET:
            self._told = now
            log.warn("the DNS list {zone}: {what}", zone=self.zone, what=what)


def sanitised(text: bytes) -> str:
    """*text* of a stranger as printable ASCII of bounded length, fit for a reply."""
    return "".join(chr(octet) if 32 <= octet < 127 else "?" for octet in text[:LONGEST_REASON])


def lists(
    names: Iterable[ListName], touchstones: tuple[Touchstone, ...], lookup: INameLookup, clock: Any, *, timeout: float
) -> tuple[DnsList, ...]:
    """The lists that *names* name, in order; one that is named several times is one list with several answers that count."""
    patterns: dict[str, tuple[Pattern, ...]] = {}
    for name in names:
        patterns[name.zone] = (*patterns.get(name.zone, ()), name.counts)
    return tuple(DnsList(zone, counted, touchstones, lookup, clock, timeout=timeout) for zone, counted in patterns.items())
