"""IMAP URLs that mean a message or a part of one (RFC 5092), among them those that carry leave to read it (URLAUTH, RFC 4467).

Whole servers, lists of mailboxes, mailboxes and searches are no business of ours. Case does not matter in scheme and
parameter names; "/" before ";UID", ";SECTION" and ";PARTIAL" may be missing, as in the examples of RFC 4467 itself.
"""

from __future__ import annotations

import hmac
import re
from datetime import datetime
from urllib.parse import unquote_to_bytes

from twistmail.mail.values import frozen

LONGEST = 8192

_FLAGS = re.IGNORECASE | re.ASCII
_SERVER = re.compile(r"imap://(?:([^@/;?]*)(?:;AUTH=[^@/;?]+)?@)?(\[[0-9A-F:.]+\]|[^@/:;?\[\]]+)(?::([0-9]{1,5}))?(?=/)", _FLAGS)
_SCHEME = re.compile(r"[A-Z][A-Z0-9+.\-]*:|//", _FLAGS)
_MESSAGE = re.compile(
    r"([^;?]*)(?:;UIDVALIDITY=([1-9][0-9]{0,9}))?/?;UID=([1-9][0-9]{0,9})"
    r"(?:/?;SECTION=([^;/?]+))?(?:/?;PARTIAL=([0-9]{1,10})(?:\.([1-9][0-9]{0,9}))?)?",
    _FLAGS,
)
_GRANT = re.compile(r"/?(?:;EXPIRE=([^;]+))?;URLAUTH=([^;:/?]+)(?::([A-Z0-9.\-]+):([0-9A-F]{32,512}))?", _FLAGS)
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})", _FLAGS)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_URL = re.compile(r"[^!-~]")

#: How a token is made: the first two digits of a token say so (RFC 4467 §2.4.1).
_HMAC_SHA256 = "01"


class BadUrl(ValueError):
    """That is no URL of a message. The text is for the client."""


@frozen
class Server:
    """Where the URL leads: `user` may be "", `port` None."""

    user: str
    host: str
    port: int | None = None


@frozen
class Grant:
    """Leave to read (RFC 4467 §3): `access` says whose; `expires` is POSIX seconds or None.

    `rump` is the URL without its verifier; `mechanism` (upper case) and `token` are the verifier, "" where there is none.
    """

    access: str
    expires: float | None
    rump: str
    mechanism: str = ""
    token: str = ""


@frozen
class MessageUrl:
    """The message `uid` of `mailbox`, or what `section` ("1.2.MIME", "HEADER.FIELDS (FROM)", "" for all) means of it.

    `offset` and `count` (octets; None: up to the end) choose among those. `server` is None in a relative URL.
    """

    mailbox: str
    uid: int
    uidvalidity: int | None = None
    section: str = ""
    offset: int = 0
    count: int | None = None
    server: Server | None = None
    grant: Grant | None = None


def parse(text: str, base: str = "") -> MessageUrl:
    """The URL *text*; a relative one is relative to the mailbox *base* ("": none is selected). Raises BadUrl."""
    if len(text) > LONGEST or _NOT_URL.search(text) or _BAD_ESCAPE.search(text):
        raise BadUrl("That is not spelled as a URL")
    at, server = _server(text)
    match = _MESSAGE.match(text, at)
    if match is None:
        raise BadUrl("That URL does not mean a message")
    mailbox, uidvalidity, uid, section, offset, count = match.groups()
    return MessageUrl(
        _from_base(_decoded(mailbox), base if server is None else ""),
        int(uid),
        int(uidvalidity) if uidvalidity else None,
        _decoded(section or ""),
        int(offset or 0),
        int(count) if count else None,
        server,
        _grant(text, match.end()),
    )


def _server(text: str) -> tuple[int, Server | None]:
    """Where the path begins, and the server in front of it."""
    match = _SERVER.match(text)
    if match is None:
        if _SCHEME.match(text):
            raise BadUrl("That URL does not lead to a server")
        return 0, None
    user, host, port = match.groups()
    return match.end(), Server(_decoded(user or ""), _decoded(host).lower(), int(port) if port else None)


def _from_base(path: str, base: str) -> str:
    """The name of a mailbox whose *path* may be relative to that of *base*, as paths in URLs are."""
    name = path.strip("/")
    if not name:
        if not base:
            raise BadUrl("That URL does not tell the mailbox")
        return base
    above = "" if path.startswith("/") else base.rpartition("/")[0]
    return f"{above}/{name}" if above else name


def _decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise BadUrl("What a URL escapes is UTF-8") from None


def _grant(text: str, at: int) -> Grant | None:
    """What stands behind the message in *text*, from *at* on."""
    if at == len(text):
        return None
    match = _GRANT.fullmatch(text, at)
    if match is None:
        raise BadUrl("That URL has something behind it that we do not know")
    expires, access, mechanism, token = match.groups()
    rump = text if mechanism is None else text[: match.start(3) - 1]
    return Grant(_decoded(access), _moment(expires), rump, (mechanism or "").upper(), (token or "").lower())


def _moment(text: str | None) -> float | None:
    """RFC 3339 §5.6."""
    if text is None:
        return None
    try:
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text.upper()).timestamp()
    except ValueError:
        pass
    raise BadUrl("That is no time at which a URL can expire")


def token(rump: str, key: bytes) -> str:
    """The token that proves that who has *key* has given leave for the URL *rump* (mechanism INTERNAL)."""
    return _HMAC_SHA256 + hmac.new(key, rump.encode("ascii"), "sha256").hexdigest()


def is_proven(grant: Grant, key: bytes) -> bool:
    """Whether the token of *grant* was made with *key*. Takes the same time however wrong it is (RFC 4467 §6)."""
    return grant.mechanism == "INTERNAL" and hmac.compare_digest(grant.token, token(grant.rump, key))
