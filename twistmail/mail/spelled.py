"""The names that an address may have when what stands behind a separator is left out (RFC 5233). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from twistmail.mail.address import Address

#: Shorter names of one address that are tried: nobody means more, and each is a question to every table.
MOST_STEMS = 4


def spellings(address: Address, separators: str) -> tuple[Address, ...]:
    """*address* itself, then without what follows each of *separators* (characters) in it, the longest first (RFC 5233)."""
    found = places(address.local, separators)
    return (address, *(Address(address.local[:place], address.domain) for place in found)) if found else (address,)


def places(local: str, separators: str) -> list[int]:
    """Where *local* may be cut, the last place first; of many, the last few and the first."""
    found = [place for separator in separators for place in _all(local, separator)]
    found.sort(reverse=True)
    return found if len(found) <= MOST_STEMS else [*found[: MOST_STEMS - 1], found[-1]]


def _all(local: str, separator: str) -> Iterator[int]:
    place = local.find(separator, 1)
    while place > 0:
        yield place
        place = local.find(separator, place + 1)
