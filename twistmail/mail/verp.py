"""Variable envelope return paths: a sender for each recipient, so that a report tells by its address alone whom it is about.

    news@here.test, to bob@far.test   ->   news+bob=far.test@here.test

The first delimiter should be one that divides names from suffixes here, so that what comes back finds its mailbox.
As Postfix has it (VERP_README), whose XVERP parameter of MAIL asks for it. Pure.
"""

from __future__ import annotations

from twistmail.mail.address import LONGEST_LOCAL_PART, Address

#: Who asks for it without saying how: the delimiters of the configuration.
AS_USUAL = "default"
#: What delimiters may be (Postfix: verp_delimiter_filter); any two of them, the same twice too.
MARKS = "-=+"
USUAL = "+="


def are_delimiters(text: str) -> bool:
    """Whether *text* is a pair of MARKS."""
    return len(text) == 2 and all(mark in MARKS for mark in text)


def parameter(wanted: str) -> str:
    """What is said behind MAIL FROM:<...> to ask for *wanted*: "" (nothing), AS_USUAL, or delimiters."""
    return "" if not wanted else " XVERP" if wanted == AS_USUAL else f" XVERP={wanted}"


def sender_for(sender: Address, recipient: Address, delimiters: str = USUAL) -> Address:
    """*sender*, with *recipient* in it; *sender* as it is where that would be longer than a local part may be."""
    local = f"{sender.local}{delimiters[0]}{recipient.local}{delimiters[1]}{recipient.domain}"
    return Address(local, sender.domain) if len(local.encode()) <= LONGEST_LOCAL_PART else sender


def recipient_of(address: Address, sender: Address, delimiters: str = USUAL) -> Address | None:
    """The recipient that `sender_for(sender, ...)` has put into *address*; None where there is none."""
    stem = sender.local + delimiters[0]
    if address.domain != sender.domain or not address.local.startswith(stem):
        return None
    local, mark, domain = address.local[len(stem) :].rpartition(delimiters[1])
    return Address(local, domain) if mark and local and domain else None
