"""What is said of a message that is over before anybody has taken it. Pure."""

from __future__ import annotations

from dataclasses import replace

from twistmail.mail.item import Errand
from twistmail.mail.status import Status

#: An operator does not want it to be tried any longer.
GIVEN_UP = Status(554, "5.0.0", "An operator of this server has given up on the message")


def given_up(words: str = "") -> Status:
    """GIVEN_UP, with the operator's *words*."""
    return replace(GIVEN_UP, text=f"{GIVEN_UP.text}: {words}") if words else GIVEN_UP


def with_last_answer(status: Status, errand: Errand) -> Status:
    """*status* with what was said last about *errand*, because that may be what its sender wants to know."""
    return replace(status, text=f"{status.text}; the last answer was: {errand.status}") if errand.status else status
