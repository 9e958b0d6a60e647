"""Capabilities that are kept from some: `hide_capabilities` of [imap], and what the other settings leave out.

A client that cannot cope with an extension is not told of it; so is one whose user cannot. What is hidden cannot be enabled
either; commands that a client says without having been told of them are answered all the same.
"""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase

from twistmail.mail.values import frozen
from twistmail.options import Kind, Settings
from twistmail.servers.imap.capabilities import AFTER_LOGIN, EVERYWHERE, words

#: Without it nobody would be served (RFC 3501 §7.2.1).
NEEDED = frozenset({"IMAP4rev1"})


@frozen
class Hidden:
    """`words` are kept from the users ("user") or programs ("client") that fit `pattern`, in lower case; from all without `whom`."""

    words: frozenset[str]
    whom: str = ""
    pattern: str = ""

    def concerns(self, user: str, agent: str) -> bool:
        match self.whom:
            case "user":
                return fnmatchcase(user, self.pattern)
            case "client":
                return fnmatchcase(agent.lower(), self.pattern)
        return True


def hidden_from(settings: Settings, user: str, agent: str) -> frozenset[str]:
    """The words that *user* ("" before login) is not told, whose program calls itself *agent* (RFC 2971)."""
    hidden = {"LITERAL+" if settings.literal == "minus" else "LITERAL-"}  # RFC 7888 §5: never both
    if not settings.compress:
        hidden.add("COMPRESS=DEFLATE")
    hidden.add("SAVELIMIT" if settings.message_limit is not None else "MESSAGELIMIT")  # RFC 9738 §3: the one implies the other
    if settings.save_limit is None:
        hidden.add("SAVELIMIT")
    if user not in settings.quota_admins:
        hidden.add("QUOTASET")
    for rule in settings.hide_capabilities:
        if rule.concerns(user, agent):
            hidden |= rule.words
    return frozenset(hidden)


def _read(text: str) -> tuple[Hidden, ...]:
    return tuple(_rule(line.strip()) for line in text.splitlines() if line.strip())


def _rule(line: str) -> Hidden:
    """ "client *outlook*: QRESYNC NOTIFY" """
    head, colon, rest = line.rpartition(":")
    whom, _, pattern = head.strip().partition(" ")
    if colon and (whom not in ("user", "client") or not pattern.strip()):
        raise ValueError(f"{line} says for whom in no way that we know\nwrite WORDS, user NAME: WORDS or client NAME: WORDS")
    known = {word.upper(): word for word in (*words(EVERYWHERE), *words(AFTER_LOGIN)) if word not in NEEDED}
    for word in rest.split():
        if word.upper() not in known:
            near = get_close_matches(word.upper(), known, 1, 0.6)
            raise ValueError(f"{word} is no capability that can be hidden\n"
                             + (f"did you mean {known[near[0]]}?" if near else "see CAPABILITY of the server"))  # fmt: skip
    return Hidden(frozenset(known[word.upper()] for word in rest.split()), whom, pattern.strip().lower())


def _write(rules: tuple[Hidden, ...]) -> str:
    return "\n".join((f"{rule.whom} {rule.pattern}: " if rule.whom else "") + " ".join(sorted(rule.words)) for rule in rules)


HIDDEN = Kind("lines of capabilities, each for all, for users or for clients", _read, _write)
