r"""One item of what an alias stands for, as aliases(5) and its relatives spell it: text to a Goal. Pure.

    fred  fred@away.example  "odd, name"@x.example  Fred Flint <fred@x.example>
    \fred                                    the account of that name, and none of its aliases
    /var/archive/box  "/var/the archive/"    a file; a maildir where a slash ends it; /dev/null takes everything
    |program words  "|program words"         a program
    :include:/etc/lists/staff                the members that stand in that file
    :fail: gone away  :defer: on Monday      answers to whoever writes (Exim); a reply code may stand in front
    error:nouser 550 No such user here       the same, as sendmail says it; error:5.7.0:550 Address invalid
    :moved: fred@new.example  fred@new.example.REDIRECT
    :blackhole:  discard:                    taken, and thrown away

What of it is allowed where is `permits`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from twistmail.mail import address as addresses
from twistmail.mail.address import Address
from twistmail.mail.alias import Discard, Final, Goal, Refusal, ToFile, ToProgram
from twistmail.mail.status import Status
from twistmail.mail.values import frozen

LONGEST_ANSWER = 400
#: How an item begins that is an answer: what stands behind it, up to the end of the entry, is its text.
_ANSWER = re.compile(r":(fail|defer|unknown|moved):|error:", re.IGNORECASE)
_CODES = re.compile(r"(?:([45]\d\d)(?:[ \t]+|$))?(?:([45])(\.\d{1,3}\.\d{1,3})(?:[ \t]+|$))?")
_SENDMAIL = re.compile(r"error:(?:([45]\.\d{1,3}\.\d{1,3}):|([A-Za-z]+)(?:[ \t]+|$))?")
_SIMPLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]*(?:@[A-Za-z0-9.-]+)?")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

GONE = Status(550, "5.1.1", "There is no mailbox of that name here")
LATER = Status(451, "4.2.1", "Mail for that address is not taken at the moment, please try again later")
#: The words that sendmail has for errors of mailers, and what it says then.
_WORDS = {
    "nouser": GONE,
    "nohost": Status(550, "5.1.2", "There is no host of that name"),
    "unavailable": Status(554, "5.0.0", "That address is not served"),
    "tempfail": LATER,
    "config": Status(554, "5.3.5", "That address is not set up rightly"),
    "protocol": Status(554, "5.5.0", "Mail for that address is not taken"),
    "software": Status(554, "5.3.0", "Mail for that address is not taken"),
    "usage": Status(500, "5.0.0", "Mail for that address is not taken"),
}


@frozen
class Include:
    """`:include:/etc/lists/staff`: what stands in that file."""

    path: str

    def __str__(self) -> str:
        return f":include:{self.path}"


Item = Goal | Include


def read(text: str) -> Item:
    """What *text* (without white space around it) is. ValueError, with a sentence."""
    if _SIMPLE.fullmatch(text):
        return _moved(addresses.parse(text))
    if _CONTROL.search(text):
        raise ValueError("there is a control character in it")
    bare = _unquoted(text)
    if bare.startswith("|"):
        return _program(bare)
    if bare.startswith("/"):
        return Discard() if bare == "/dev/null" else ToFile(bare)
    lower = bare[:12].lower()
    if lower.startswith(":include:"):
        return _include(bare[len(":include:") :].strip())
    if lower in (":blackhole:", ":blackhole", "discard:"):
        return Discard()
    if _ANSWER.match(bare):
        return answer(bare)
    if bare.startswith(":"):
        raise ValueError(f"{bare.split()[0]} is nothing here; there are :include:, :fail:, :defer:, :moved: and :blackhole:")
    if bare.startswith("\\"):
        return Final(address(bare[1:]))
    return _moved(address(text))


def split(text: str, start: int = 0) -> Iterator[tuple[int, str]]:
    """(offset, item) of what commas divide from *start* on; empty items are passed over, as sendmail does. The text of an answer is one."""
    plain = '"' not in text  # found out once: the text may be long
    while start <= len(text):
        end = text.find(",", start) if plain else find(text, start, ",")
        end = len(text) if end < 0 else end
        item = text[start:end]
        stripped = item.strip()
        begins = start + len(item) - len(item.lstrip())
        if _ANSWER.match(stripped):
            yield begins, text[begins:].strip()
            return
        if stripped:
            yield begins, stripped
        start = end + 1


def find(text: str, start: int, wanted: str) -> int:
    """Where *wanted* stands first from *start* on, outside double quotes; -1: nowhere."""
    at, quoted = start, False
    while at < len(text):
        character = text[at]
        if character == '"':
            quoted = not quoted
        elif character == "\\" and quoted:
            at += 1
        elif character == wanted and not quoted:
            return at
        at += 1
    return -1


def address(text: str) -> Address:
    """The address in *text*: bare, quoted, or as `Name <address>`. ValueError."""
    if text.endswith(">") and (angle := text.rfind("<")) >= 0:
        text = text[angle + 1 : -1]
    if any(character.isspace() for character in text) and not text.startswith('"'):
        raise ValueError(f"{text!r} has white space in it; divide addresses by commas")
    return addresses.parse(text)


def answer(text: str) -> Refusal:
    """What `:fail: ...`, `:defer: ...`, `:moved: ...` or `error:...` says. ValueError."""
    if text[:1] == ":":
        word, said = text[1:].split(":", 1)
        if word.lower() == "moved":
            return _redirected(address(said.strip()))
        usual = LATER if word.lower() == "defer" else GONE
    else:
        found = _SENDMAIL.match(text)
        assert found is not None  # `_ANSWER` has seen it
        enhanced, word, said = found[1], found[2], text[found.end() :]
        if word and word.lower() not in _WORDS:
            said, word = f"{word} {said}", None
        usual = _WORDS[word.lower()] if word else LATER if enhanced and enhanced[0] == "4" else GONE
        usual = Status(usual.code, enhanced, usual.text) if enhanced else usual
    return Refusal(_said(usual, said.strip()))


def _said(usual: Status, said: str) -> Status:
    """*said*, which may begin with a reply code and an enhanced one (RFC 3463); for the rest as *usual*."""
    found = _CODES.match(said)
    assert found is not None  # it matches nothing, too
    text = said[found.end() :].strip() or usual.text
    kind = (found[1] or found[2] or usual.enhanced)[0]
    if usual.is_temporary and kind != "4":
        raise ValueError(f"{said.split()[0]} is for good, and this is for later; begin with a 4, or write :fail:")
    enhanced = f"{found[2]}{found[3]}" if found[2] else kind + usual.enhanced[1:]
    code = int(found[1]) if found[1] else usual.code if str(usual.code)[0] == kind else 450
    if enhanced[0] != str(code)[0]:
        raise ValueError(f"{code} and {enhanced} contradict each other")
    if len(text) > LONGEST_ANSWER or not (text.isascii() and text.isprintable()):
        raise ValueError(f"an answer is plain ASCII, of at most {LONGEST_ANSWER} letters")
    return Status(code, enhanced, text)


def _moved(found: Address) -> Goal:
    """sendmail's FEATURE(redirect): `fred@new.example.REDIRECT` tells senders where somebody is now."""
    if found.domain.endswith(".redirect"):
        return _redirected(Address(found.local, found.domain.removesuffix(".redirect")))
    return found


def _redirected(to: Address) -> Refusal:
    """RFC 5321 §3.4: 551 names the new address."""
    if not str(to).isascii():
        raise ValueError(f"{to} is not ASCII, and cannot be told to every sender")
    return Refusal(Status(551, "5.1.6", f"User has moved; please try <{to}>"))


def _program(bare: str) -> ToProgram:
    command = _unquoted(bare[1:].strip(), always=True)
    if not command:
        raise ValueError("behind the | there is no program")
    return ToProgram(command)


def _include(path: str) -> Include:
    path = _unquoted(path, always=True)
    if not path.startswith("/"):
        raise ValueError(f":include:{path} is no path; write it from / on")
    return Include(path)


def _unquoted(text: str, *, always: bool = False) -> str:
    r"""*text* without the quotes around the whole of it, where what is in them is no address (or *always*)."""
    if len(text) < 2 or text[0] != '"' or not text.endswith('"'):
        return text
    inside, at = [], 1
    while at < len(text) - 1:
        if text[at] == '"':
            return text  # two quoted words
        at += text[at] == "\\" and at + 2 < len(text) and text[at + 1] in '"\\'
        inside.append(text[at])
        at += 1
    bare = "".join(inside).strip()
    return bare if always or bare.startswith(("|", "/", ":", "\\")) else text
