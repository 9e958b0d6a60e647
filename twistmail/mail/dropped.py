"""A message that a program of this machine has left for a server that did not run: how it stands in its file. Pure.

    twistmail-pickup 1
    {"sender": null, "recipients": ["bob"], "notify": "", "ret": "", "envid": ""}
    the message, CRLF line ends
    END 1234 sha256

`END` tells how many octets stand before it and what their digest is, so a file
that is cut short or was changed is never taken for a message. Whose message it
is the file does not say: that is told by whose the file is.
"""

from __future__ import annotations

import hashlib
import json
import re

from twistmail.mail import verp
from twistmail.mail.values import frozen

FIRST = b"twistmail-pickup 1\n"
#: Octets of the line with the envelope, and recipients in it.
LONGEST_ENVELOPE, MOST_RECIPIENTS = 1024 * 1024, 10_000
_LAST = re.compile(rb"\nEND ([0-9]{1,12}) ([0-9a-f]{64})\n\Z")
_LAST_SIZE = 1 + 4 + 12 + 1 + 64 + 1
_PARAMETER = re.compile(r"[!-<>-~]{0,300}")
_ADDRESS = re.compile(r"[^\x00-\x1f\x7f<>]{1,400}")


class Unreadable(ValueError):
    """The file is no such message; the text says what is wrong with it."""


@frozen
class Dropped:
    """One message. `sender` None: the user himself; "": nobody (`<>`). The others are values of NOTIFY, RET, ENVID and XVERP, or ""."""

    sender: str | None
    recipients: tuple[str, ...]
    content: bytes
    notify: str = ""
    ret: str = ""
    envid: str = ""
    verp: str = ""  # as `Wishes.verp`


def written(message: Dropped) -> bytes:
    """The octets of the file of *message*."""
    envelope = {"sender": message.sender, "recipients": list(message.recipients), "notify": message.notify, "ret": message.ret,
                "envid": message.envid, **({"verp": message.verp} if message.verp else {})}
    body = FIRST + json.dumps(envelope).encode() + b"\n" + message.content
    return body + b"\nEND %d %b\n" % (len(body), hashlib.sha256(body).hexdigest().encode())


def read(data: bytes) -> Dropped:
    """The message in a file that holds *data*. Raises Unreadable."""
    if not data.startswith(FIRST):
        raise Unreadable("it does not begin as a message that was left to be picked up")
    last = _LAST.search(data, max(0, len(data) - _LAST_SIZE))
    if last is None:
        raise Unreadable("its end is missing")
    body = data[: last.start()]
    if int(last[1]) != len(body) or hashlib.sha256(body).hexdigest().encode() != last[2]:
        raise Unreadable("its checksum is wrong")
    end = body.find(b"\n", len(FIRST), len(FIRST) + LONGEST_ENVELOPE)
    if end < 0:
        raise Unreadable("its envelope does not end")
    try:
        envelope = json.loads(body[len(FIRST) : end])
    except (ValueError, RecursionError):
        raise Unreadable("its envelope is no JSON") from None
    return _message(envelope, body[end + 1 :])


def _message(envelope: object, content: bytes) -> Dropped:
    if not isinstance(envelope, dict):
        raise Unreadable("its envelope is no object")
    sender, recipients = envelope.get("sender"), envelope.get("recipients")
    if not (sender is None or sender == "" or _is_address(sender)):
        raise Unreadable("its sender is no address")
    if not isinstance(recipients, list) or not 0 < len(recipients) <= MOST_RECIPIENTS or not all(map(_is_address, recipients)):
        raise Unreadable(f"its recipients are no list of 1 to {MOST_RECIPIENTS} addresses")
    notify, ret, envid, separate = (envelope.get(key, "") for key in ("notify", "ret", "envid", "verp"))
    for value in (notify, ret, envid):
        if not isinstance(value, str) or not _PARAMETER.fullmatch(value):
            raise Unreadable("what it asks for cannot be asked for")
    if not isinstance(separate, str) or not (separate in ("", verp.AS_USUAL) or verp.are_delimiters(separate)):
        raise Unreadable("what it asks for cannot be asked for")
    return Dropped(sender, tuple(recipients), content, notify, ret, envid, separate)


def _is_address(value: object) -> bool:
    """Something that can stand between < and >; whether it is an address is told by whoever reads the command."""
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None and value.isprintable()
