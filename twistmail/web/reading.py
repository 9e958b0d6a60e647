"""A request's words: query, form and cookies as mappings. Pure, bounded, made for what strangers send; `web.site` calls."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

#: Fields of one query or form; more is no form of ours.
MOST_FIELDS = 400
#: Cookies of one request that are looked at.
MOST_COOKIES = 50
FORM = "application/x-www-form-urlencoded"


class Unreadable(ValueError):
    """This is no query or form; says why, for the one who sent it."""


def fields(words: str) -> dict[str, str]:
    """A query or an urlencoded form; the last of several values counts. Octets that are no UTF-8 become U+FFFD.

    Raises Unreadable where there are more than MOST_FIELDS.
    """
    try:
        return dict(parse_qsl(words, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="replace"))
    except ValueError:
        raise Unreadable(f"more than {MOST_FIELDS} fields") from None


def form(kind: str, body: bytes) -> dict[str, str]:
    """The fields of *body*, if its Content-Type *kind* says that it is a form; else nothing."""
    return fields(body.decode("ascii", "replace")) if media(kind) == FORM else {}


def media(kind: str) -> str:
    """A Content-Type without its parameters, in lower case."""
    return kind.partition(";")[0].strip(" \t").lower()


def cookies(header: str) -> Mapping[str, str]:
    """RFC 6265 §5.4: "a=b; c=d". Of two with one name the first counts; what is no pair is passed over."""
    found: dict[str, str] = {}
    for pair in header.split(";", MOST_COOKIES)[:MOST_COOKIES]:
        name, equals, value = pair.strip(" \t").partition("=")
        if equals:
            found.setdefault(name, value)
    return found
