"""Messages that people write in the browser, or programs over the JSON API: from what they said to octets. Pure.

Nothing that somebody writes ends a line of a header or adds a field; what cannot be
sent is a `Mistake` that says what is wrong, in words for the one who wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email import policy
from email.headerregistry import Address as ListedAddress
from email.message import EmailMessage
from email.utils import formatdate

from twistmail.lab.filters import octets
from twistmail.mail.address import Address, parse
from twistmail.mail.subjects import based
from twistmail.mail.values import frozen
from twistmail.web.html_tokens import words
from twistmail.web.letters import Letter, Person, people

#: Recipients and enclosures of one message, octets of its words, characters of a header's value.
MOST_RECIPIENTS, MOST_ENCLOSURES, LONGEST_TEXT, LONGEST_VALUE = 100, 50, 1024 * 1024, 5000
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
    def recipients(self) -> tuple[Address, ...]:
        """Of the envelope: everybody once. Mistake where one is no address, or nobody is there, or too many are."""
        found = {address_of(person): None for person in (*self.to, *self.cc, *self.bcc)}
        if not found:
            raise Mistake("Nobody is named to whom it shall go: write somebody's address behind To.")
        if len(found) > MOST_RECIPIENTS:
            raise Mistake(f"{len(found)} recipients are too many for one message here; {MOST_RECIPIENTS} are the most.")
        return tuple(found)


def address_of(person: Person) -> Address:
    """Mistake where it is none, or has no domain."""
    try:
        address = parse(person.address)
    except ValueError as error:
        raise Mistake(f"This is no address: {error}.") from None
    if not address.domain:
        raise Mistake(f"{person.address!r} has no @ and no domain behind it, such as carol@green.test.")
    return address


def people_in(text: str) -> tuple[Person, ...]:
    """Who is named in *text*, as people write lists of addresses. Mistake where something in it is none."""
    found = people([_CONTROLS.sub(" ", text).encode()])
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
    everybody = (draft.sender, *draft.to, *draft.cc, *draft.reply_to)
    international = not all(str(address_of(person)).isascii() for person in (*everybody, *draft.bcc))
    message = EmailMessage(policy.SMTPUTF8 if international else policy.SMTP)
    for name, listed in (("From", (draft.sender,)), ("To", draft.to), ("Cc", draft.cc), ("Reply-To", draft.reply_to)):
        if listed:
            message[name] = [_listed(person) for person in listed]
    message["Subject"] = _line(draft.subject)
    message["Date"] = formatdate(at)
    message["Message-ID"] = f"<{message_id}>"
    if draft.references:
        message["In-Reply-To"] = f"<{_id(draft.references[-1])}>"
        message["References"] = " ".join(f"<{_id(one)}>" for one in draft.references)
    for name, value in draft.fields:
        message[_field_name(name)] = _line(value)
    _say(message, draft)
    return message.as_bytes()


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
        name = _line(enclosure.name)[:200] or "file"
        if enclosure.content_id and draft.html:
            shown.add_related(enclosure.octets, major, minor, cid=f"<{_id(enclosure.content_id)}>", filename=name, disposition="inline")
        else:
            message.add_attachment(enclosure.octets, major, minor, filename=name)


def _listed(person: Person) -> ListedAddress:
    address = address_of(person)
    try:
        return ListedAddress(_line(person.name), address.local, address.domain)
    except ValueError as error:  # HeaderParseError is one
        raise Mistake(f"{person.address!r} cannot stand in a header: {error}.") from None


def _line(text: str) -> str:
    """*text* on one line."""
    if len(text) > LONGEST_VALUE:
        raise Mistake(f"What begins with {text[:40]!r} is too long for one line of the head.")
    return _CONTROLS.sub(" ", text).strip()


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
