r"""What people write into ~/.forward: text to goals, with the line of everything that is wrong, and back. Pure.

    # a comment
    \james, james@example.com          a copy stays here
    "/home/james/archive"              a file, where those are allowed
    "|/usr/local/bin/sort-my-mail"     a program, likewise

As on the right of an alias (aliases(5)), but lines end what commas do not: an
entry a line, or several with commas between them. Everything is understood;
what may not be done here is told apart from what means nothing, and neither is
ever passed over: whoever asks is told that mail for it has to wait.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from twistmail.mail import address as addresses
from twistmail.mail.address import Address
from twistmail.mail.alias import Discard, Final, Goal, ToFile, ToProgram
from twistmail.watched import Broken

MOST_GOALS = 100
LONGEST_TEXT = 64 * 1024
NULL = "/dev/null"
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ESCAPED = re.compile(r"\\([\"\\])")
#: How something begins that is no address, or would be none.
_OTHERS = ("#", "|", "/", "~", "$", ":")
_SPECIAL = re.compile(r":[a-z]+:")


@dataclass(frozen=True, slots=True)
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
        if _CONTROLS.search(line) or not _is_text(line):
            problems.append((number, "there are characters in it that are no text"))
            continue
        try:
            yield from ((number, item) for item in _divided(line))
        except ValueError as error:
            problems.append((number, str(error)))


def _is_text(line: str) -> bool:
    """Whether it can be written as UTF-8: what was read and was none has surrogates in it."""
    return not any("\ud800" <= character <= "\udfff" for character in line)


def _divided(line: str) -> list[str]:
    """The items of *line*, commas in double quotes left alone. ValueError where a quote does not end."""
    items, start, quoted, escaped = [], 0, False, False
    for place, character in enumerate(line):
        if escaped:
            escaped = False
        elif character == "\\" and quoted:
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            items.append(line[start:place])
            start = place + 1
    if quoted:
        raise ValueError("a quotation does not end on its line")
    items.append(line[start:])
    return [stripped for item in items if (stripped := item.strip(" \t"))]


def _goal(item: str, allowed: Permissions) -> Goal:
    """What *item* stands for. ValueError where it is nothing, or may not be."""
    bare = _unquoted(item)
    if bare.startswith("|"):
        return _program(_unquoted(bare[1:].strip(" \t")), allowed)
    if bare == NULL:
        return Discard()
    if bare.startswith("/"):
        if not allowed.files:
            raise ValueError(f"{bare} is a file, and mail is put into no file {allowed.why}")
        return ToFile(bare)
    if bare.startswith(("~", "$")):
        raise ValueError(f"{bare}: write the whole path of a file")
    if _SPECIAL.match(bare):
        raise ValueError(f"{bare.partition(':')[0]}:{bare.split(':')[1]}: is for the aliases of the house, not for a forward")
    if bare.startswith("\\"):
        return Final(addresses.parse(bare[1:]))
    return _address(item)


def _program(command: str, allowed: Permissions) -> Goal:
    word = command.split(" ", 1)[0].rpartition("/")[2]
    if word == "vacation":
        raise ValueError("vacation is not built in yet, and no program of that name is run; take it out")
    if not command:
        raise ValueError("there is no program behind the bar")
    if not allowed.programs:
        raise ValueError(f"{word} is a program, and none is run {allowed.why}")
    return ToProgram(command)


def _address(item: str) -> Address:
    """Bare, or as `Name <address>`."""
    if item.endswith(">") and (angle := item.rfind("<")) >= 0:
        return addresses.parse(item[angle + 1 : -1])
    bare = _unquoted(item)
    if bare != item and "@" in bare:  # the whole address in quotes, as aliases(5) has it, and not a quoted local part
        return addresses.parse(bare)
    if any(character in " \t" for character in item) and not item.startswith('"'):
        raise ValueError(f"{item!r} has white space in it; divide addresses by commas")
    return addresses.parse(item)


def _unquoted(item: str) -> str:
    """*item* without the double quotes around the whole of it."""
    if len(item) > 1 and item[0] == item[-1] == '"':
        return _ESCAPED.sub(r"\1", item[1:-1])
    return item


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
