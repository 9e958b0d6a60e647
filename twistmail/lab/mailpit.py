"""Messages as JSON in the shapes that users of Mailpit know (its API, version 1), and what they send in these shapes.

Names are spelled as there; what is ours alone (Office, Account, Mailbox, Journey) stands beside. Tags are not kept here:
lists of them are empty. Pure; `pages.api` has the paths.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from twistmail.lab.drafts import Draft, Enclosure, Mistake, address_of
from twistmail.lab.inboxes import Listing, journey_of
from twistmail.lab.letter_place import Place
from twistmail.lab.letter_rows import Row
from twistmail.mail import headers, words
from twistmail.web import letters
from twistmail.web.letters import File, Person

Json = dict[str, Any]
#: Fields of a head that are told.
MOST_FIELDS = 2000


class Unfit(ValueError):
    """A request cannot be understood; says why, for whoever wrote the program that made it."""


# ----- what is told


def listing(found: Listing, start: int, *, searched: bool = False) -> Json:
    """A list of messages."""
    return {
        "total": found.total,
        "unread": found.unread,
        "count": len(found.rows),
        "messages_count": found.matching if searched else found.total,
        "messages_unread": found.matching_unread if searched else found.unread,
        "start": start,
        "tags": [],
        "messages": [summary(row) for row in found.rows],
    }


def summary(row: Row) -> Json:
    """One message of a list."""
    return {
        "ID": row.id,
        "MessageID": row.message_id,
        "Read": row.is_read,
        "From": _person(row.sender[0]) if row.sender else None,
        "To": _people(row.to),
        "Cc": _people(row.cc),
        "Bcc": _people(row.bcc),
        "ReplyTo": _people(row.reply_to),
        "Subject": row.subject,
        "Created": moment(row.arrived),
        "Username": "",
        "Tags": [],
        "Size": row.size,
        "Attachments": row.files,
        "Snippet": row.preview,
        **_where(row.place),
    }


def message(place: Place, octets: bytes, arrived: float) -> Json:
    """One message, whole. Reads all of it: call it in a thread."""
    letter = letters.view(octets)
    files = letters.contents(octets)
    unsubscribe = letters.view_field(octets, b"list-unsubscribe")
    return {
        "ID": place.id,
        "MessageID": letter.message_id,
        "From": _person(letter.sender[0]) if letter.sender else None,
        "To": _people(letter.to),
        "Cc": _people(letter.cc),
        "Bcc": _people(letter.bcc),
        "ReplyTo": _people(letter.reply_to),
        "ReturnPath": letter.return_path,
        "Subject": letter.subject,
        "ListUnsubscribe": {
            "Header": unsubscribe,
            "Links": [word.strip(" <>") for word in unsubscribe.split(",") if word.strip()],
            "Errors": "",
            "HeaderPost": letters.view_field(octets, b"list-unsubscribe-post"),
        },
        "Date": moment(letter.sent if letter.sent is not None else arrived),
        "Tags": [],
        "Username": "",
        "Text": "" if letter.is_from_html else letter.text,
        "HTML": letter.html,
        "Size": letter.size,
        "Inline": [_file(file, content) for file, content in files if file.is_inline],
        "Attachments": [_file(file, content) for file, content in files if not file.is_inline],
        "Journey": journey_of(octets),
        **_where(place),
    }


def head(octets: bytes) -> dict[str, list[str]]:
    """All fields of a message by name, as Go's net/http spells names: `Message-Id`."""
    found: dict[str, list[str]] = {}
    header, _ = headers.split(octets)
    for number, field in enumerate(headers.fields(header)):
        if number >= MOST_FIELDS:
            break
        name = "-".join(piece.capitalize() for piece in field.name.decode("ascii", "replace").split("-"))
        found.setdefault(name, []).append(letters.whole(words.decode(headers.unfold(field.value), "")))
    return found


def moment(at: float) -> str:
    """POSIX seconds as RFC 3339 writes them."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return "1970-01-01T00:00:00.000Z"


def _where(place: Place) -> Json:
    return {"Office": place.office, "Account": place.account, "Mailbox": place.mailbox, "UID": place.uid}


def _person(person: Person) -> Json:
    return {"Name": person.name, "Address": person.address}


def _people(people: Iterable[Person]) -> list[Json]:
    return [_person(person) for person in people]


def _file(file: File, content: bytes) -> Json:
    return {
        "PartID": file.number,
        "FileName": file.name,
        "ContentType": file.kind,
        "ContentID": file.content_id,
        "Size": len(content),
        "Checksums": {
            "MD5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
            "SHA1": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
            "SHA256": hashlib.sha256(content).hexdigest(),
        },
    }


# ----- what is asked


def read(body: bytes) -> Json:
    """The object that a request carries; empty for no body. Unfit."""
    if not body.strip():
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unfit(f"the body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Unfit("the body shall be a JSON object")
    return value


def strings(asked: Mapping[str, Any], name: str) -> list[str]:
    """A list of strings, which may be missing. Unfit."""
    value = asked.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Unfit(f"{name} shall be a list of strings")
    return value


def string(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name) or ""
    if not isinstance(value, str):
        raise Unfit(f"{name} shall be a string")
    return value


def flag(asked: Mapping[str, Any], name: str) -> bool:
    value = asked.get(name) or False
    if not isinstance(value, bool):
        raise Unfit(f"{name} shall be true or false")
    return value


def draft(asked: Json) -> Draft:
    """What a request to send says. Unfit, Mistake."""
    senders = _senders(asked.get("From"))
    fields = asked.get("Headers") or {}
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise Unfit("Headers shall be an object of strings")
    return Draft(
        sender=senders,
        to=_listed(asked, "To"),
        cc=_listed(asked, "Cc"),
        bcc=tuple(Person("", address) for address in strings(asked, "Bcc")),
        reply_to=_listed(asked, "ReplyTo"),
        subject=string(asked, "Subject"),
        text=string(asked, "Text"),
        html=string(asked, "HTML"),
        fields=tuple(fields.items()),
        enclosures=tuple(_enclosure(one) for one in _objects(asked, "Attachments")),
    )


def _senders(value: Any) -> Person:
    if not isinstance(value, dict):
        raise Unfit('From shall be an object such as {"Email": "alice@blue.test", "Name": "Alice"}')
    person = Person(string(value, "Name"), string(value, "Email"))
    address_of(person)
    return person


def _listed(asked: Json, name: str) -> tuple[Person, ...]:
    return tuple(Person(string(one, "Name"), string(one, "Email")) for one in _objects(asked, name))


def _objects(asked: Json, name: str) -> list[Json]:
    value = asked.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise Unfit(f"{name} shall be a list of objects")
    return value


def _enclosure(asked: Json) -> Enclosure:
    name = string(asked, "Filename")
    content = string(asked, "Content").rpartition(",")[2]  # browsers say data:image/png;base64,...
    try:
        octets = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise Mistake(f"The content of {name!r} is no base64.") from None
    return Enclosure(name, string(asked, "ContentType") or "application/octet-stream", octets, string(asked, "ContentID"))
