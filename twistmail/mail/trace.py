"""Trace fields: what we write in front of a message to say that it came through here (RFC 5321 §4.4).

Every value that a peer had a hand in passes `_word` or `_plain` first, so that nothing
can end a line, open a comment or start a field of its own. All results are bytes with
CRLF line ends. Reading trace fields (hop counting, loops) is the business of policy.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache

from twistmail.mail.address import Address
from twistmail.mail.envelope import Peer, Role, TlsState

#: RFC 5322 §2.1.1: lines should not be longer, in octets without the CRLF.
LONGEST_LINE = 78

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: What may not stand in an unquoted word of a Received field: controls, space, and what opens or ends something.
_NOT_A_WORD = re.compile(r"[\x00-\x20\"(),;<>\\\x7f-\x9f\u2028\u2029]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: A name longer than this is not quoted whole: RFC 5321 §4.5.3.1.2.
_LONGEST_WORD = 255

#: OpenSSL's names for cipher suites -> IANA's, which RFC 8314 §4.3 asks for. Those of TLS 1.3 are the same (`TLS_...`).
_REGISTERED = {
    f"ECDHE-{key}-{ours}": f"TLS_ECDHE_{key}_WITH_{theirs}"
    for key in ("ECDSA", "RSA")
    for ours, theirs in (
        ("AES128-GCM-SHA256", "AES_128_GCM_SHA256"),
        ("AES256-GCM-SHA384", "AES_256_GCM_SHA384"),
        ("CHACHA20-POLY1305", "CHACHA20_POLY1305_SHA256"),
    )
}


def date(at: float) -> str:
    """*at* (POSIX seconds) as an RFC 5322 §3.3 date in UTC: `Sat, 21 Nov 2026 03:20:00 +0000`."""
    return _date(int(at // 1))


@lru_cache(4)
def _date(second_of_all: int) -> str:
    """Much happens in one second."""
    year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(second_of_all)
    return f"{_DAYS[weekday]}, {day:02d} {_MONTHS[month]} {year:04d} {hour:02d}:{minute:02d}:{second:02d} +0000"


def received(peer: Peer, host: str, identifier: str, at: float, recipient: Address | None, utf8: bool = False) -> bytes:
    """The Received field for a message that *peer* gave to *host* (us) at *at* (POSIX seconds); RFC 5321 §4.4.

    *identifier* is the item's id. *recipient* is named only where the caller gives it, which he does for a message
    with exactly one: a `for` clause with one of several would tell that one of the others. *utf8*: the transaction
    had SMTPUTF8, and non-ASCII names may stand as they are; without it they are masked or left out.
    """
    where = f"{_word(peer.name)} {_literal(peer.address)}" if peer.name else _literal(peer.address)
    lines = [
        f"Received: from {_word(peer.hello, utf8) or 'unknown'} ({where})",
        f"by {_word(host, utf8)} with {_protocol(peer, utf8)}",
        *([_agreed(peer.tls, show_client=peer.account is None)] if peer.tls else ()),
        f"id {_word(identifier, utf8)}{_for(recipient, utf8)}",
    ]
    if clause := _tls_clause(peer.tls):
        lines.append(f"{clause}; {date(at)}")
    else:
        lines[-1] += ";"
        lines.append(date(at))
    field = "\r\n\t".join(lines)
    if max(map(len, lines)) >= LONGEST_LINE:
        field = _folded(field.replace("\r\n\t", " "))
    return field.encode() + b"\r\n"


def return_path(sender: Address | None) -> bytes:
    """The Return-Path field that final delivery adds (RFC 5321 §4.4); None is the null reverse-path."""
    return b"Return-Path: <%b>\r\n" % (_plain(str(sender)) if sender else b"")


def delivered_to(address: Address) -> bytes:
    """The Delivered-To field: which address brought this copy here; loops are found by it."""
    return b"Delivered-To: %b\r\n" % _plain(str(address))


def _protocol(peer: Peer, utf8: bool) -> str:
    """The WITH protocol: RFC 3848, and RFC 6531 §4.3 for the UTF8 forms."""
    options = ("S" if peer.tls else "") + ("A" if peer.account else "")
    if peer.role is Role.LMTP:
        return ("UTF8LMTP" if utf8 else "LMTP") + options
    if utf8:
        return "UTF8SMTP" + options
    return "ESMTP" + options if peer.extended or options else "SMTP"


def _agreed(tls: TlsState, *, show_client: bool) -> str:
    """What the handshake agreed on, as a comment in the form that sendmail made usual.

    Whose certificate it was is told of servers; who has logged in is told to nobody.
    """
    client = f" client={_word(tls.client)}" if tls.client and show_client else ""
    return f"(version={_word(tls.version)} cipher={_word(tls.cipher)} bits={tls.bits}{client})"


def _tls_clause(tls: TlsState | None) -> str:
    """RFC 8314 §4.3; empty where the cipher suite has no registered name that we know."""
    name = "" if tls is None else tls.cipher if tls.cipher.startswith("TLS_") else _REGISTERED.get(tls.cipher, "")
    return f"tls {_word(name)}" if name else ""


def _for(recipient: Address | None, utf8: bool) -> str:
    if recipient is None:
        return ""
    text = str(recipient)
    return f" for <{_CONTROL.sub('?', text)}>" if utf8 or text.isascii() else ""


def _literal(address: str) -> str:
    """The peer's address as RFC 5321 §4.1.3 writes it; `local` for a socket that has none."""
    if address == "unix":
        return "local"
    return f"[IPv6:{_word(address)}]" if ":" in address else f"[{_word(address)}]"


@lru_cache(256)
def _word(text: str, utf8: bool = False) -> str:
    if not utf8 and not text.isascii():
        text = text.encode("ascii", "replace").decode()
    return _NOT_A_WORD.sub("?", text[:_LONGEST_WORD])


def _plain(text: str) -> bytes:
    return _CONTROL.sub("?", text).encode("utf-8", "replace")


def _folded(field: str) -> str:
    """*field*, one line with single spaces between words, broken before the words that pass LONGEST_LINE."""
    lines: list[str] = []
    line, *words = field.split(" ")
    for word in words:
        if len(line) + 1 + len(word) > LONGEST_LINE and line != "Received:":
            lines.append(line)
            line = "\t" + word
        else:
            line += " " + word
    return "\r\n".join([*lines, line])
