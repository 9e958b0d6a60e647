"""How fast, and when, mail may go one way: what an operator has said of it, as a value."""

from __future__ import annotations

from twistmail.mail.hours import ALWAYS, Hours
from twistmail.mail.values import frozen


@frozen
class Pace:
    """`name` is that of the rule ("route:part.example"; empty: what holds for all others): mail for one place that goes by
    different rules waits in different lines. `most`: connections at a time (None: as for all others). `rates`: (messages,
    seconds), all of which are kept. `hours`: when the line is up.
    """

    name: str = ""
    most: int | None = None
    rates: tuple[tuple[int, float], ...] = ()
    hours: Hours = ALWAYS

    def __hash__(self) -> int:
        """Of what differs between most; asked for each message."""
        return hash(self.name)


USUAL = Pace()
