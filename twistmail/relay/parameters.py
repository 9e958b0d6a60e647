"""What is said to another server of what the sender asked for: the parameters of MAIL and RCPT that it understands.

Each extension has its own rule for a server that does not offer it: most wishes
are then left out and we report in its stead (DSN, RFC 3461 §5.2.2), some mean
that this server must not get the message at all (`objection`). Pure; `offered`
are the EHLO keywords in upper case with their parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from twistmail.mail import xtext
from twistmail.mail.envelope import Notify
from twistmail.mail.headers import first, unfold
from twistmail.mail.item import Errand, Item
from twistmail.mail.status import Status

Offered = Mapping[str, str]

TOO_BIG = Status(552, "5.3.4", "The other side does not take messages of that size")
NO_UTF8 = Status(553, "5.6.7", "The other side does not take addresses or headers that are not ASCII")
NO_DEADLINES = Status(554, "5.4.7", "The other side does not promise to deliver in the time that the sender has set")

#: RFC 3865 §2.3.
LONGEST_SOLICIT = 1000
_SOLICIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]*+(?:,[A-Za-z0-9][A-Za-z0-9._:\-]*+)*+")

_IN_ORDER = (Notify.NEVER, Notify.SUCCESS, Notify.FAILURE, Notify.DELAY)


def objection(item: Item, offered: Offered, now: float) -> Status | None:
    """Why a server that offers this must not get *item*; None where it may. What its content needs is `fitting`'s business."""
    if is_too_big(item.size, offered):
        return TOO_BIG
    deadline = item.wishes.deadline
    if deadline is not None and deadline.returns:  # RFC 2852 §4
        least = _number(offered.get("DELIVERBY", ""))
        if "DELIVERBY" not in offered or deadline.at - now < max(least, 1):
            return NO_DEADLINES
    return None


def is_too_big(size: int, offered: Offered) -> bool:
    """Whether *size* octets are more than the server takes (RFC 1870 §6)."""
    return 0 < _number(offered.get("SIZE", "")) < size


def needs_utf8(item: Item, errands: Iterable[Errand]) -> bool:
    """Whether an address of the envelope is not ASCII."""
    addresses = [item.sender, *(errand.target.address for errand in errands)]
    return not all(address is None or bytes(address).isascii() for address in addresses)


def mail_parameters(item: Item, offered: Offered, now: float, *, encrypted: bool, logged_in: bool = False) -> tuple[str, ...]:
    """The parameters of MAIL but for SIZE, BODY and SMTPUTF8. *encrypted*: the connection is; *logged_in*: the server knows us."""
    wishes = item.wishes
    parameters: list[str] = []
    if "DSN" in offered:  # RFC 3461 §5.2.1 (a), (b); no RET with a null sender (§6.1)
        parameters += [f"RET={wishes.ret}"] if wishes.ret and item.sender else []
        parameters += [f"ENVID={wishes.envid}"] if wishes.envid else []
    if wishes.require_tls and encrypted and "REQUIRETLS" in offered:
        parameters.append("REQUIRETLS")
    if wishes.deadline is not None and "DELIVERBY" in offered:
        left, deadline = int(wishes.deadline.at - now), wishes.deadline
        parameters.append(f"BY={left};{'R' if deadline.returns else 'N'}{'T' if deadline.trace else ''}")
    if wishes.priority and "MT-PRIORITY" in offered:
        parameters.append(f"MT-PRIORITY={wishes.priority}")
    if logged_in and wishes.auth.isascii():  # RFC 4954 §5: who submitted it; "<>" where we do not know, or do not believe it
        parameters.append("AUTH=" + (xtext.encoded(wishes.auth) if wishes.auth not in ("", "<>") else "<>"))
    return tuple(parameters)


def solicitation(header: bytes) -> str:
    """The words by which a message with this *header* calls itself an advertisement, for the SOLICIT parameter (RFC 3865 §2.5, §2.7).

    Empty where there are none, or something else stands there.
    """
    words = b",".join(unfold(first(header, b"solicitation") or b"").replace(b",", b" ").split()).decode("ascii", "replace")
    return words if len(words) <= LONGEST_SOLICIT and _SOLICIT.fullmatch(words) else ""


def rcpt_parameters(errand: Errand, offered: Offered) -> tuple[str, ...]:
    """RFC 3461 §5.2.1 (c), (d). Where an alias of ours has led elsewhere, the name that the sender knows goes along."""
    if "DSN" not in offered:
        return ()
    parameters = []
    if errand.notify:
        parameters.append("NOTIFY=" + ",".join(one.value for one in _IN_ORDER if one in errand.notify))
    if errand.orcpt:
        parameters.append("ORCPT=" + (errand.orcpt if errand.orcpt.isascii() or "SMTPUTF8" in offered else _seven_bit(errand.orcpt)))
    elif errand.target.original.folded != errand.target.address.folded and (name := str(errand.target.original)).isascii():
        parameters.append(f"ORCPT=rfc822;{xtext.encoded(name)}")
    return tuple(parameters)


def _seven_bit(orcpt: str) -> str:
    """RFC 6533 §3: the form of the address for servers without SMTPUTF8."""
    kind, address = xtext.original_recipient(orcpt)
    return f"{kind};{xtext.to_unitext(address)}"


def reports_itself(item: Item, errand: Errand, offered: Offered) -> bool:
    """Whether a server that offers this tells the sender all that he wants to hear of *errand*, so that we need not.

    RFC 3461 §5.2.2 (b); RFC 2852 §4: a deadline that is traced, or that it does not know, is told of by us.
    """
    deadline = item.wishes.deadline
    if deadline is not None and (deadline.trace or "DELIVERBY" not in offered):
        return False
    return "DSN" in offered if errand.wants(Notify.SUCCESS) else deadline is not None


def limits(offered: Offered) -> dict[str, int]:
    """RFC 9422 §4: what LIMITS says, such as {"RCPTMAX": 20}; what makes no sense is left out."""
    if "LIMITS" not in offered:  # as with most; asked several times for each message
        return {}
    pairs = (word.upper().partition("=") for word in offered["LIMITS"].split())
    return {name: number for name, _, value in pairs if (number := _number(value)) > 0}


def _number(text: str) -> int:
    """The first word of *text* as a number; 0 where it is none, or has no end."""
    word = text.partition(" ")[0]
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 18 else 0
