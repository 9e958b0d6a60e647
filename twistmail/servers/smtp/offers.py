"""What a service offers a peer: the EHLO list, and which of its words the wire knows."""

from __future__ import annotations

import time

from twistmail.mail.envelope import Peer, Role
from twistmail.networks import covers
from twistmail.policy.local_users import THIS_MACHINE
from twistmail.servers.smtp.service import SmtpService
from twistmail.wire.dotted import BareNewline
from twistmail.wire.smtp.content import Limits
from twistmail.wire.smtp.parsing import ATTRIBUTES

#: RFC 6409 §7: an MSA has no ETRN. What lets a message wait or run ahead is for those who have logged in.
#: RFC 4468 §3.1: BURL is never offered to the world.
_USERS_ONLY = frozenset({"FUTURERELEASE", "DELIVERBY", "MT-PRIORITY", "BURL", "XVERP"})


def wire_limits(service: SmtpService, address: str) -> Limits:
    """What the wire admits from a peer at *address*: the same value for all strangers, and for all proxies that we trust."""
    of = (covers(service.settings.xclient_from, address), address == THIS_MACHINE)
    if of not in service.limits:
        service.limits[of] = _limits(service, trusted=of[0], is_near=of[1])
    return service.limits[of]


def _limits(service: SmtpService, *, trusted: bool, is_near: bool) -> Limits:
    """*is_near*: a program of this machine, whose user the kernel names; it may be a script that says everything at once."""
    settings, role = service.settings, service.role
    extensions = frozenset(word.upper() for word in settings.extensions)
    if "CHUNKING" not in extensions:
        extensions -= {"BINARYMIME"}  # RFC 3030 §3
    extensions -= {"ETRN"} if role is Role.SUBMISSION else _USERS_ONLY
    if service.urls is None or "8BITMIME" not in extensions:
        extensions -= {"BURL"}  # RFC 4468 §4
    if role is Role.SUBMISSION and not settings.hold_longest:
        extensions -= {"FUTURERELEASE"}
    if trusted:
        extensions |= {"XCLIENT"}
    return Limits(
        message=settings.max_message,
        bare_newline=BareNewline(settings.bare_newline),
        extensions=extensions,
        lmtp=role is Role.LMTP,
        bare_names=role is Role.SUBMISSION,
        lone_lf=settings.lone_lf,
        in_step=settings.unauth_pipelining == "reject" and not is_near,
    )


def extensions(service: SmtpService, limits: Limits, peer: Peer, mechanisms: tuple[str, ...]) -> tuple[str, ...]:
    """The EHLO list for *peer*, in the order of the setting. What is not offered now is not in it."""
    return tuple(
        line
        for word in (*map(str.upper, service.settings.extensions), "XCLIENT")
        if word in limits.extensions and (line := _line(word, service, peer, mechanisms))
    )


def _line(word: str, service: SmtpService, peer: Peer, mechanisms: tuple[str, ...]) -> str:
    """The line of one extension; "" where it is not offered to *peer* now."""
    settings = service.settings
    match word:
        case "SIZE":
            return f"SIZE {settings.max_message or 0}"
        case "STARTTLS":
            near = peer.address == THIS_MACHINE  # there is no line that anybody could listen on
            return "STARTTLS" if service.tls_available and peer.tls is None and settings.tls != "off" and not near else ""
        case "AUTH":
            return "AUTH " + " ".join(mechanisms) if mechanisms else ""
        case "REQUIRETLS":
            return "REQUIRETLS" if peer.tls is not None else ""
        case "LIMITS":  # RFC 9422 §4
            return f"LIMITS MAILMAX={settings.max_transactions} RCPTMAX={settings.max_recipients}"
        case "FUTURERELEASE":  # RFC 4865 §4
            longest = int(settings.hold_longest)
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(service.epoch() + longest))
            return f"FUTURERELEASE {longest} {until}" if longest else ""
        case "NO-SOLICITING":  # RFC 3865
            return "NO-SOLICITING " + ",".join(settings.no_soliciting) if settings.no_soliciting else ""
        case "BURL":  # RFC 4468 §3.3: our own mailboxes, after a login
            return f"BURL imap imap://{service.hostname}" if peer.account is not None else "BURL"
        case "XCLIENT":
            return "XCLIENT " + " ".join(ATTRIBUTES)
    return word
