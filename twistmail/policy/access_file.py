"""The syntax of sendmail's access file: text to a table, with the line of every mistake and what would be right. Pure.

    # a comment
    Connect:192.0.2                 REJECT
    Connect:IPv6:2001:db8:1         RELAY
    Connect:dialup.example          ERROR:5.7.1:550 No mail from dialup lines
    From:spammer@away.example       "550 Go away"
    From:free.offers@               REJECT
    To:friend.example               RELAY
    198.51.100.0/24                 QUARANTINE:odd network

A line is a key, white space and a value. Keys are host and domain names (with
everything below them), IPv4 prefixes by octets, IPv6 prefixes by groups, networks
with a slash, addresses, `user@`, and `<>` for the null sender, with the tag Connect:,
From: or To:, or with none, which means all three. Tags of sendmail that stand for
other things (Spam:, TLS_Rcpt:, ...) are told as mistakes, not passed over.
"""

from __future__ import annotations

import ipaddress
import re

from twistmail.mail import address as addresses
from twistmail.mail.address import canonical_domain
from twistmail.mail.status import Status
from twistmail.networks import Network
from twistmail.policy.access_table import CONNECT, FROM, NOBODY, TO, UNTAGGED, AccessTable, Action, Rule
from twistmail.watched import Broken

MOST_RULES = 1_000_000
#: Characters of one line.
LONGEST_LINE = 2000
#: Mistakes after which reading stops: whoever has more has given us another file.
MOST_MISTAKES = 20

REFUSED = Status(550, "5.7.1", "Access denied")

_TAG = re.compile(r"(connect:|from:|to:)?(.*)", re.IGNORECASE)
_OTHER_TAG = re.compile(r"(?!ipv6:|[0-9a-f]{1,4}:)[a-z_]+:", re.IGNORECASE)
_OCTETS = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_GROUPS = re.compile(r"[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,7}", re.IGNORECASE)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})[: ]\s*")
_REPLY = re.compile(r"([0-9]{3})(?:[ \t]+(.*))?")
_WORDS = {
    "OK": (Action.OK, None),
    "RELAY": (Action.RELAY, None),
    "REJECT": (Action.REFUSE, REFUSED),
    "DISCARD": (Action.DISCARD, None),
    "SKIP": (Action.SKIP, None),
}
_VALUES = 'write OK, RELAY, REJECT, DISCARD, SKIP, ERROR:5.7.1:550 TEXT, "550 TEXT" or QUARANTINE:TEXT'


class _Mistake(ValueError):
    """What is wrong with a line, and what would be right."""


def parse(text: str) -> AccessTable:
    """All rules of *text*. Broken, with lines, where there are mistakes. Looks at each character a bounded number of times."""
    table = AccessTable()
    mistakes: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        try:
            _add(table, line, number)
        except ValueError as mistake:
            mistakes.append((number, str(mistake).replace("\n", "; ")))
            if len(mistakes) >= MOST_MISTAKES:
                break
    if mistakes:
        raise Broken(mistakes)
    return table


def _add(table: AccessTable, line: str, number: int) -> None:
    if len(line) > LONGEST_LINE:
        raise _Mistake(f"the line is longer than {LONGEST_LINE} characters")
    if len(table) >= MOST_RULES:
        raise _Mistake(f"there are more than {MOST_RULES} rules")
    written, *rest = line.split(None, 1)
    if not rest:
        raise _Mistake(f"{written} has no value; {_VALUES}")
    rule = _rule(rest[0], number)
    tag, key = _tagged(written)
    if rule.action is Action.RELAY and tag == FROM:
        raise _Mistake("whoever writes that sender could relay; write OK, or Connect: and the host that may relay")
    stands = _enter(table, tag, key, rule)
    if stands is not rule:
        raise _Mistake(f"{written} stands in line {stands.line} already; remove one of them")


# ----- keys


def _tagged(written: str) -> tuple[str, str]:
    match = _TAG.fullmatch(written)
    assert match is not None
    tag, key = (match[1] or UNTAGGED).lower(), match[2]
    if not key:
        raise _Mistake(f"{written} names nobody; write {written}host.example, say")
    if _OTHER_TAG.match(key):
        raise _Mistake(f"{key.partition(':')[0]}: is no kind of rule here; there are Connect:, From: and To:")
    return tag, key


def _enter(table: AccessTable, tag: str, key: str, rule: Rule) -> Rule:
    """Put *rule* under *key*; the rule that stands there now."""
    if key.startswith("["):
        if not key.endswith("]"):
            raise _Mistake(f"{key} has no closing bracket")
        return table.add_network(tag, _network(key[1:-1]), rule, literal=True)
    if "@" in key or key == NOBODY:
        return table.add_name(tag, _address(tag, key, rule), rule)
    if _looks_like_network(key):
        if tag in (FROM, TO):
            raise _Mistake(f"{key} is a host or a network; write Connect:{key}, or {tag.capitalize()}[{key}] for user@[{key}]")
        return table.add_network(tag, _network(key), rule)
    return table.add_name(tag, _domain(key), rule)


def _looks_like_network(key: str) -> bool:
    return "/" in key or ":" in key or _OCTETS.fullmatch(key.rstrip(".")) is not None


def _network(key: str) -> Network:
    """`192.0.2`, `IPv6:2001:db8`, `2001:db8::/32`, `192.0.2.0/24` or a whole address."""
    bare = key[5:] if key.lower().startswith("ipv6:") else key
    if "/" in bare:
        return _written_out(bare)
    if _OCTETS.fullmatch(bare):
        return _by_octets(bare)
    if bare.endswith("::"):
        short = bare.removesuffix("::")
        raise _Mistake(f"{key} is one address; write {short} for the network, or {bare}/128")
    if _GROUPS.fullmatch(bare) and "::" not in bare:
        groups = bare.split(":")
        number = int("".join(group.zfill(4) for group in groups).ljust(32, "0"), 16)
        return ipaddress.IPv6Network((number, 16 * len(groups)))
    return _written_out(bare)


def _written_out(text: str) -> Network:
    """`192.0.2.0/24`, `2001:db8::/32`, or one address."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise _Mistake(f"{text} is neither an address nor a network; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32") from None
    raise _Mistake(f"{text} is an address inside a network; write {meant}, or {text.partition('/')[0]}")


def _by_octets(text: str) -> Network:
    octets = text.split(".")
    if len(octets) > 4 or any(len(octet) > 3 or int(octet) > 255 for octet in octets):
        raise _Mistake(f"{text} is no beginning of an IPv4 address; write 192.0.2, 192.0.2.7 or 192.0.2.0/24")
    number = int.from_bytes(bytes(map(int, octets)).ljust(4, b"\0"), "big")
    return ipaddress.IPv4Network((number, 8 * len(octets)))


def _address(tag: str, key: str, rule: Rule) -> str:
    """`user@domain`, `user@` or `<>`, folded."""
    if tag == CONNECT or (tag == TO and key == NOBODY):
        raise _Mistake(f"{key} is no host; write From:{key}" + ("" if key == NOBODY else f" or To:{key}"))
    if rule.action is Action.SKIP:
        raise _Mistake("SKIP is for hosts and domains; write OK, or nothing")
    if key == NOBODY:
        return key
    if key.startswith("@"):
        raise _Mistake(f"{key} has nobody before the @; write {key[1:]} for everybody there")
    if key.endswith("@"):
        return f"{addresses.parse(key[:-1]).folded.local}@"
    folded = addresses.parse(key).folded
    return f"{folded.local}@{folded.domain}"


def _domain(key: str) -> str:
    if key.startswith("."):
        raise _Mistake(f"{key} begins with a dot; write {key.lstrip('.')}, which means the hosts below it too")
    return canonical_domain(key)


# ----- values


def _rule(value: str, number: int) -> Rule:
    word, colon, rest = value.partition(":")
    name = word.strip().upper()
    if not colon and name in _WORDS:
        action, status = _WORDS[name]
        return Rule(action, number, status)
    if name == "QUARANTINE":
        if not rest.strip():
            raise _Mistake("a quarantine has a reason; write QUARANTINE:odd network, say")
        return Rule(Action.QUARANTINE, number, reason=_printable(_unquoted(rest)))
    if name == "ERROR" and colon:
        return Rule(Action.REFUSE, number, _status(rest, value))
    if _unquoted(value)[:3].isdigit():
        return Rule(Action.REFUSE, number, _status(value, value))
    raise _Mistake(f"{value} is no value; {_VALUES}")


def _status(text: str, value: str) -> Status:
    """`5.7.1:550 text`, `550 text` or `550 5.7.1 text`, the reply in quotes or not."""
    text, enhanced = _unquoted(text), ""
    if match := _ENHANCED.match(text):
        enhanced, text = match[1], _unquoted(text[match.end() :])
    reply = _REPLY.fullmatch(text)
    if reply is None or not 400 <= int(reply[1]) <= 559:
        raise _Mistake(f"{value} refuses with no reply code; write ERROR:5.7.1:550 TEXT, with a code from 400 to 559")
    code, said = int(reply[1]), reply[2] or ""
    if match := _ENHANCED.match(said + " "):
        enhanced, said = match[1], said[match.end() :]
    if enhanced and enhanced[0] != reply[1][0]:
        raise _Mistake(f"{enhanced} does not go with {code}; write ERROR:{reply[1][0]}{enhanced[1:]}:{code} {said}".rstrip())
    return Status(code, enhanced or f"{reply[1][0]}.7.1", _printable(said.strip()) or REFUSED.text)


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == '"' else text


def _printable(text: str) -> str:
    if not (text.isascii() and text.replace("\t", " ").isprintable()):
        raise _Mistake("a reply is said in printable ASCII; write it without other characters")
    return text
