"""What a row of the table of commands is: how a command is read, and in which states it is legal.

The table itself is `grammar.COMMANDS`. A family of commands has a module of its own beside this one: its values, the functions
that read their arguments, and `ROWS`, which `grammar` puts into the table.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from twistmail.mail.values import frozen
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.tokens import Cursor


class State(Enum):
    """Where a connection is (RFC 3501 §3); the fourth state, logout, is the wire's `wants` being CLOSE."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"


ANY = frozenset(State)
BEFORE_LOGIN = frozenset({State.NOT_AUTHENTICATED})
AFTER_LOGIN = frozenset({State.AUTHENTICATED, State.SELECTED})
WITH_MAILBOX = frozenset({State.SELECTED})

Parse = Callable[[Cursor, bytes], c.Command]


@frozen
class Row:
    """How a command is read and in which states it is legal."""

    parse: Parse
    states: frozenset[State]

    def objection(self, state: State) -> str:
        """Why the command is not legal in *state*, or ""."""
        if state in self.states:
            return ""
        if state is State.NOT_AUTHENTICATED:
            return "Please log in first"
        return "You have logged in already" if self.states is BEFORE_LOGIN else "Please select a mailbox first"


def bare(kind: Callable[[bytes], c.Command]) -> Parse:
    """A command without arguments."""
    return lambda cursor, tag: kind(tag)


def one_mailbox(kind: Callable[[bytes, str], c.Command]) -> Parse:
    """A command with the name of a mailbox."""

    def parse(cursor: Cursor, tag: bytes) -> c.Command:
        cursor.space()
        return kind(tag, cursor.mailbox())

    return parse
