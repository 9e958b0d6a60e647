"""The settings of what addresses become as mail comes in: [canonical]."""

from __future__ import annotations

from collections.abc import Sequence

from twistmail.canonical.rules import CLASSES
from twistmail.options import TEXT, WORDS, Kind, Option, Section, choice

ENVELOPE, HEADER = "envelope", "header"


def _words(known: Sequence[str]) -> Kind:
    def read(text: str) -> frozenset[str]:
        words = WORDS.read(text.replace(",", " "))
        for word in words:
            if word not in known:
                raise ValueError(f"{word} is no place for addresses\nwrite some of {' '.join(known)}")
        return frozenset(words)

    return Kind("places", read, lambda found: " ".join(word for word in known if word in found))


_PARTS = _words((ENVELOPE, HEADER))

OPTIONS = Section(
    "canonical", "Addresses that are replaced as mail comes in, before aliases are looked up: canonical(5) of Postfix. Empty: none are.",
    Option("table", TEXT, "", "A file for senders and recipients: ann@pc7.lan, ann (in any domain of this house) or @pc7.lan, and behind "
           "it the address that takes its place; regexp:FILE has regular expressions on the left, domaintable:FILE domains alone. "
           "Read again when it changes.",
           example="/etc/mail/canonical"),
    Option("table_in", _words(CLASSES), " ".join(CLASSES), "Where table holds: all of this, or some of it."),
    Option("senders", TEXT, "", "A file of the same kind that is asked before table, for senders only.",
           example="/etc/mail/sender_canonical"),
    Option("senders_in", _PARTS, f"{ENVELOPE} {HEADER}", "Where senders holds."),
    Option("recipients", TEXT, "", "A file of the same kind that is asked before table, for recipients only.",
           example="/etc/mail/recipient_canonical"),
    Option("recipients_in", _PARTS, f"{ENVELOPE} {HEADER}", "Where recipients holds."),
    Option("headers_of", choice("users", "everybody"), "users", "In whose messages the header is changed: those that a user sends, or "
           "strangers' too, whose signatures (DKIM) break by it."),
)  # fmt: skip

