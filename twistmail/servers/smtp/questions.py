"""VRFY, EXPN and HELP: what a peer may learn about us (RFC 5321 §3.5, §7.3).

Harvesters ask, so by default only users who have logged in are answered;
VRFY then says 252, which is the truth for everybody else too: send it, and see.
"""

from __future__ import annotations

from twistmail.expansion import Expansion
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address, parse
from twistmail.mail.envelope import Peer
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.wire.smtp.commands import Expn, Help, Vrfy
from twistmail.wire.smtp.replies import Reply, Utf8Reply

TRY_AND_SEE = Status(252, "2.1.5", "Send some mail, I will do my best")
NO_LISTS = Status(502, "5.5.1", "Lists are not shown to strangers")
NOBODY = Status(550, "5.1.1", "Nobody here has that name")
NO_NAME = Status(501, "5.1.3", "Write the name of a user or an address")
NO_LIST = Status(550, "5.1.3", "That is the address of somebody, not of a list")

#: A reply has so many lines at most; who wants to see more of a list has other means.
MOST_MEMBERS = 100

_HELP = {
    "EHLO": "EHLO name: say who you are, and hear what is offered",
    "HELO": "HELO name: say who you are, as in 1982",
    "LHLO": "LHLO name: say who you are, and hear what is offered",
    "MAIL": "MAIL FROM:<address> [parameters]: a message begins",
    "RCPT": "RCPT TO:<address> [parameters]: one more recipient",
    "DATA": "DATA: the message follows, up to a line with a dot only",
    "BDAT": "BDAT octets [LAST]: so many octets of the message follow at once",
    "RSET": "RSET: forget the message that has begun",
    "NOOP": "NOOP: nothing",
    "QUIT": "QUIT: goodbye",
    "VRFY": "VRFY name: is there such a user?",
    "EXPN": "EXPN name: who is on that list?",
    "HELP": "HELP [command]: this",
    "STARTTLS": "STARTTLS: encrypt from here on",
    "AUTH": "AUTH mechanism [response]: log in",
    "ETRN": "ETRN domain: send what waits for that domain",
    "XCLIENT": "XCLIENT attribute=value ...: for proxies, who the client is",
}


def may_ask(setting: str, peer: Peer) -> bool:
    """Whether *peer* is answered where *setting* is "nobody", "users" or "everybody"."""
    return setting == "everybody" or (setting == "users" and peer.account is not None)


async def verify(vrfy: Vrfy, expansion: Expansion) -> Status | Utf8Reply:
    """The answer to VRFY for somebody who may ask."""
    address = _address(vrfy.text, expansion)
    if address is None:
        return NO_NAME
    if not expansion.is_local(address):
        return TRY_AND_SEE
    try:
        fault = await expansion.judge(address)
    except Unavailable:
        return UNAVAILABLE
    if fault is not None:
        return NOBODY if fault.is_permanent else fault
    return _shown(Status(250, "2.1.5", f"<{address}>"), vrfy.utf8)


async def expand(expn: Expn, expansion: Expansion) -> Status | Utf8Reply:
    """The answer to EXPN for somebody who may ask."""
    address = _address(expn.text, expansion)
    if address is None:
        return NO_NAME
    try:
        followed = await expansion.explain(address)
    except Unavailable:
        return UNAVAILABLE
    if not expansion.is_local(address) or followed.fault is not None:
        return NOBODY
    members = [target.address for target in followed.targets]
    if members == [address]:
        return NO_LIST
    lines = [f"<{member}>" for member in members[:MOST_MEMBERS]]
    if len(members) > MOST_MEMBERS:
        lines.append(f"and {len(members) - MOST_MEMBERS} more")
    return _shown(Status(250, "2.1.5", "\n".join(lines)), expn.utf8)


def help_text(topic: Help, verbs: tuple[str, ...]) -> Status | Reply:
    """The answer to HELP: all commands, or one of them."""
    verb = topic.topic.strip(" ").upper()
    if verb and verb in verbs:
        return Status(214, "2.0.0", _HELP[verb])
    if verb:
        return Status(504, "5.5.4", "There is no help about that; HELP alone lists the commands")
    return Status(214, "2.0.0", "Commands: " + " ".join(verbs) + "\nHELP and a command tells what it does")


def _address(text: str, expansion: Expansion) -> Address | None:
    inner = text.strip(" ")
    if inner.startswith("<") and inner.endswith(">"):
        inner = inner[1:-1]
    try:
        address = parse(inner)
    except ValueError:
        return None
    return Address(address.local.lower(), address.domain or expansion.default_domain)


def _shown(status: Status, utf8: bool) -> Status | Utf8Reply:
    return Utf8Reply(status) if utf8 else status
