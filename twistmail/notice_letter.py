"""What the postmaster reads when mail waits because of how something is set up here. Imported for the first such letter (`later`)."""

from __future__ import annotations

from email import policy
from email.generator import BytesGenerator
from email.message import EmailMessage
from email.utils import formatdate
from io import BytesIO
from typing import Any

from twistmail.mail.outcome import Outcome

SUBJECT = "Mail waits for something to be set up"


def written(identifier: str, outcome: Outcome, writer: Any) -> bytes:
    """The letter about *outcome* of the item *identifier*, CRLF line ends."""
    message = EmailMessage(policy.default)
    message["From"] = f"Mail system <{writer.postmaster}>"
    message["To"] = str(writer.postmaster)
    message["Subject"] = SUBJECT
    message["Date"] = formatdate(writer.epoch())
    message["Message-ID"] = f"<{next(writer.identifiers)}@{writer.host}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: nobody's vacation answers
    text = (
        f"Mail for {_plain(str(outcome.target.original))} waits in the queue of {writer.host}. It is tried again, and goes\n"
        "back to its senders in the end.\n\n"
        f"    where    {_plain(outcome.host)}\n"
        f"    why      {_plain(outcome.status.text)}\n"
        f"    message  {identifier}\n\n"
        "The log of the server says more about each attempt, and so does\n\n"
        f"    twistmail explain --to {_plain(str(outcome.target.original))}\n\n"
        "When it is put right: twistmail queue flush. About this place nothing more is said for a day.\n"
    )
    message.set_content(text, cte="7bit" if text.isascii() else "quoted-printable")  # a path is not folded, so that it can be copied
    letter = BytesIO()
    BytesGenerator(letter, policy=policy.SMTP).flatten(message)
    return letter.getvalue()


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:500]
