r"""What people write into ~/.forward: text to goals, with the line of everything that is wrong, and back. Pure.

    # a comment
    \james, james@example.com          a copy stays here
    "/home/james/archive"              a file, where those are allowed
    "|/usr/local/bin/sort-my-mail"     a program, likewise

As on the right of an alias (aliases(5)), but lines end what commas do not: an
entry a line, or several with commas between them. What an entry can be is the
business of `items`; what may not be done here is told apart from what means
nothing, and neither is ever passed over: whoever asks is told that mail for it
has to wait.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from twistmail.aliases import items
from twistmail.mail.address import Address
from twistmail.mail.alias import Discard, Final, Goal, Refusal, ToFile, ToProgram
from twistmail.mail.commands import words_of
from twistmail.mail.values import frozen
from twistmail.watched import Broken

MOST_GOALS = 100
LONGEST_TEXT = 64 * 1024
NULL = "/dev/null"
#: Controls, and what stands for octets that were no UTF-8.
_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
#: How something begins that is no address, or would be none.
_OTHERS = ("#", "|", "/", "~", "$", ":")


@frozen
class Permissions:
    """What a forward may lead to, beside addresses and mailboxes. *why*: who has said so, for whoever finds that it may not."""

    files: bool = False
    programs: bool = False
    why: str = "here"


def read(text: str, allowed: Permissions) -> tuple[Goal, ...]:
    """The goals in *text*, in order, each once; none where nothing but comments is written. Broken, with all that is wrong."""
    goals: dict[Goal, None] = {}
    problems: list[tuple[int, str]] = []
    for number, item in _items(text, problems):
        try:
            goals.setdefault(_goal(item, allowed))
        except ValueError as error:
            problems.append((number, str(error).partition("\n")[0]))
        if len(goals) > MOST_GOALS:
            problems.append((number, f"there are more than {MOST_GOALS} entries"))
            break
    if problems:
        raise Broken(problems)
    return tuple(goals)


def _items(text: str, problems: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """(line, item) of what lines and commas divide, without comments."""
    if len(text) > LONGEST_TEXT:
        problems.append((1, f"the text is longer than {LONGEST_TEXT} characters"))
        return
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r").strip(" \t")
        if not line or line.startswith("#"):
            continue
        if _NO_TEXT.search(line):
            problems.append((number, "there are characters in it that are no text"))
            continue
        yield from ((number, item) for _, item in items.split(line))


def _goal(item: str, allowed: Permissions) -> Goal:
    """What *item* stands for. ValueError where it is nothing, or may not be."""
    if item.startswith(("~", "$")) and "@" not in item:
        raise ValueError(f"{item}: write the whole path of a file")
    found = items.read(item)
    match found:
        case items.Include() | Refusal():
            raise ValueError(f"{item.split()[0]} is for the aliases of the house, not for a forward")
        case ToFile(path) if not allowed.files:
            raise ValueError(f"{path} is a file, and mail is put into no file {allowed.why}")
        case ToProgram(command):
            _may_be_run(command, allowed)
    return found


def _may_be_run(command: str, allowed: Permissions) -> None:
    """ValueError where the program of *command* may not, or could not."""
    program = command.split()[0].rpartition("/")[2]
    if program == "vacation":
        raise ValueError("vacation is not built in yet, and no program of that name is run; take it out")
    if not allowed.programs:
        raise ValueError(f"{program} is a program, and none is run {allowed.why}")
    words_of(command)


# ----- back


def written(goals: Iterable[Goal]) -> str:
    """*goals* as `read` reads them: one a line."""
    return "".join(_item(goal) + "\n" for goal in goals)


def _item(goal: Goal) -> str:
    match goal:
        case Final(address):
            return f"\\{address}"
        case ToFile(path):
            return _quoted(path)
        case ToProgram(command):
            return _quoted(f"|{command}")
        case Discard():
            return NULL
        case Address():
            return f"<{goal}>" if str(goal).startswith(_OTHERS) else str(goal)
    raise ValueError(f"{goal} is no goal of a forward")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
