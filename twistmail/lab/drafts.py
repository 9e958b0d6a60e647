"""Messages that people write in the browser, or programs over the JSON API: from what they said to octets. Pure.

Nothing that somebody writes ends a line of a header or adds a field; what cannot be
sent is a `Mistake` that says what is wrong, in words for the one who wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from email import policy
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import formatdate

from twistmail.lab import header_lines
from twistmail.lab.filters import octets
from twistmail.mail.address import Address, parse
from twistmail.mail.addresses import addresses
from twistmail.mail.subjects import based
from twistmail.mail.values import frozen
from twistmail.mail.words import MOST_OCTETS
from twistmail.web.html_tokens import words
from twistmail.web.letters import Letter, Person, people

#: Recipients, enclosures and further fields of one message; octets of its words.
MOST_RECIPIENTS, MOST_ENCLOSURES, MOST_FIELDS, LONGEST_TEXT = 100, 50, 100, 1024 * 1024
#: Characters of somebody's name, of an address (RFC 5321 §4.5.3.1, with quotation marks and backslashes), of a subject and of other values.
LONGEST_NAME, LONGEST_ADDRESS, LONGEST_SUBJECT, LONGEST_VALUE = 100, 400, 1000, 2000
#: Octets of all enclosures together: in base64, with the text, less than the 5 MB that an office takes from a class (`lan`).
MOST_ENCLOSED = 3_000_000
#: Fields that a draft has words for; others may be added.
OWN_FIELDS = words(
    "to from cc bcc reply-to date subject content-type mime-version content-transfer-encoding message-id sender return-path received "
    "in-reply-to references"
)
_FIELD_NAME = re.compile(r"[!-9;-~]{1,70}")
_KIND = re.compile(r"([a-z0-9!#$&^_.+-]{1,60})/([a-z0-9!#$&^_.+-]{1,60})")
_CONTROLS = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]+")
_TEXT_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Mistake(ValueError):
    """What somebody wants to send cannot be sent; says why."""


@frozen
class Enclosure:
    """A file that goes with a message; with a `content_id` the HTML may show it."""

    name: str
    kind: str
    octets: bytes
    content_id: str = ""


@frozen
class Draft:
    """`sender` stands in From; who sends is the business of `Postbox`. `fields`: further ones, (name, value)."""

    sender: Person
    to: tuple[Person, ...] = ()
    cc: tuple[Person, ...] = ()
    bcc: tuple[Person, ...] = ()
    subject: str = ""
    text: str = ""
    html: str = ""
    reply_to: tuple[Person, ...] = ()
    references: tuple[str, ...] = ()  # Message-IDs, the one that is answered last; without brackets
    fields: tuple[tuple[str, str], ...] = ()
    enclosures: tuple[Enclosure, ...] = ()

    @property
    def size(self) -> int:
        """How much there is to write: characters and octets, about."""
        people = (self.sender, *self.to, *self.cc, *self.reply_to)
        named = sum(len(person.name) + len(person.address) for person in people)
        told = sum(len(name) + len(value) for name, value in self.fields) + len(self.subject)
        return named + told + len(self.text) + len(self.html) + sum(len(enclosure.octets) for enclosure in self.enclosures)

    @property
    def recipients(self) -> tuple[Address, ...]:
        """Of the envelope: everybody once. Mistake where one is no address, or nobody is there, or too many are."""
        everybody = (*self.to, *self.cc, *self.bcc)
        if not everybody:
            raise Mistake("Nobody is named to whom it shall go: write somebody's address behind To.")
        _check_number(everybody)
        return tuple(dict.fromkeys(map(address_of, everybody)))


def _check_number(people: Sequence[Person]) -> None:
    if len(people) > MOST_RECIPIENTS:
        raise Mistake(f"{len(people)} recipients are too many for one message here; {MOST_RECIPIENTS} are the most.")


def address_of(person: Person) -> Address:
    """Mistake where it is none, or has no domain."""
    if len(person.address) > LONGEST_ADDRESS or _CONTROLS.search(person.address):
        raise Mistake(f"This is no address: {person.address[:100]!r} is too long, or has a line end in it.")
    try:
        address = parse(person.address)
    except ValueError as error:
        raise Mistake(f"This is no address: {error}.") from None
    if not address.domain:
        raise Mistake(f"{person.address!r} has no @ and no domain behind it, such as carol@green.test.")
    return address


def people_in(text: str) -> tuple[Person, ...]:
    """Who is named in *text*, as people write lists of addresses. Mistake where something in it is none."""
    listed = _CONTROLS.sub(" ", text).encode()
    if len(listed) > MOST_OCTETS or sum(one.is_mailbox for one in addresses(listed)) > MOST_RECIPIENTS:  # `people` would leave the rest out
        raise Mistake(f"These recipients are too many for one message here; {MOST_RECIPIENTS} are the most.")
    found = people([listed])
    if not found and text.strip():
        raise Mistake(f"This is no address: {text.strip()[:200]!r}.")
    for person in found:
        address_of(person)
    return found


def answer(letter: Letter, account: str) -> Draft:
    """An answer of *account*'s to *letter*, to be gone on with."""
    subject, _ = based(letter.subject)
    quoted = "\n".join(f"> {line}".rstrip() for line in letter.text[:20_000].rstrip().split("\n"))
    who = letter.sender[0] if letter.sender else Person("", "somebody")
    return Draft(
        sender=Person("", account),
        to=letter.reply_to or letter.sender,
        subject=f"Re: {_without_prefix(letter.subject, subject)}",
        text=f"\n\n{who} wrote:\n{quoted}\n",
        references=(*letter.references[-20:], *([letter.message_id] if letter.message_id else [])),
    )


def _without_prefix(subject: str, base: str) -> str:
    """As it was written, without what `subjects.based` (which maps letters) takes off in front."""
    at = len(subject) - len(base)
    return subject[at:].strip() if at >= 0 and subject[at:].upper() == base.upper() else subject


def written(draft: Draft, message_id: str, at: float) -> bytes:
    """*draft* as a message with CRLF line ends. *message_id* without brackets; *at*: POSIX seconds. Mistake."""
    lines: list[bytes] = []
    for name, listed in (("From", (draft.sender,)), ("To", draft.to), ("Cc", draft.cc), ("Reply-To", draft.reply_to)):
        if listed:
            _check_number(listed)
            lines.append(header_lines.mailboxes(name, [(_name(person), str(address_of(person))) for person in listed]))
    lines += [header_lines.unstructured(name, value) for name, value in _texts(draft, message_id, at)]
    message = EmailMessage(policy.SMTP)
    try:
        _say(message, draft)
        return b"".join([*lines, message.as_bytes()])
    except MessageError as error:
        raise Mistake(f"This cannot be written as a message: {error}.") from None


def _texts(draft: Draft, message_id: str, at: float) -> Iterator[tuple[str, str]]:
    """The fields that are no addresses, (name, value)."""
    if len(draft.fields) > MOST_FIELDS:
        raise Mistake(f"{len(draft.fields)} fields are too many for one message here; {MOST_FIELDS} are the most.")
    yield "Subject", _line(draft.subject, LONGEST_SUBJECT)
    yield "Date", formatdate(at)
    yield "Message-ID", f"<{message_id}>"
    if draft.references:
        yield "In-Reply-To", f"<{_id(draft.references[-1])}>"
        yield "References", " ".join(f"<{_id(one)}>" for one in draft.references)
    for name, value in draft.fields:
        yield _field_name(name), _line(value)


def _say(message: EmailMessage, draft: Draft) -> None:
    """The words and the files."""
    if max(len(draft.text), len(draft.html)) > LONGEST_TEXT:
        raise Mistake(f"The text is longer than {LONGEST_TEXT} characters.")
    if len(draft.enclosures) > MOST_ENCLOSURES:
        raise Mistake(f"More than {MOST_ENCLOSURES} files are too many for one message here.")
    if (enclosed := sum(len(enclosure.octets) for enclosure in draft.enclosures)) > MOST_ENCLOSED:
        most = octets(MOST_ENCLOSED)
        raise Mistake(f"The files have {octets(enclosed)} together, which is too much for one message here; {most} are the most.")
    message.set_content(_TEXT_CONTROLS.sub("\ufffd", draft.text))
    shown = message
    if draft.html:
        message.add_alternative(_TEXT_CONTROLS.sub("\ufffd", draft.html), subtype="html")
        shown = message.get_payload()[1]  # type: ignore[index, assignment]
    for enclosure in draft.enclosures:
        major, minor = _kind(enclosure.kind)
        name = _not_encoded(_line(enclosure.name))[:LONGEST_NAME] or "file"
        if enclosure.content_id and draft.html:
            cid = _not_encoded(_id(enclosure.content_id)).replace(" ", "_")
            shown.add_related(enclosure.octets, major, minor, cid=f"<{cid}>", filename=name, disposition="inline")
        else:
            message.add_attachment(enclosure.octets, major, minor, filename=name)


def _name(person: Person) -> str:
    if len(person.name) > LONGEST_NAME:
        raise Mistake(f"The name that begins with {person.name[:40]!r} is too long: {LONGEST_NAME} characters are the most.")
    return _line(person.name)


def _line(text: str, longest: int = LONGEST_VALUE) -> str:
    """*text* on one line."""
    if len(text) > longest:
        raise Mistake(f"What begins with {text[:40]!r} is too long for one line of the head: {longest} characters are the most.")
    return _CONTROLS.sub(" ", text).strip()


def _not_encoded(text: str) -> str:
    """*text* for email.message, which decodes whatever begins as an encoded word does, line ends and all."""
    return text.replace("=?", "= ?")


def _id(text: str) -> str:
    return re.sub(r"[^!-;=?-~]", "", text)[:500]


def _field_name(name: str) -> str:
    if not _FIELD_NAME.fullmatch(name):
        raise Mistake(f"{name[:80]!r} is no name of a header field.")
    if name.lower() in OWN_FIELDS:
        raise Mistake(f"{name} cannot be set so: a message has it already.")
    return name


def _kind(kind: str) -> tuple[str, str]:
    match = _KIND.fullmatch(kind.lower())
    if match is None:
        raise Mistake(f"{kind[:80]!r} is no media type, such as image/png.")
    return ("application", "octet-stream") if match[1] in ("multipart", "message") else (match[1], match[2])


def fit_kind(kind: str) -> str:
    """*kind*, or where it is no media type what stands for octets of any kind."""
    return kind if _KIND.fullmatch(kind.lower()) else "application/octet-stream"


def persons(addresses: Iterable[str]) -> tuple[Person, ...]:
    """*addresses* without names."""
    return tuple(Person("", address) for address in addresses)
