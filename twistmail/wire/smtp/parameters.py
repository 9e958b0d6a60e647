"""The parameters of MAIL and RCPT: which there are, to which extension each belongs, and what they ask for.

`read` checks their spelling, whatever they mean; `wishes` and `notify` make values
of those that travel with the message. What a service does not offer it does not
know either (RFC 5321 §4.1.1.11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime

from twistmail.mail import verp
from twistmail.mail.envelope import NO_WISHES, Deadline, Notify, Wishes
from twistmail.mail.xtext import decoded
from twistmail.wire.smtp.grammar import BadSyntax

#: More parameters than all extensions together have.
MOST_PARAMETERS = 20

_KEYWORD = re.compile(r"[A-Z0-9][A-Z0-9\-]*")
_VALUE = re.compile(r"[^\x00-\x20=\x7f]+")
#: RFC 3461 §4: xtext; what `+` stands before is two hexadecimal digits in upper case.
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
#: RFC 6533 §3: utf-8-addr-xtext and utf-8-addr-unitext, behind the address type "utf-8".
_UTF8_XTEXT = re.compile(r"(?:[!-*,-<>-\[\]-~\u0080-\U0010ffff]|\\x\{[0-9A-F]{2,6}\})*")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]{0,39}")
_BY = re.compile(r"(-?[0-9]{1,9});([NR])(T?)", re.IGNORECASE)
_DATE_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|[+\-][0-9]{2}:[0-9]{2})")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SOLICIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]*(?:,[A-Za-z0-9][A-Za-z0-9._:\-]*)*")
LONGEST_SOLICIT = 1000
#: RFC 3461 §4.4 and §4.2.
LONGEST_ENVID = 100
LONGEST_ORCPT = 500


def _wrong(text: str, enhanced: str = "5.5.4") -> BadSyntax:
    return BadSyntax(501, enhanced, text)


def _size(value: str) -> str:
    """RFC 1870 §3."""
    if not (value.isascii() and value.isdigit() and len(value) <= 20):
        raise _wrong("SIZE wants a number of octets")
    return value


def _body(value: str) -> str:
    """RFC 6152 §2, RFC 3030 §3."""
    if value.upper() not in ("7BIT", "8BITMIME", "BINARYMIME"):
        raise _wrong("BODY wants 7BIT, 8BITMIME or BINARYMIME")
    return value.upper()


def _auth(value: str) -> str:
    """RFC 4954 §5."""
    if not value or not _XTEXT.fullmatch(value):
        raise _wrong("AUTH wants an address or <>, in xtext")
    return value


def _nothing(value: str) -> str:
    if value:
        raise _wrong("That parameter takes no value")
    return value


def _ret(value: str) -> str:
    """RFC 3461 §4.3."""
    if value.upper() not in ("FULL", "HDRS"):
        raise _wrong("RET wants FULL or HDRS")
    return value.upper()


def _envid(value: str) -> str:
    """RFC 3461 §4.4."""
    if not value or len(value) > LONGEST_ENVID or not _XTEXT.fullmatch(value):
        raise _wrong(f"ENVID wants at most {LONGEST_ENVID} characters of xtext")
    return value


def _hold_for(value: str) -> str:
    """RFC 4865 §4: seconds."""
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise _wrong("HOLDFOR wants a number of seconds")
    return value


def _hold_until(value: str) -> str:
    """RFC 4865 §4, RFC 3339 §5.6."""
    try:
        if not _DATE_TIME.fullmatch(value):
            raise ValueError
        _timestamp(value)
    except (ValueError, OverflowError):  # the first and the last day of all years have hours that are in none elsewhere
        raise _wrong("HOLDUNTIL wants a time such as 2026-11-21T08:00:00Z") from None
    return value


def _by(value: str) -> str:
    """RFC 2852 §4: what is to be returned must have some time to arrive."""
    match = _BY.fullmatch(value)
    if not match:
        raise _wrong("BY wants seconds;N or seconds;R")
    if match[2].upper() == "R" and int(match[1]) <= 0:
        raise _wrong("BY wants more than no seconds where the message is to be returned")
    return value.upper()


def _priority(value: str) -> str:
    """RFC 6710 §3."""
    if not re.fullmatch(r"-?[0-9]", value) or value == "-0":
        raise _wrong("MT-PRIORITY wants a number from -9 to 9", "5.5.2")
    return value


def _notify(value: str) -> str:
    """RFC 3461 §4.1: NEVER stands alone."""
    words = value.upper().split(",")
    if any(word not in Notify.__members__ for word in words) or ("NEVER" in words and len(words) > 1) or len(set(words)) < len(words):
        raise _wrong("NOTIFY wants NEVER, or some of SUCCESS, FAILURE and DELAY")
    return ",".join(words)


def _orcpt(value: str) -> str:
    """RFC 3461 §4.2, RFC 6533 §3."""
    kind, sign, address = value.partition(";")
    spelling = _UTF8_XTEXT if kind.lower() == "utf-8" else _XTEXT
    if not sign or not address or len(value) > LONGEST_ORCPT or not _ADDRESS_TYPE.fullmatch(kind) or not spelling.fullmatch(address):
        raise _wrong("ORCPT wants a type and an address, as in rfc822;bob@example.org")
    return value


def _solicit(value: str) -> str:
    """RFC 3865."""
    if not _SOLICIT.fullmatch(value) or len(value) > LONGEST_SOLICIT:
        raise _wrong("SOLICIT wants words such as net.example:ADV, divided by commas")
    return value


def _verp(value: str) -> str:
    """Postfix's VERP_README: alone, or with the delimiters that are wanted."""
    if value and not verp.are_delimiters(value):
        raise _wrong(f"XVERP wants two of {' '.join(verp.MARKS)}")
    return value or verp.AS_USUAL


#: Name -> (the extension that brings it, "" for what everybody knows; the reader of its value).
Table = Mapping[str, tuple[str, Callable[[str], str]]]
MAIL: Table = {
    "SIZE": ("SIZE", _size),
    "BODY": ("8BITMIME", _body),
    "AUTH": ("", _auth),  # clients say it to whoever they say it to; RFC 4954 §5 lets us ignore it
    "SMTPUTF8": ("SMTPUTF8", _nothing),
    "RET": ("DSN", _ret),
    "ENVID": ("DSN", _envid),
    "REQUIRETLS": ("REQUIRETLS", _nothing),
    "HOLDFOR": ("FUTURERELEASE", _hold_for),
    "HOLDUNTIL": ("FUTURERELEASE", _hold_until),
    "BY": ("DELIVERBY", _by),
    "MT-PRIORITY": ("MT-PRIORITY", _priority),
    "SOLICIT": ("NO-SOLICITING", _solicit),
    "XVERP": ("XVERP", _verp),
}
RCPT: Table = {"NOTIFY": ("DSN", _notify), "ORCPT": ("DSN", _orcpt)}


def read(text: str, known: Table, extensions: Collection[str]) -> dict[str, str]:
    """The parameters in *text*, which follows a path; names in upper case, value "" where there is none.

    Refuses what is not in *known* or whose extension is not in *extensions* (RFC 5321 §4.1.1.11), what is named twice,
    and values that do not fit their names.
    """
    if not text:
        return {}
    if text[0] != " ":
        raise _wrong("Something stands behind the address without a space")
    words = text.split()
    if len(words) > MOST_PARAMETERS:
        raise _wrong("Too many parameters")
    result: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        name = name.upper()
        if not _KEYWORD.fullmatch(name) or (sign and not _VALUE.fullmatch(value) and name != "XVERP"):  # may have = for a delimiter
            raise _wrong("A parameter is malformed")
        extension, reader = known.get(name, (None, _nothing))
        if extension is None or (extension and extension not in extensions):
            raise BadSyntax(555, "5.5.4", f"The parameter {name[:40]} is not known here")
        if name in result:
            raise _wrong(f"The parameter {name} is given twice")
        result[name] = reader(value)
    if result.get("BODY") == "BINARYMIME" and "BINARYMIME" not in extensions:
        raise BadSyntax(555, "5.5.4", "BODY=BINARYMIME is not offered here")
    if "HOLDFOR" in result and "HOLDUNTIL" in result:
        raise _wrong("HOLDFOR and HOLDUNTIL exclude each other")
    return result


def wishes(parameters: Mapping[str, str], now: float) -> Wishes:
    """What *parameters* of MAIL, read at *now* (POSIX seconds), ask of the delivery."""
    if parameters.keys() <= {"SIZE", "BODY"}:
        return NO_WISHES
    return Wishes(
        ret=parameters.get("RET", ""),
        envid=parameters.get("ENVID", ""),
        utf8="SMTPUTF8" in parameters,
        require_tls="REQUIRETLS" in parameters,
        hold_until=_held_until(parameters, now),
        deadline=_deadline(parameters["BY"], now) if "BY" in parameters else None,
        priority=int(parameters.get("MT-PRIORITY", "0")),
        auth=_CONTROL.sub("?", decoded(parameters.get("AUTH", ""))),
        verp=parameters.get("XVERP", ""),
    )


def notify(parameters: Mapping[str, str]) -> frozenset[Notify]:
    """When a report is wanted, from *parameters* of RCPT."""
    return frozenset(Notify[word] for word in parameters["NOTIFY"].split(",")) if "NOTIFY" in parameters else frozenset()


def _held_until(parameters: Mapping[str, str], now: float) -> float | None:
    if "HOLDFOR" in parameters:
        return now + int(parameters["HOLDFOR"])
    if "HOLDUNTIL" in parameters:
        return _timestamp(parameters["HOLDUNTIL"])
    return None


def _timestamp(date_time: str) -> float:
    """RFC 3339 §5.6, as POSIX seconds. ValueError or OverflowError where there is no such time."""
    return datetime.fromisoformat(date_time.upper()).astimezone(UTC).timestamp()


def _deadline(value: str, now: float) -> Deadline:
    match = _BY.fullmatch(value)
    assert match is not None, "it was read before"
    return Deadline(now + int(match[1]), match[2] == "R", bool(match[3]))
