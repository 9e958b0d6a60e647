"""What a server offers in its answer to EHLO, and what of that we use: not all that is offered works.

`[relay] avoid` names extensions that are not used at all, or not with one server. The
encryption is not among them: that is `[route:...] tls`.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from twistmail.options import Kind, Option, Reload
from twistmail.relay.route import Host
from twistmail.wire.smtp.client import Reply

#: What can be done without: everything is sent in another form then, or we do for the sender what the server would have done.
AVOIDABLE = ("PIPELINING", "CHUNKING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN", "DELIVERBY", "MT-PRIORITY", "LIMITS")

#: Keywords in upper case by server (its name or address, in lower case; "" is all).
Avoided = Mapping[str, frozenset[str]]


def offered(reply: Reply, avoided: frozenset[str] = frozenset()) -> dict[str, str]:
    """The EHLO keywords of *reply* in upper case, with their parameters (RFC 5321 §4.1.1.1), but for those *avoided*."""
    extensions: dict[str, str] = {}
    for line in reply.lines[1:]:
        text = line.decode("ascii", "replace")
        if text[:5].upper() == "AUTH=":  # is how some old servers spell "AUTH PLAIN"
            text = "AUTH " + text[5:]
        keyword, _, parameters = text.partition(" ")
        known = extensions.get(keyword.upper())
        extensions[keyword.upper()] = f"{known} {parameters}" if known else parameters
    for keyword in avoided:
        extensions.pop(keyword, None)
    return extensions


def avoided_at(host: Host, avoided: Avoided) -> frozenset[str]:
    """What is not used with *host*."""
    nothing: frozenset[str] = frozenset()
    return avoided.get("", nothing) | avoided.get(host.name.lower(), nothing) | avoided.get(host.address, nothing)


def _read(text: str) -> Avoided:
    found: dict[str, frozenset[str]] = {}
    for word in text.split():
        server, _, keyword = word.rpartition("=")
        if keyword.upper() not in AVOIDABLE or word.startswith("="):
            raise ValueError(_wrong(word, keyword))
        server = server.lower().strip("[]")
        found[server] = found.get(server, frozenset()) | {keyword.upper()}
    return found


def _wrong(word: str, keyword: str) -> str:
    if keyword.upper() in ("STARTTLS", "AUTH", "REQUIRETLS"):
        return f"{keyword} is not avoided here\nwhether mail is encrypted says tls, in [relay] and in [route:...]"
    near = get_close_matches(keyword.upper(), AVOIDABLE, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{word} is no extension that can be avoided\n{hint}write {', '.join(AVOIDABLE)}, or mx.broken.example=CHUNKING"


def _write(avoided: Avoided) -> str:
    return " ".join(f"{server}={word}" if server else word for server in sorted(avoided) for word in sorted(avoided[server]))


AVOID = Option(
    "avoid", Kind("extensions", _read, _write), "",
    "Extensions of SMTP that are not used even where a server offers them, because they do not work there: with all servers, or "
    "(server=extension) with one, by its name or address.",
    Reload.NEW, example="mx.broken.example=CHUNKING 192.0.2.7=PIPELINING")  # fmt: skip
