"""What a scheme is: a name, how its secret is spelled, what compares a password with it, and what makes one.

Everything that can be wrong with a stored secret, and all work that it may ask
of us, is looked at when it is read; comparing cannot fail after that.
"""

from __future__ import annotations

from collections.abc import Callable

from twistmail.mail.values import frozen

#: What a stored hash may ask of us at most. A table may come from elsewhere, and every login pays.
MOST_MEMORY = 1024 * 1024 * 1024  # octets
MOST_ROUNDS = 5_000_000  # of an HMAC or a hash: two seconds or so

#: (password, name) -> is it that one? `name` is the login, which few schemes mix in.
Match = Callable[[bytes, str], bool]
#: Octets by chance: so many.
Chance = Callable[[int], bytes]
#: (password, name, chance) -> the secret as it is kept
Make = Callable[[bytes, str, Chance], bytes]


class UnknownScheme(ValueError):
    """A stored password of a kind that we cannot compare; the text says which and what would do."""


class TooMuchWork(UnknownScheme):
    """A stored hash asks for more memory or time than we give."""

    def __init__(self) -> None:
        super().__init__("a password hash asks for more memory or time than we give\nhash it again with ordinary parameters")


@frozen
class Scheme:
    """One way of keeping passwords. `read` gives what compares with a secret; ValueError where that is none, TooMuchWork.

    `encoding` is how octets that are no text are written ("hex" or "base64", where a suffix of the name says nothing), `length`
    how many there are (0: any number). `slow`: a comparison takes long on purpose, so that guessing is dear.
    """

    name: str
    read: Callable[[bytes], Match]
    make: Make | None = None
    encoding: str = ""
    length: int = 0
    slow: bool = False


def bounded(rounds: int, memory: int = 0) -> int:
    """*rounds*, where neither they nor so many octets of *memory* are more than we give. TooMuchWork, ValueError where there is none."""
    if rounds < 1:
        raise ValueError("no rounds at all")
    if rounds > MOST_ROUNDS or memory > MOST_MEMORY:
        raise TooMuchWork
    return rounds
