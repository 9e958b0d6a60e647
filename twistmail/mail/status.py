"""What is said in a reply, a verdict, a queue record and a delivery report: one type, because it is one thing."""

from __future__ import annotations

from twistmail.mail.values import frozen


@frozen
class Status:
    """A basic reply code (RFC 5321 §4.2.1), an enhanced code (RFC 3463) and a sentence that is safe to show to strangers.

    `enhanced` is empty where RFC 2034 §4 wants none (greeting, HELO, 354).
    `text` may hold several lines, divided by a line feed.
    """

    code: int
    enhanced: str
    text: str

    @property
    def is_positive(self) -> bool:
        return self.code < 400

    @property
    def is_temporary(self) -> bool:
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}" if self.enhanced else f"{self.code} {self.text}"


#: RFC 3463 and spec D7: the sentences that several places say in the same words.
BUG = Status(451, "4.3.0", "Something went wrong here, please try again later")
NO_ROOM = Status(452, "4.3.1", "No room for new mail at the moment, please try again later")
DISK_TROUBLE = Status(451, "4.3.0", "The mail store cannot be written at the moment, please try again later")
OVER_QUOTA = Status(452, "4.2.2", "The mailbox is full")
UNAVAILABLE = Status(451, "4.3.0", "An address table cannot be read at the moment, please try again later")
