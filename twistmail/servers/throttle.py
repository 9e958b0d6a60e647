"""How long somebody waits who keeps giving wrong passwords, and when we stop listening to him.

Failures are remembered per peer (an IPv4 address, an IPv6 /64 network) and per
login. A failure's answer is delayed by both. Only a peer can be refused, never
a login, so nobody can lock somebody else out: a login at which many guess is
looked at later where it comes from a network that it never came from, and at
once where it did. A program that says the same wrong password again and again
is no guesser, and one guess. Memory is bounded: the keys that were quiet for
longest are forgotten first. Times are given, in seconds of any one clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from typing import Generic, TypeVar

T = TypeVar("T")

#: limits.md auth.*: the first delay, doubled by each failure, and its end.
FIRST_DELAY = 2.0
LONGEST_DELAY = 15.0
#: Failures count towards the delay for so many seconds.
DELAY_MEMORY = 300.0
#: (guesses, seconds): more than so many in so long, and the peer is not listened to.
RATES = ((10, 60.0), (50, 86_400.0))
MOST_KEYS = 20_000
MOST_DOUBLINGS = 8
#: Guesses at one login within DELAY_MEMORY after which strangers to it wait before they are looked at.
CALM = 5
#: Different wrong passwords of one peer that are known again; networks of one login.
MOST_GIVEN = 32
MOST_FAMILIAR = 4


@dataclass(slots=True)
class _Record:
    """The failures of a peer or a login: when they were, when they were something new, and (keyed) what was given."""

    times: list[float] = field(default_factory=list)
    guesses: list[float] = field(default_factory=list)
    given: list[bytes] = field(default_factory=list)


class _Memory(Generic[T]):
    """Values by key, at most *most*; the one that was quiet for longest goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str) -> T | None:
        return self._values.get(key)

    def at(self, key: str, make: Callable[[], T]) -> T:
        """The value of *key*, made where there is none; it is the youngest now."""
        value = self._values.get(key)
        if value is None:
            value = self._values[key] = make()
            if len(self._values) > self._most:
                self._values.popitem(last=False)
        self._values.move_to_end(key)
        return value

    def pop(self, key: str) -> None:
        self._values.pop(key, None)

    def __len__(self) -> int:
        return len(self._values)


class Throttle:
    """Remembers failures. One per server: all services share it.

    `rates` may be changed at any time. *key* is secret and of this process. *spares*(address): one that is never refused.
    """

    def __init__(self, rates: Sequence[tuple[int, float]] = RATES, most_keys: int = MOST_KEYS, *, key: bytes = b"",
                 spares: Callable[[str], bool] = lambda address: False) -> None:
        self.rates = tuple(rates)
        self._key = key
        self._spares = spares
        self._peers = _Memory[_Record](most_keys)
        self._logins = _Memory[_Record](most_keys)
        self._familiar = _Memory[list[str]](most_keys)
        self._under_way: dict[str, int] = {}

    def refuses(self, address: str, now: float) -> bool:
        """Has *address* guessed so often that even a right password is not looked at?"""
        return self._is_over(network_of(address), now, 0) and not self._spares(address)

    def is_crowded(self, address: str, now: float) -> bool:
        """Are as many comparisons under way for *address*, which has failed before, as it may still fail? Then others wait for them."""
        network = network_of(address)
        under_way = self._under_way.get(network, 0)
        record = self._peers.get(network) if under_way else None
        return record is not None and bool(record.guesses) and self._is_over(network, now, under_way) and not self._spares(address)

    @contextmanager
    def trying(self, address: str) -> Iterator[None]:
        """While a password of *address* is compared."""
        network = network_of(address)
        self._under_way[network] = self._under_way.get(network, 0) + 1
        try:
            yield
        finally:
            self._under_way[network] -= 1
            if not self._under_way[network]:
                del self._under_way[network]

    def hold(self, address: str, login: str, now: float) -> float:
        """Seconds for which *login* from *address* is not looked at: because others guess at it, and it never came from there."""
        record = self._logins.get(login.lower())
        if record is None:
            return 0.0
        guesses = sum(now - at < DELAY_MEMORY for at in record.guesses)
        if guesses < CALM or network_of(address) in (self._familiar.get(login.lower()) or ()):
            return 0.0
        return _delay(guesses - CALM + 1)

    def failed(self, address: str, login: str, now: float, given: str = "") -> float:
        """Note a failure; the seconds by which its answer is to be delayed. *given*: the wrong password, if there was one."""
        print_ = self._fingerprint(login, given) if given else b""
        kept = max(MOST_DOUBLINGS, *(count for count, _ in self.rates)) if self.rates else MOST_DOUBLINGS
        peer, guessed = self._peers.at(network_of(address), _Record), self._logins.at(login.lower(), _Record)
        is_new = print_ not in peer.given
        for record in (peer, guessed):
            _note(record.times, now, kept)
            if is_new:
                _note(record.guesses, now, kept)
        if print_ and is_new:
            peer.given.append(print_)
            del peer.given[:-MOST_GIVEN]
        return _delay(max(sum(now - at < DELAY_MEMORY for at in record.times) for record in (peer, guessed)))

    def succeeded(self, login: str, address: str = "") -> None:
        """*login* got in: his own earlier slips delay nobody any more. The peer's do: one good account must not buy guesses.

        From the network of *address* he is known from now on; elsewhere he is still guessed at.
        """
        if (record := self._logins.get(login.lower())) is not None:
            record.times.clear()
        if address:
            networks, network = self._familiar.at(login.lower(), list), network_of(address)
            if network not in networks:
                networks.append(network)
                del networks[:-MOST_FAMILIAR]

    def forgive(self, address: str) -> None:
        """What *address* has done is forgotten: an operator says so."""
        self._peers.pop(network_of(address))

    def __len__(self) -> int:
        return len(self._peers) + len(self._logins)

    def _is_over(self, network: str, now: float, more: int) -> bool:
        """Would *more* guesses of *network* now be too many?"""
        record = self._peers.get(network)
        guesses = record.guesses if record is not None else ()
        return any(sum(now - at < seconds for at in guesses) + more >= count for count, seconds in self.rates)

    def _fingerprint(self, login: str, given: str) -> bytes:
        return blake2b(login.encode("utf-8", "replace") + b"\0" + given.encode("utf-8", "replace"), key=self._key, digest_size=8).digest()


def _note(times: list[float], now: float, kept: int) -> None:
    times.append(now)
    del times[:-kept]


def _delay(failures: int) -> float:
    return min(FIRST_DELAY * 2.0 ** (min(failures, MOST_DOUBLINGS) - 1), LONGEST_DELAY)


def network_of(address: str) -> str:
    """What counts as one peer: the IPv4 address, the IPv6 /64 network, or the text itself ("unix")."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> 64 << 64)) + "/64"
    return str(parsed)
