"""Short identifiers of connections and messages: the same in reply, Received field, log and trace.

`6k3fa2-9akq`: the second of birth since 2020 and a counter, in Crockford's base
32 (no i, l, o or u, so that it survives being read out on the telephone). The
counter starts anywhere, so a process that is restarted within a second does not
repeat itself; it may be typed as any unique beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
EPOCH = 1_577_836_800  # 2020-01-01T00:00:00Z
COUNTERS = 1 << 20

_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_VALUES = {pair: value for value, pair in enumerate(_PAIRS)}


def identifiers(now: Callable[[], float], start: int) -> Iterator[str]:
    """Endless identifiers; *start* (0 to COUNTERS - 1) should be random."""
    second, stem, counter = -1, "", start
    while True:
        if (current := int(now()) - EPOCH) != second:
            second = current
            stem = _PAIRS[second >> 20 & 1023] + _PAIRS[second >> 10 & 1023] + _PAIRS[second & 1023] + "-"
        counter = (counter + 1) % COUNTERS
        yield stem + _PAIRS[counter >> 10] + _PAIRS[counter & 1023]


def born(identifier: str) -> float:
    """The POSIX second in which *identifier* was made. ValueError where it is none."""
    stem = identifier.partition("-")[0]
    try:
        if len(stem) == 6:
            return float((_VALUES[stem[:2]] << 20 | _VALUES[stem[2:4]] << 10 | _VALUES[stem[4:]]) + EPOCH)
    except KeyError:
        pass
    raise ValueError(f"{identifier!r} is not a message or connection id")
