"""What may be an annotation of a mailbox (RFC 5464), and how many there may be. Pure.

What begins with SERVERS_OWN is not for clients: we keep there what belongs to a mailbox.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from twistmail.mail.mailbox import StoreError

MOST = 100
LARGEST = 65_536
#: Octets of an account's annotations together: all of them are in memory when some are read.
MOST_OCTETS = 4 * 1024 * 1024
LONGEST_ENTRY = 1024
PRIVATE = "/private/"
SERVERS_OWN = "/server/"
#: What tells the special uses of a mailbox (RFC 6154 §4); it is kept elsewhere.
SPECIAL_USE = "/private/specialuse"
#: RFC 5464 §4.1: /private/ or /shared/ (or ours), then components without "*", "%", "//" or anything that is not printable ASCII.
_ENTRY = re.compile(r"/(?:private|shared|server)(?:/[!-$&-)+-.0-~]+)+")


def octets(annotations: Mapping[str, bytes]) -> int:
    """How much of a client's is in *annotations*, names and values."""
    return sum(len(entry) + len(value) for entry, value in annotations.items() if not entry.startswith(SERVERS_OWN))


def changed(annotations: Mapping[str, bytes], values: Mapping[str, bytes | None], others: int = 0) -> dict[str, bytes]:
    """*annotations* of a mailbox with *values* set, or removed where they are None. Raises StoreError.

    *others*: the `octets` that the other mailboxes of the account have.
    """
    result = dict(annotations)
    for entry, value in values.items():
        entry = entry.lower()
        if not _ENTRY.fullmatch(entry) or len(entry) > LONGEST_ENTRY:
            raise StoreError("That is not a name for an annotation", "CANNOT")
        if value is None:
            result.pop(entry, None)
        elif len(value) > LARGEST:
            raise StoreError("That annotation is too long", f"METADATA MAXSIZE {LARGEST}")
        else:
            result[entry] = value
    if sum(not entry.startswith(SERVERS_OWN) for entry in result) > MOST:
        raise StoreError("There are too many annotations", "METADATA TOOMANY")
    if others + octets(result) > MOST_OCTETS and octets(result) > octets(annotations):
        raise StoreError("There are too many annotations in all your mailboxes together", "METADATA TOOMANY")
    return result
