r"""The rules of header and body checks: text to rules, with the line of every mistake and what would be right. Pure.

    # what, where, which, and what to do
    header Subject /^worm alert/i           reject We take no worms
    header X-Secret                         remove
    header Subject /\[spam\]/               replace [suspicious]
    header X-Mailer /bulk ?mailer/i         add X-Bulk: yes
    header * /^X-.*: exploit/               discard
    body /cheap (pills|watches)/i           hold cheap things
    body /filename=.*\.(exe|scr)/i          reject 554 5.7.1 No programs, please

One rule a line. After `header` comes the name of a field, or * for all (the
expression then sees `Name: value`); without an expression the field's presence is
enough. Expressions stand between slashes (\/ is a slash in one), an i behind them
means that case does not matter; their syntax is in `patterns`. What can be done:

    reject [CODE [D.S.N]] [TEXT]    550 5.7.1 unless it says otherwise
    hold [REASON]                   into the queue, for the postmaster to look at
    discard                         answered as accepted, and thrown away
    add NAME: VALUE                 put a field in front of the header, once
    remove                          take the fields that fit out of the header
    replace VALUE                   give the fields that fit this value
"""

from __future__ import annotations

import re
from enum import Enum

from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.policy.patterns import Pattern, PatternError
from twistmail.watched import Broken

MOST_RULES = 1000
MOST_MISTAKES = 20
LONGEST_LINE = 4000
#: Octets of a field that is added (RFC 5322 §2.1.1 without its line end).
LONGEST_FIELD = 998

REJECTED = Status(550, "5.7.1", "The content of the message is not accepted here")
#: Stands for every field.
ALL = "*"

_FIELD_NAME = re.compile(r"[!-9;-~]{1,200}")
_REPLY = re.compile(r"([0-9]{3})(?:[ \t]+([245]\.[0-9]{1,3}\.[0-9]{1,3}))?(?:[ \t]+(.*))?")
#: Fields that are the trace of a message, or say how to read it: nobody may take them away.
KEPT = frozenset({"received", "return-path", "content-transfer-encoding", "mime-version"})


class Act(Enum):
    """What a rule does with a message that it fits."""

    REJECT = "reject"
    HOLD = "hold"
    DISCARD = "discard"
    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@frozen
class Check:
    """One rule. `field`: of the header (lower case, or ALL); None: of the body. `pattern` None: whatever its value is.

    `status` is that of a rejection, `text` the reason of a hold or the new value, `added` the field to add.
    """

    line: int
    act: Act
    field: str | None = None
    pattern: Pattern | None = None
    status: Status | None = None
    text: str = ""
    added: tuple[bytes, bytes] = (b"", b"")


@frozen
class Checks:
    """All rules of a file, those of headers and those of bodies, each in order."""

    headers: tuple[Check, ...] = ()
    bodies: tuple[Check, ...] = ()


class _Mistake(ValueError):
    """What is wrong with a line, and what would be right."""


def parse(text: str) -> Checks:
    """All rules of *text*. Broken, with lines, where there are mistakes."""
    found: list[Check] = []
    mistakes: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        try:
            if len(found) >= MOST_RULES:
                raise _Mistake(f"there are more than {MOST_RULES} rules")
            found.append(_check(line, number))
        except (_Mistake, PatternError) as mistake:
            mistakes.append((number, str(mistake)))
            if len(mistakes) >= MOST_MISTAKES:
                break
    if mistakes:
        raise Broken(mistakes)
    return Checks(tuple(one for one in found if one.field is not None), tuple(one for one in found if one.field is None))


def _check(line: str, number: int) -> Check:
    if len(line) > LONGEST_LINE:
        raise _Mistake(f"the line is longer than {LONGEST_LINE} letters")
    what, rest = _word(line)
    field: str | None = None
    if what.lower() == "header":
        field, rest = _word(rest)
        field = field.lower().removesuffix(":")
        if field.startswith("/") or not _FIELD_NAME.fullmatch(field):
            raise _Mistake("header wants the name of a field; write header Subject /.../ or header * /.../")
    elif what.lower() != "body":
        raise _Mistake(f"{what} is nothing that can be checked; write header NAME /.../ ACTION or body /.../ ACTION")
    pattern, rest = _pattern(rest)
    if pattern is None and field in (None, ALL):
        raise _Mistake("this would fit every message; write an expression, such as /cheap pills/i")
    word, argument = _word(rest)
    return _acting(number, word, argument, field, pattern)


def _word(text: str) -> tuple[str, str]:
    """The first word of *text*, and what follows."""
    word, *rest = text.split(None, 1) or [""]
    return word, rest[0] if rest else ""


def _pattern(text: str) -> tuple[Pattern | None, str]:
    """The expression at the beginning of *text*, None where there is none, and what follows."""
    if not text.startswith("/"):
        return None, text
    end = 1
    while end < len(text) and text[end] != "/":
        end += 2 if text[end] == "\\" else 1
    if end >= len(text):
        raise _Mistake("the expression is not closed; write a second slash")
    flags, rest = _word(text[end:])
    if flags not in ("/", "/i"):
        raise _Mistake(f"{flags[1:]} is nothing that can stand behind an expression; there is i, and white space")
    return Pattern(text[1:end].replace("\\/", "/"), folded=flags == "/i"), rest


def _acting(number: int, word: str, argument: str, field: str | None, pattern: Pattern | None) -> Check:
    try:
        act = Act(word.lower())
    except ValueError:
        known = ", ".join(one.value for one in Act)
        raise _Mistake(f"{word or 'nothing'} is nothing that can be done; there are {known}") from None
    match act:
        case Act.REJECT:
            return Check(number, act, field, pattern, _status(argument))
        case Act.ADD:
            return Check(number, act, field, pattern, added=_added(argument))
        case Act.HOLD:
            return Check(number, act, field, pattern, text=_printable(argument))
    if argument and act is not Act.REPLACE:
        raise _Mistake(f"{word} takes nothing behind it")
    if act in (Act.REMOVE, Act.REPLACE):
        if field is None:
            raise _Mistake(f"{word} is for fields of the header; write header NAME ...")
        if field in KEPT:
            raise _Mistake(f"{field} cannot be changed: others rely on it")
        if act is Act.REPLACE and not argument:
            raise _Mistake("replace wants the new value; write replace VALUE, or remove")
    return Check(number, act, field, pattern, text=_printable(argument))


def _status(text: str) -> Status:
    """`[CODE [D.S.N]] [TEXT]`."""
    reply = _REPLY.fullmatch(text)
    if reply is None:
        return Status(REJECTED.code, REJECTED.enhanced, _printable(text) or REJECTED.text)
    code, enhanced = int(reply[1]), reply[2] or f"{reply[1][0]}.7.1"
    if not 400 <= code <= 559:
        raise _Mistake(f"{code} is no refusal; write a code from 400 to 559")
    if enhanced[0] != reply[1][0]:
        raise _Mistake(f"{enhanced} does not go with {code}; write {reply[1][0]}{enhanced[1:]}")
    return Status(code, enhanced, _printable(reply[3] or "") or REJECTED.text)


def _added(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon or not _FIELD_NAME.fullmatch(name.strip()):
        raise _Mistake("add wants a field; write add X-Name: value")
    return name.strip().encode(), _printable(value.strip()).encode()


def _printable(text: str) -> str:
    if not (text.isascii() and text.replace("\t", " ").isprintable()):
        raise _Mistake("replies and fields are printable ASCII; write it without other characters")
    if len(text) > LONGEST_FIELD - 200:
        raise _Mistake(f"the text is longer than {LONGEST_FIELD - 200} characters")
    return text
