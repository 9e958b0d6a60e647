"""A message in a list: a value that inboxes, searches, pages and the JSON API share. Where it lies is its `letter_place`."""

from __future__ import annotations

from twistmail.lab.letter_place import Place
from twistmail.mail.values import frozen
from twistmail.web.letters import Person


@frozen
class Row:
    """One message in a list. `arrived`: POSIX seconds; `size` in octets; `files`: attachments."""

    place: Place
    is_read: bool
    sender: tuple[Person, ...]
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    bcc: tuple[Person, ...]
    reply_to: tuple[Person, ...]
    subject: str
    message_id: str
    arrived: float
    size: int
    files: int
    preview: str

    @property
    def id(self) -> str:
        return self.place.id

    @property
    def account(self) -> str:
        return self.place.account

    @property
    def mailbox(self) -> str:
        return self.place.mailbox
