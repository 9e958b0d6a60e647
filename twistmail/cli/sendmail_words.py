"""The words of the sendmail command line, as programs have written them for forty years. Pure.

Flags stand together or alone, and an argument may follow its flag at once or as
the next word (getopt). What only made sense in sendmail's own time is taken and
ignored, so that nobody's script fails; what asks for another program is told
which one that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

#: Flags with an argument that we ignore: log tags, hop counts, bodies, precedences, protocols, submitters.
_IGNORED_WITH = frozenset("ABCLOXhp")
_IGNORED = frozenset("GUmnv")
_ELSEWHERE = {
    "-bp": "twistmail queue list", "-bi": "aliases need no rebuilding", "-bd": "twistd twistmail", "-bv": "twistmail alias resolve ADDRESS",
    "-bt": "twistmail policy check", "-q": "twistmail queue flush",
}  # fmt: skip
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
NOTIFICATIONS = frozenset({"never", "success", "failure", "delay"})


class Misused(ValueError):
    """The command line makes no sense; the text says what would."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for. `sender` None: the user himself; "": nobody (`<>`). `dots`: a line of one dot ends the message."""

    recipients: tuple[str, ...] = ()
    sender: str | None = None
    name: str = ""
    from_header: bool = False  # -t: the recipients stand in the header
    dots: bool = True
    notify: str = ""
    ret: str = ""
    envid: str = ""


def read(arguments: Sequence[str]) -> Wanted:
    """What *arguments* (without the program's name) ask for. Raises Misused."""
    wanted = Wanted()
    words = list(arguments)
    recipients: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":
            recipients += words
            break
        if word[:1] in _DASHES and word:
            raise Misused(f"{word} begins with a dash that is no hyphen; did you mean -{word[1:]}?")
        if not word.startswith("-") or word == "-":
            recipients.append(word)
        else:
            wanted = _flags(wanted, word, words)
    return replace(wanted, recipients=tuple(recipients))


def _flags(wanted: Wanted, word: str, words: list[str]) -> Wanted:
    """*word* with one flag or several; an argument that is not in it is taken from *words*."""
    if word[:2] in ("-b", "-q"):
        return _mode(wanted, word)
    if word.startswith("-o"):
        return _option(wanted, word, words)
    at = 1
    while at < len(word):
        flag = word[at]
        at += 1
        if flag == "t":
            wanted = replace(wanted, from_header=True)
        elif flag == "i":
            wanted = replace(wanted, dots=False)
        elif flag in "frFNRV" or flag in _IGNORED_WITH:
            value = word[at:] or _next(flag, words)
            return _valued(wanted, flag, value)
        elif flag == "d":
            break  # debugging, and how much of it
        elif flag not in _IGNORED:
            raise Misused(f"there is no flag -{flag}")
    return wanted


def _mode(wanted: Wanted, word: str) -> Wanted:
    if word == "-bm":
        return wanted
    for flag, other in _ELSEWHERE.items():
        if word.startswith(flag):
            raise Misused(f"{word} is done elsewhere: {other}")
    raise Misused(f"there is no mode {word}")


def _option(wanted: Wanted, word: str, words: list[str]) -> Wanted:
    """-oi and -o i; every other option is harmless."""
    value = word[2:] or _next("o", words)
    return replace(wanted, dots=False) if value == "i" else wanted


def _next(flag: str, words: list[str]) -> str:
    if not words:
        raise Misused(f"-{flag} wants an argument")
    return words.pop(0)


def _valued(wanted: Wanted, flag: str, value: str) -> Wanted:
    match flag:
        case "f" | "r":
            return replace(wanted, sender="" if value in ("", "<>") else value)
        case "F":
            return replace(wanted, name=value)
        case "N":
            asked = value.lower().split(",")
            if not NOTIFICATIONS.issuperset(asked) or ("never" in asked and len(asked) > 1):
                raise Misused(f"-N {value}: write never, or some of success,failure,delay")
            return replace(wanted, notify=value.upper())
        case "R":
            if value.lower() not in ("full", "hdrs"):
                raise Misused(f"-R {value}: write full or hdrs")
            return replace(wanted, ret=value.upper())
        case "V":
            return replace(wanted, envid=value)
    return wanted
