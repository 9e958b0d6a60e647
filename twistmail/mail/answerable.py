"""Whom a report about a message may reach: never an answer to an answer, none to somebody whose name was only borrowed.

RFC 5321 §6.1 and §6.2, RFC 3834 §2, RFC 8601. Pure: the header of the message and
what we have put in front of it is all that counts. Who is told instead, and how
often somebody may be told, is the business of `queue.reports`.
"""

from __future__ import annotations

import re

from twistmail.mail.bounce import MARK
from twistmail.mail.headers import first, values
from twistmail.mail.item import Item

#: Senders behind whom nobody reads reports: programs that write them.
_DAEMONS = frozenset({"mailer-daemon", "double-bounce"})
#: Kinds of mail for which nobody waits: such senders get failures only, unless they ask for more.
_BULK = frozenset({b"bulk", b"list", b"junk"})
_RESULT = re.compile(r"\s*(spf|dkim|dmarc)\s*(?:/\s*\d{1,3}\s*)?=\s*([a-z]+)", re.ASCII)
_COMMENT = re.compile(r"\([^()]*\)")


def no_answer_to(item: Item, header: bytes, host: str) -> str:
    """Why the sender of *item* must not be told of its failure, in words; empty: he may be. *host*: our name in reports.

    Who has logged in is somebody: for his mail only the null sender counts.
    """
    if item.sender is None:
        return "it has no sender"
    if item.account:
        return ""
    if item.sender.local.lower() in _DAEMONS:
        return "its sender is a mail system"
    if any(value.strip().lower() == host.lower().encode() for value in values(header, MARK.encode())):
        return "it is a report of ours that came back"
    if (first(header, b"content-type") or b"").lower().startswith(b"multipart/report"):
        return "it is a report itself"
    return ""


def forgery(item: Item, host: str) -> str:
    """How we know that the sender of *item* did not send it, such as "dmarc=fail"; empty: we do not.

    What `host` (we) found on arrival stands in the Authentication-Results that we have put in front (RFC 8601 §2.2); those
    that the message came with are not looked at. A message that DMARC or DKIM vouch for only took a long way round SPF.
    """
    if item.account or item.sender is None:
        return ""
    found: dict[str, set[str]] = {}
    for value in values(item.prefix, b"authentication-results"):
        text = _COMMENT.sub(" ", value.decode("latin-1").replace("\r\n", "").lower())
        said_by, *results = text.split(";")
        if said_by.split()[:1] == [host.lower()]:
            for match in filter(None, map(_RESULT.match, results)):
                found.setdefault(match[1], set()).add(match[2])
    if "pass" in found.get("dmarc", ()):
        return ""
    if "fail" in found.get("dmarc", ()):
        return "dmarc=fail"
    return "spf=fail" if "fail" in found.get("spf", ()) and "pass" not in found.get("dkim", ()) else ""


def is_automatic(header: bytes) -> bool:
    """Whether a program has sent the message, or sends it to many: nobody waits for it, so nobody is told that it is late."""
    submitted = (first(header, b"auto-submitted") or b"no").partition(b";")[0].strip().lower()
    return submitted != b"no" or (first(header, b"precedence") or b"").lower() in _BULK or first(header, b"list-id") is not None
