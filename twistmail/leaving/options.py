"""The settings of what leaves: [rewrite] and [srs]; and VERP, in [relay]."""

from __future__ import annotations

from twistmail.mail import verp
from twistmail.mail.address import Address, canonical_domain, parse
from twistmail.options import COUNT, DURATION, SWITCH, TEXT, WORDS, Kind, Option, Reload, Section, choice


def _read_domains(text: str) -> tuple[str, ...]:
    """`*.lan` and `.lan` are the same: everything below it."""
    names = [word.removeprefix("*") for word in WORDS.read(text)]
    return tuple(dict.fromkeys("." * name.startswith(".") + _domain(name.removeprefix(".")) for name in names))


def _read_domain(text: str) -> str:
    return _domain(text) if text else ""


def _domain(text: str) -> str:
    try:
        return canonical_domain(text)
    except ValueError:
        raise ValueError(f"{text} is no domain\nwrite a name such as blue.example") from None


def _read_delimiters(text: str) -> str:
    if not verp.are_delimiters(text):
        raise ValueError(f"{text} is no pair of delimiters\nwrite two of {' '.join(verp.MARKS)}, such as {verp.USUAL}")
    return text


def _read_senders(text: str) -> tuple[Address, ...]:
    """Addresses, names without a domain, and `@domain` (whose local part is then empty)."""
    return tuple(Address("", _domain(word[1:])) if word.startswith("@") else parse(word).folded for word in WORDS.read(text))


DOMAIN = Kind("a domain", _read_domain)
PATTERNS = Kind("domains", _read_domains, " ".join)
EXCEPTIONS = Kind("names", lambda text: tuple(parse(word).folded for word in WORDS.read(text)), lambda names: " ".join(map(str, names)))
DELIMITERS = Kind("two delimiters", _read_delimiters)
SENDERS = Kind("senders", _read_senders, lambda names: " ".join(str(name) if name.local else f"@{name.domain}" for name in names))

OPTIONS = Section(
    "rewrite", "Senders that the world must not see: what becomes of them when mail leaves by SMTP. Mail that stays here keeps them.",
    Option("masquerade_as", DOMAIN, "", "The domain in which all of masquerade_domains is shown; empty: no masquerading.",
           example="blue.example"),
    Option("masquerade_domains", PATTERNS, "", "What is shown so: pc7.lan that very name, *.lan everything below it. "
           "Empty: the names of this machine.", example="*.lan *.blue.example"),
    Option("masquerade_exceptions", EXCEPTIONS, "", "Who keeps his address: names, in whatever domain, or whole addresses.",
           example="root"),
    Option("masquerade_envelope", SWITCH, "yes", "Masquerade the sender in the envelope, to whom reports go."),
    Option("masquerade_header", SWITCH, "yes", "Masquerade From, Sender, Reply-To and their like. Recipients are never masqueraded."),
    Option("sender_map", TEXT, "", "A file that gives single senders another address, before masquerading: ann@pc7.lan, ann (in any domain "
           "of this house) or @pc7.lan, and behind it the address that the world sees. In the header, recipients too. Read again when it "
           "changes.", example="/etc/mail/generic"),
    Option("reverse", SWITCH, "yes", "What comes for an address that sender_map shows goes to the one behind it, where nobody here has "
           "that address."),
    Option("unanswerable", choice("reject", "accept"), "reject", "A user's mail to the world from a sender whom no answer can reach "
           "(ann@pc7.lan): refuse it (553 5.1.8), or let others do that.", Reload.NEW),
)  # fmt: skip

SRS = Section(
    "srs", "Forwarded mail gets a sender of ours, so that SPF does not stop it; reports to that are sent on to who it was (SRS).",
    Option("enabled", SWITCH, "no", "Rewrite the senders of strangers' messages that an alias or a user's forwarding leads elsewhere."),
    Option("domain", DOMAIN, "", "The domain of the rewritten senders, one of ours; empty: the default domain."),
    Option("secrets", WORDS, "", "Words that sign these addresses: the newest first, older ones are still believed. "
           "Empty: the server's own. Several servers of one domain need the same.", secret=True, example="env:SRS_SECRETS"),
    Option("expire", DURATION, "21d", "How long such an address leads back; at most 500d."),
    Option("accept", choice("reports", "all"), "reports", "What is sent on: only what has the null sender, as reports have, or all."),
    Option("reports", COUNT, "20", "Messages a minute to one such address; more have to wait (451)."),
)  # fmt: skip

#: In [relay].
VERP = (
    Option("verp", SENDERS, "", "Senders among our users whose mail leaves with the recipient in the sender's address (VERP), as XVERP "
           "asks for: addresses, names, or @domain.", example="news@blue.example"),
    Option("verp_delimiters", DELIMITERS, verp.USUAL, "What stands before the recipient and in place of his @. The first should be one "
           "of [aliases] subaddress, so that reports find the sender's mailbox."),
)  # fmt: skip
