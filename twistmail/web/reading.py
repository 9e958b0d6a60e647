"""A request's words: query, form and cookies as mappings. Pure, bounded, made for what strangers send; `web.site` calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from twistmail.mail import headers
from twistmail.web.page import Upload

#: Fields of one query or form; more is no form of ours.
MOST_FIELDS = 400
#: Octets of a form without files: reading it takes 0.15 us for each.
LONGEST_FORM = 256 * 1024
#: Cookies of one request that are looked at.
MOST_COOKIES = 50
FORM = "application/x-www-form-urlencoded"
FORM_WITH_FILES = "multipart/form-data"
#: Of a form with files: parts; octets of a boundary (RFC 2046 §5.1.1), of a part's head (the longest name of a file, each octet
#: percent-encoded, takes 765 of them), and of all heads.
MOST_PARTS, LONGEST_BOUNDARY, LONGEST_HEAD, LONGEST_HEADS = 200, 70, 1024, 64 * 1024
#: One parameter of a field. Browsers write a backslash as it is, programs put one before quotation marks and backslashes: a mark
#: behind a backslash ends the value where nothing or the next parameter follows. Possessive, as strangers choose what is read.
_PARAMETER = re.compile(r"""
    (?: [ \t]*+ ; )++ [ \t]*+ ([^=;"\s]++) [ \t]*+ = [ \t]*+
    (?: " ( (?: [^"\\] | \\"(?!;|\Z) | \\[^"] | \\(?=") )*+ ) " | ([^;"]*+) )
""", re.VERBOSE)  # fmt: skip
_NOTHING = re.compile(r"[ \t;]*+")
_ESCAPED = re.compile(r'\\(["\\])')


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


def form(kind: str, body: bytes) -> tuple[dict[str, str], dict[str, tuple[Upload, ...]]]:
    """The fields of *body* and the files in it, if its Content-Type *kind* says that it is a form; else nothing. Unreadable."""
    if media(kind) == FORM:
        if len(body) > LONGEST_FORM:
            raise Unreadable(f"a form without files of more than {LONGEST_FORM >> 10} KB")
        return fields(body.decode("ascii", "replace")), {}
    return with_files(kind, body) if media(kind) == FORM_WITH_FILES else ({}, {})


def with_files(kind: str, body: bytes) -> tuple[dict[str, str], dict[str, tuple[Upload, ...]]]:
    """RFC 7578. The last of several values counts, of files all do; a field for files in which none was chosen is left out."""
    words: dict[str, str] = {}
    files: dict[str, tuple[Upload, ...]] = {}
    for head, octets in _parts(kind, body):
        said = _parameters(_value(head, b"content-disposition", ""))
        if "name" not in said:
            raise Unreadable("a part of a form without a name")
        name = _meant(said["name"])
        if (file := said.get("filename")) is None:
            words[name] = octets.decode("utf-8", "replace")
        elif file or octets:
            upload = Upload(_meant(file), media(_value(head, b"content-type", "application/octet-stream")), octets)
            files[name] = (*files.get(name, ()), upload)
    return words, files


def _parts(kind: str, body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """RFC 2046 §5.1.1; every part with its head."""
    boundary = _parameters(kind).get("boundary", "")
    if not 0 < len(boundary) <= LONGEST_BOUNDARY:
        raise Unreadable("a form without a boundary")
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("utf-8", "replace"), MOST_PARTS + 2)[1:]
    if len(parts) > MOST_PARTS + 1:
        raise Unreadable(f"more than {MOST_PARTS} fields")
    if not parts or not parts[-1].startswith(b"--"):
        raise Unreadable("a form that is cut off")
    heads = 0
    for part in parts[:-1]:
        head, end, octets = part.partition(b"\r\n\r\n")
        heads += len(head)
        if not end or len(head) > LONGEST_HEAD or heads > LONGEST_HEADS:
            raise Unreadable("a part of a form without a head, or with too long a one")
        yield head.removeprefix(b"\r\n"), octets


def _value(head: bytes, name: bytes, default: str) -> str:
    """Of the first field called *name* (lower case)."""
    value = headers.first(head, name)
    return default if value is None else value.decode("utf-8", "replace")


def _parameters(value: str) -> dict[str, str]:
    """Those of a Content-Type or Content-Disposition, names in lower case; of two with one name the first counts. Unreadable.

    In linear time. Parameters in several pieces or other charsets (RFC 2231) are none of a form's: RFC 7578 §4.2.
    """
    found: dict[str, str] = {}
    at = len(value.partition(";")[0])
    while match := _PARAMETER.match(value, at):
        name, quoted, plain = match.groups()
        found.setdefault(name.lower(), plain.rstrip(" \t") if quoted is None else _ESCAPED.sub(r"\1", quoted))
        at = match.end()
    if not _NOTHING.fullmatch(value, at):
        raise Unreadable("a field of a form that does not say what it is")
    return found


def _meant(text: str) -> str:
    """With what browsers write for quotation marks and line ends (RFC 7578 §2)."""
    for written, meant in (("%22", '"'), ("%0D", " "), ("%0A", " ")):
        text = text.replace(written, meant)
    return text


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
