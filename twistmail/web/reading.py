"""A request's words: query, form and cookies as mappings. Pure, bounded, made for what strangers send; `web.site` calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.message import Message
from email.parser import HeaderParser
from urllib.parse import parse_qsl

from twistmail.web.page import Upload

#: Fields of one query or form; more is no form of ours.
MOST_FIELDS = 400
#: Cookies of one request that are looked at.
MOST_COOKIES = 50
FORM = "application/x-www-form-urlencoded"
FORM_WITH_FILES = "multipart/form-data"
#: Octets of a part's head, and of a boundary (RFC 2046 §5.1.1).
LONGEST_HEAD, LONGEST_BOUNDARY = 4096, 70


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
        return fields(body.decode("ascii", "replace")), {}
    return with_files(kind, body) if media(kind) == FORM_WITH_FILES else ({}, {})


def with_files(kind: str, body: bytes) -> tuple[dict[str, str], dict[str, tuple[Upload, ...]]]:
    """RFC 7578. The last of several values counts, of files all do; a field for files in which none was chosen is left out."""
    words: dict[str, str] = {}
    files: dict[str, tuple[Upload, ...]] = {}
    for head, octets in _parts(kind, body):
        name = _said(head, "name")
        if (file := head.get_param("filename", None, "content-disposition")) is None:
            words[name] = octets.decode("utf-8", "replace")
        elif file or octets:
            upload = Upload(_said(head, "filename"), media(head.get("content-type", "application/octet-stream")), octets)
            files[name] = (*files.get(name, ()), upload)
    return words, files


def _parts(kind: str, body: bytes) -> Iterator[tuple[Message, bytes]]:
    """RFC 2046 §5.1.1; every part with its head."""
    boundary = HeaderParser().parsestr(f"Content-Type: {kind}").get_boundary("")
    if not 0 < len(boundary) <= LONGEST_BOUNDARY:
        raise Unreadable("a form without a boundary")
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("utf-8", "replace"), MOST_FIELDS + 2)[1:]
    if len(parts) > MOST_FIELDS + 1:
        raise Unreadable(f"more than {MOST_FIELDS} fields")
    if not parts or not parts[-1].startswith(b"--"):
        raise Unreadable("a form that is cut off")
    for part in parts[:-1]:
        head, end, octets = part.partition(b"\r\n\r\n")
        if not end or len(head) > LONGEST_HEAD:
            raise Unreadable("a part of a form without a head, or with too long a one")
        yield HeaderParser().parsestr(head.removeprefix(b"\r\n").decode("utf-8", "replace")), octets


def _said(head: Message, parameter: str) -> str:
    """Of the Content-Disposition, with what browsers write for quotation marks and line ends (RFC 7578 §2)."""
    value = head.get_param(parameter, "", "content-disposition")
    text: str = value if isinstance(value, str) else value[2]
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
