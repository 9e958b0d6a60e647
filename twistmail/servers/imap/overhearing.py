"""What a client hears of annotations that others change, once it has said ENABLE METADATA (RFC 5464 §4.1, §4.4.2).

Names of entries are kept until the client may be told: before the next final response, or at once where it is idling. A client
that has said NOTIFY has said all that it wants to hear, and hears of annotations through that.
"""

from __future__ import annotations

from typing import Any

from twistmail.mail.mailbox import TreeChange, TreeEvent
from twistmail.servers.imap.metadata import names_line
from twistmail.wire.imap.metadata import SetMetadata

#: Entries that wait to be told to one client; of more, it has to ask.
MOST_WAITING = 1000


class Overhearing:
    """One client's ear. *client*: the Client; heard until `close`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._folders = client.folders
        self._waiting: dict[tuple[str, str], None] = {}  # (mailbox, entry), in order
        self._folders.watch(self._heard)

    def close(self) -> None:
        self._folders.unwatch(self._heard)

    def _heard(self, change: TreeChange) -> None:
        if change.what is not TreeEvent.ANNOTATED or self._client.listening is not None or self._is_own(change):
            return
        for entry in change.entries:
            if entry.startswith(("/private/", "/shared/")) and len(self._waiting) < MOST_WAITING:
                self._waiting[change.name, entry] = None
        if self._waiting and self._client.idling:
            self._client.poke()

    def _is_own(self, change: TreeChange) -> bool:
        """Only what others do is news."""
        doing = self._client.doing
        return isinstance(doing, SetMetadata) and doing.mailbox == change.name

    def lines(self) -> bytes:
        """All that has been heard, said once: a METADATA response for each mailbox, or nothing."""
        heard, self._waiting = self._waiting, {}
        entries: dict[str, list[str]] = {}
        for name, entry in heard:
            entries.setdefault(name, []).append(entry)
        return b"".join([names_line(self._client.spelled(name) if name else b'""', some) for name, some in entries.items()])
