"""Names of mailboxes that outlive a rename (RFC 8474 §4), for stores that have none of their own. Pure."""

from __future__ import annotations

import hashlib


def mailboxid(account: str, uidvalidity: int) -> str:
    """For the mailbox of *account* with that UIDVALIDITY, which no two of its mailboxes have, at whatever time."""
    return "F" + hashlib.sha256(f"{account}/{uidvalidity}".encode()).hexdigest()[:32]
