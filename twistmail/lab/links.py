"""The lines between the offices: in which state each is, and what is open on it.

A `Link` is one direction, from the office that calls to the one that is called. What a state does to
octets is the business of `pipes`, what it does to a letter that is being sent that of `cutting`.
"""

from __future__ import annotations

from typing import Any

WHOLE = "whole"
BLACK_HOLE = "black hole"
SLOW = "slow"
CUT_IN_CONTENT = "cut in content"
CUT_AFTER_DOT = "cut after the dot"
NO_STARTTLS = "no STARTTLS"
WRONG_CERTIFICATE = "wrong certificate"
LINK_STATES = (WHOLE, BLACK_HOLE, SLOW, CUT_IN_CONTENT, CUT_AFTER_DOT, NO_STARTTLS, WRONG_CERTIFICATE)

#: Seconds for which a connection may be in the making.
PATIENCE = 30.0
#: A connection is born into one of these; what was open before, or is open when they end, goes.
FROM_THE_FIRST_OCTET = frozenset({BLACK_HOLE, NO_STARTTLS, WRONG_CERTIFICATE})


class Link:
    """The way from office *origin* to office *to* (their names)."""

    def __init__(self, origin: str, to: str) -> None:
        self.origin = origin
        self.to = to
        self._state = WHOLE
        self.connections: set[Any] = set()  # `outgoing.LabConnection`: what *origin* has open
        self.pipes: set[Any] = set()  # `pipes.Pipe`: what these go through

    @property
    def state(self) -> str:
        """One of LINK_STATES."""
        return self._state

    @state.setter
    def state(self, state: str) -> None:
        if state not in LINK_STATES:
            raise ValueError(f"{state} is none of: {', '.join(LINK_STATES)}")
        ends_what_is_open = state != self._state and FROM_THE_FIRST_OCTET & {state, self._state}
        self._state = state
        if ends_what_is_open:
            self.cut()

    def cut(self) -> None:
        """Break every connection that is open, at once and for both sides."""
        for pipe in tuple(self.pipes):
            pipe.cut()
