"""What an address stands for, as one source of aliases tells it: one step of an expansion. Values; who follows them is `expansion`.

As text each is written the way that aliases(5) and its relatives write it.
"""

from __future__ import annotations

from twistmail.mail.address import Address
from twistmail.mail.status import Status
from twistmail.mail.values import frozen


@frozen
class Final:
    r"""`\fred` of aliases(5): the account of that name; none of its aliases, and not where it forwards its mail to."""

    address: Address

    def __str__(self) -> str:
        return f"\\{self.address}"


@frozen
class ToFile:
    """`/var/archive/box`: mail is appended to the mbox file *path*; to the maildir there where it ends with a slash."""

    path: str

    def __str__(self) -> str:
        return _quoted(self.path)


@frozen
class ToProgram:
    """`|program words`: mail is given to a program. `command` is what stands behind the bar; no shell ever sees it."""

    command: str

    def __str__(self) -> str:
        return _quoted(f"|{self.command}")


@frozen
class ToList:
    """`[list:NAME]`: mail is sent to the members of a mailing list, as a new message. `name` is the address by which it was called."""

    name: str

    def __str__(self) -> str:
        return f"[list:{self.name}]"


@frozen
class Refusal:
    """`:fail: text`, `:defer: text`, `error:5.1.6 text`: the answer to whoever writes to that address."""

    status: Status

    def __str__(self) -> str:
        return f":{'defer' if self.status.is_temporary else 'fail'}: {self.status}"


@frozen
class Discard:
    """`:blackhole:`, `discard:`, `/dev/null`: mail is taken and thrown away."""

    def __str__(self) -> str:
        return ":blackhole:"


#: One of the things that an alias can lead to. An Address without a domain means that name in the domain of the alias.
Goal = Address | Final | ToFile | ToProgram | ToList | Refusal | Discard


@frozen
class Step:
    """What an address stands for.

    `goals` stand in written order and are never none. `origin` says where that is written ("/etc/aliases:12"), for people.
    `owner` gets the reports about what goes on from here: it becomes the sender of the envelope (`owner-NAME`; sendmail, Postfix).
    """

    goals: tuple[Goal, ...]
    origin: str = ""
    owner: Address | None = None

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Those of the goals that are addresses."""
        return tuple(goal for goal in self.goals if isinstance(goal, Address))


def _quoted(item: str) -> str:
    """*item*, in quotes where it would be read as more than one, or as another."""
    plain = not any(character.isspace() or character in ',"\\#' for character in item)
    return item if plain else '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'
