"""What a list takes, and from whom. Pure.

Asked before the message is accepted (`policy.lists`), so that whoever is refused hears it from his own server and nobody
writes to anybody about it; and once more when it is sent, for mail that came another way.
"""

from __future__ import annotations

from twistmail.mail.address import Address, parse
from twistmail.mail.addresses import ListedAddress, addresses
from twistmail.mail.headers import first, unfold, values
from twistmail.mail.status import Status
from twistmail.mail.values import frozen

#: RFC 3463 §3.8: X.7.2, "mailing list expansion prohibited".
MEMBERS_ONLY = Status(550, "5.7.2", "Only members may write to that list")
OWNERS_ONLY = Status(550, "5.7.2", "Only its owners may write to that list, and they log in for that")
LOG_IN = Status(550, "5.7.2", "Whoever has an address here logs in to write to that list")
NO_PERSON = Status(550, "5.7.2", "That list takes no reports and no automatic answers")
TOO_LARGE = Status(552, "5.3.4", "The message is larger than that list takes")
LOOPS = Status(554, "5.4.6", "That list has sent this message already: it runs in circles")
#: Fields in which a list leaves its mark.
LIST_ID, LOOP = b"list-id", b"x-loop"


@frozen
class Post:
    """A message for a list. `account`: the names of who has logged in; for him the header proves nothing."""

    sender: Address | None
    header: bytes
    size: int
    account: tuple[str, ...] = ()

    @property
    def writers(self) -> tuple[Address, ...]:
        """Who it is from, folded. A stranger only says so: he is believed where envelope and header name the same one person."""
        if self.account:
            own = (_address(name) for name in self.account)
            return tuple(dict.fromkeys(one.folded for one in own if one is not None))
        said = author(self.header)
        return (said,) if said is not None and self.sender is not None and said == self.sender.folded else ()

    @property
    def claimed(self) -> frozenset[str]:
        """The domains that a stranger says he is from: that of the envelope, and those of all authors."""
        if self.account:
            return frozenset()
        return authors_domains(self.header) | ({self.sender.folded.domain} if self.sender is not None else frozenset())


def objection(name: Address, post: Post, most: int | None) -> Status | None:
    """What stands against *post* whoever wrote it; *most* octets are taken."""
    if has_passed(name, post.header):
        return LOOPS
    if post.sender is None or is_answer(post.header):
        return NO_PERSON
    return TOO_LARGE if most is not None and post.size > most else None


def has_passed(name: Address, header: bytes) -> bool:
    """Whether the message has been through the list *name* before: by its id (RFC 2919), or by the mark that other lists leave."""
    marks = {unfold(value).lower() for value in values(header, LOOP)}
    if bytes(name).lower() in marks:
        return True
    ours = b"<%s>" % identifier(name).encode().lower()
    return any(unfold(value).lower().endswith(ours) for value in values(header, LIST_ID))


def identifier(name: Address) -> str:
    """The identifier of a list: its name with a dot for the @ (RFC 2919 §2)."""
    return f"{name.local}.{name.domain}"


def is_answer(header: bytes) -> bool:
    """Whether a program answers with it to some other message (RFC 3834 §5): no list shall pass on vacations and reports."""
    submitted = (first(header, b"auto-submitted") or b"").partition(b";")[0].strip().lower()
    kind = (first(header, b"content-type") or b"").partition(b";")[0].strip().lower()
    return submitted.startswith(b"auto-replied") or submitted == b"auto-notified" or kind == b"multipart/report"


def author(header: bytes) -> Address | None:
    """Who is in the From field, folded, where that is exactly one person; None where it is anybody else."""
    listed = _authors(header)
    if len(listed) != 1 or not listed[0].local or not listed[0].domain:
        return None
    one = _address(f"{listed[0].local.decode('utf-8', 'replace')}@{listed[0].domain.decode('utf-8', 'replace')}")
    return one.folded if one is not None else None


def authors_domains(header: bytes) -> frozenset[str]:
    """The domains of all authors, as they are compared."""
    found = {one.domain for one in _authors(header) if one.domain}
    named = (_address(f"x@{domain.decode('utf-8', 'replace')}") for domain in found)
    return frozenset(one.folded.domain for one in named if one is not None)


def _authors(header: bytes) -> list[ListedAddress]:
    """All that From fields list; there should be one field (RFC 5322 §3.6), but whoever forges may write two."""
    return [one for value in values(header, b"from") for one in addresses(value)]


def _address(text: str) -> Address | None:
    try:
        return parse(text)
    except ValueError:
        return None
