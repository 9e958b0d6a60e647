"""What stands in the file that `:include:/path` names: members, divided by commas or new lines; comments begin with #. Pure.

A list is taken whole or not at all: with a mistake in it the old list stays
(`watched`), and where there never was a good one mail for it waits.
"""

from __future__ import annotations

from twistmail.aliases import items, scan
from twistmail.aliases.items import Include
from twistmail.aliases.parse import MOST_PROBLEMS
from twistmail.mail.alias import Goal, Refusal, ToFile, ToProgram
from twistmail.mail.values import frozen
from twistmail.watched import Broken, lines_of

MOST_MEMBERS = 100_000
MOST_OCTETS = 8 * 1024 * 1024


@frozen
class Members:
    """The members of one file, in written order; `special` are those that need a permission: (line, item)."""

    items: tuple[Goal | Include, ...]
    special: tuple[tuple[int, ToFile | ToProgram | Include], ...]

    @property
    def is_plain(self) -> bool:
        """Whether the items are goals, all of them."""
        return not any(isinstance(item, Include) for _, item in self.special)


def parse(text: str) -> Members:
    """What *text* says. Broken."""
    found: list[Goal | Include] = []
    special: list[tuple[int, ToFile | ToProgram | Include]] = []
    problems: scan.Problems = []
    for number, line in enumerate(lines_of(text), 1):
        bare = line.strip()
        if not bare or bare[0] == "#":
            continue
        for _, word in items.split(bare):
            try:
                item = items.read(word)
            except ValueError as error:
                problems.append((number, str(error)))
                continue
            if isinstance(item, Refusal):
                problems.append((number, "an answer is no member of a list"))
            if isinstance(item, ToFile | ToProgram | Include):
                special.append((number, item))
            found.append(item)
        if len(found) > MOST_MEMBERS:
            problems.append((number, f"there are more than {MOST_MEMBERS} members"))
        if len(problems) > MOST_PROBLEMS or len(found) > MOST_MEMBERS:
            break
    if problems:
        raise Broken(problems)
    return Members(tuple(found), tuple(special))
