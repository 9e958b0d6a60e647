"""The settings of mailing lists: [lists] for all of them, [list:NAME@DOMAIN] for each."""

from __future__ import annotations

import re

from twistmail.endpoints import ENDPOINTS
from twistmail.mail.address import Address, canonical_domain, parse
from twistmail.options import COUNT, DURATION, SIZE, TEXT, WORDS, Kind, Option, Section, choice

BOOK, FILE, GROUP = "book", "file", "group"
AUTHOR, TO_LIST = "author", "list"
#: What may stand in a subject as it is.
_TAG = re.compile(r"[ -~]{0,60}")
_URL = re.compile(r"https?://[!-;=?-~]{1,900}")


def _read_members(text: str) -> tuple[str, ...]:
    words: tuple[str, ...] = WORDS.read(text)
    for word in words:
        kind, colon, rest = word.partition(":")
        if word == BOOK or (colon and kind in (FILE, GROUP) and rest):
            continue
        try:
            parse(word)
        except ValueError:
            raise ValueError(f"{word} is no source of members\nwrite book, file:PATH, group:NAME, or addresses") from None
    return words


def _read_people(text: str) -> tuple[Address, ...]:
    """Addresses, and `@domain` (whose local part is then empty)."""
    return tuple(Address("", canonical_domain(word[1:])) if word.startswith("@") else parse(word).folded for word in WORDS.read(text))


def _read_owners(text: str) -> tuple[Address, ...]:
    owners = _read_people(text)
    if not owners or not all(one.local for one in owners):
        raise ValueError("a list needs somebody whom people can ask\nwrite one address, or more")
    return owners


def _read_tag(text: str) -> str:
    if not _TAG.fullmatch(text):
        raise ValueError("the tag of a subject is plain ASCII\nwrite a few letters, such as [News]")
    return text


def _read_url(text: str) -> str:
    if text and not _URL.fullmatch(text):
        raise ValueError(f"{text} is no address of a page\nwrite one such as https://lists.blue.example/unsubscribe")
    return text.rstrip("/")


def _read_reply(text: str) -> str | Address:
    return text if text in (AUTHOR, TO_LIST) else parse(text)


def _read_page(text: str) -> str:
    if text and not text.startswith("https://"):
        raise ValueError("one click is for pages by https only (RFC 8058 §3.1)\nwrite one such as https://lists.blue.example/unsubscribe")
    return _read_url(text)


MEMBERS = Kind("members", _read_members, " ".join)
PEOPLE = Kind("addresses", _read_people, lambda people: " ".join(str(one) if one.local else f"@{one.domain}" for one in people))
OWNERS = Kind("addresses", _read_owners, PEOPLE.write)
TAG = Kind("a tag", _read_tag)
URL = Kind("the address of a page", _read_url)
PAGE = Kind("the address of a page by https", _read_page)
REPLY = Kind("author, list, or an address", _read_reply, str)

OPTIONS = Section(
    "lists",
    "What all mailing lists have in common; each has a section [list:NAME@DOMAIN]. docs/lists.md",
    Option("url", PAGE, "", "Where the pages for unsubscribing are seen from outside; each copy then tells its reader where one click "
           "unsubscribes him (RFC 8058). Empty: by mail only.", example="https://lists.blue.example/unsubscribe"),
    Option("listen", ENDPOINTS, "off", "Where these pages are served. [acme] and [mta_sts] listen serve them too, and so can a web server "
           "that passes them on.", example="tls:port=443"),
    Option("max_connections", COUNT, "50", "Connections at a time; more are sent away."),
)  # fmt: skip

LIST = Section(
    "list",
    "One mailing list: [list:news@blue.example]. Mail for news-owner@ goes to its owners; news-request@ answers requests.",
    Option("description", TEXT, "", "What it is about, in a few words.", example="News of the blue house"),
    Option("owners", OWNERS, "postmaster", "Whom people may ask, and who hears of members that cannot be reached."),
    Option("members", MEMBERS, BOOK, "Who is on it: book (who has subscribed, or was added by twistmail list add), file:PATH (an address a "
           "line, read again when it changes), group:NAME (a [group:NAME] section), addresses.", example="book group:office"),
    Option("post", choice("members", "owners", "anyone"), "members", "Who may write to it; owners always may. Where it is owners, "
           "they log in for that; of members outside there is only what their messages say."),
    Option("posters", PEOPLE, "", "Who may besides: addresses, or @domain for everybody there.", example="@blue.example"),
    Option("local_writers", choice("login", "header"), "login", "Whether whoever names an address in a domain of ours must have logged in "
           "to write to it, or whether header and envelope are believed, which anybody can forge."),
    Option("subscribe", choice("closed", "confirm"), "closed", "Whether people may subscribe by mail to news-subscribe@, and have to "
           "confirm it. Everybody may always unsubscribe."),
    Option("subject_tag", TAG, "", "Put in front of subjects that do not have it, such as [News]; it breaks signatures (DKIM)."),
    Option("reply_to", REPLY, AUTHOR, "Where answers go: author (as he has it), list, or an address. Others than author break the "
           "author's signature where that covers Reply-To."),
    Option("archive", URL, "", "The page of the archive, where there is one.", example="https://lists.blue.example/archive"),
    Option("max_size", SIZE, "unlimited", "The biggest message that it takes."),
    Option("suspend_after", COUNT, "5", "Days on which a member's mail came back, after which he gets none for a while; 0: never."),
    Option("forget_after", DURATION, "14d", "Without such a report for so long, those of before do not count any more."),
    Option("retry_after", DURATION, "14d", "How long a suspended member gets nothing; then one message is tried."),
    pattern=True,
)  # fmt: skip
