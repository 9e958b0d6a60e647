"""The words of the sendmail command line, as programs have written them for forty years. Pure.

Flags stand together or alone, and an argument may follow its flag at once or as
the next word (getopt). What only made sense in sendmail's own time is taken and
ignored, so that nobody's script fails; what asks for another program is told
which one that is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from twistmail.mail import verp

#: Flags with an argument that we ignore: log tags, hop counts, bodies, precedences, protocols, submitters.
_IGNORED_WITH = frozenset("ABDLOXehp")
_IGNORED = frozenset("GUcmnvx")
_ELSEWHERE = {
    "-bd": "twistd twistmail runs the server", "-bD": "twistd -n twistmail runs the server",
    "-bt": "twistmail policy check",
}  # fmt: skip
#: What follows -q to tell which messages are meant, and what of them it is a part of.
_PARTS = {"R": "recipient", "S": "sender", "I": "id"}
#: -q30m, -qf, -qp1h: how often, and by what process; a server that runs does it by itself.
_TIMES = re.compile(r"[fp]{0,2}\d[\dsmhdw]*|[fp]{1,2}", re.ASCII)
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
NOTIFICATIONS = frozenset({"never", "success", "failure", "delay"})


class Misused(ValueError):
    """The command line makes no sense; the text says what would."""


class Task(Enum):
    """What the program is called for."""

    SEND = "send a message"
    LIST = "list what waits"  # -bp, or called mailq
    FLUSH = "try what waits"  # -q
    SPEAK = "speak SMTP"  # -bs
    VERIFY = "look addresses up"  # -bv
    ALIASES = "have alias files read"  # -bi, or called newaliases
    NOTHING = "nothing"  # -q30m: the server does it by itself


#: What -bX makes of it.
_MODES = {"-bp": Task.LIST, "-bs": Task.SPEAK, "-bv": Task.VERIFY, "-bi": Task.ALIASES}


@dataclass(frozen=True)
class Wanted:
    """What is asked for. `sender` None: the user himself; "": nobody (`<>`). `dots`: a line of one dot ends the message.

    `parts`: of what waits, only that of which these are parts of "recipient", "sender" or "id".
    """

    recipients: tuple[str, ...] = ()
    sender: str | None = None
    name: str = ""
    from_header: bool = False  # -t: the recipients stand in the header
    dots: bool = True
    notify: str = ""
    ret: str = ""
    envid: str = ""
    verp: str = ""  # -XV: a sender for each recipient, as `Wishes.verp`
    task: Task = Task.SEND
    parts: tuple[tuple[str, str], ...] = ()
    as_json: bool = False
    config: str = ""  # -C


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
        if word == "--json":
            wanted = replace(wanted, as_json=True)
            continue
        if word[:1] in _DASHES and word:
            raise Misused(f"{word} begins with a dash that is no hyphen; did you mean -{word[1:]}?")
        if not word.startswith("-") or word == "-":
            recipients.append(word)
        else:
            wanted = _flags(wanted, word, words)
    return replace(wanted, recipients=tuple(recipients))


def _flags(wanted: Wanted, word: str, words: list[str]) -> Wanted:
    """*word* with one flag or several; an argument that is not in it is taken from *words*."""
    if word[:2] == "-b":
        return _mode(wanted, word)
    if word[:2] == "-q":
        return _queue(wanted, word[2:])
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
        elif flag == "I":
            wanted = _mode(wanted, "-bi")
        elif flag in "CfrFNRV" or flag in _IGNORED_WITH:
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
    if word in _MODES:
        return replace(wanted, task=_MODES[word])
    for flag, other in _ELSEWHERE.items():
        if word.startswith(flag):
            raise Misused(f"{word} is done elsewhere: {other}")
    raise Misused(f"there is no mode {word}")


def _queue(wanted: Wanted, text: str) -> Wanted:
    """-q, -qRpart, -qSpart, -qIpart; -q30m. Beside -bp they tell what is listed."""
    if _TIMES.fullmatch(text):
        return wanted if wanted.task is not Task.SEND else replace(wanted, task=Task.NOTHING)
    if text[:1] == "!" or (text and text[0] not in _PARTS) or len(text) == 1:
        raise Misused(f"-q{text} is no order; write -q, -qRpart, -qSpart or -qIid (part of a recipient, of the sender, or an id), or -q30m")
    parts = (*wanted.parts, (_PARTS[text[0]], text[1:])) if text else wanted.parts
    return replace(wanted, task=Task.LIST if wanted.task is Task.LIST else Task.FLUSH, parts=parts)


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
        case "C":
            return replace(wanted, config=value)
        case "X" if value[:1] == "V" and len(value) <= 3:  # Postfix's; all other -X are files that sendmail wrote its dialogues to
            if value != "V" and not verp.are_delimiters(value[1:]):
                raise Misused(f"-X{value}: write -XV, or behind it two of {' '.join(verp.MARKS)}, as in -XV{verp.USUAL}")
            return replace(wanted, verp=value[1:] or verp.AS_USUAL)
    return wanted
