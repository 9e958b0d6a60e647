"""Who may do what with a mailbox (RFC 4314): rights, access control lists as values, and whom an identifier means. Pure.

A right is one letter; rights are a frozenset of them. The list itself is kept
with the mailbox, as the annotation `ENTRY`, so that it follows a rename and goes
with the mailbox. Whose mailboxes there are, and what holds where no list says
anything, is `servers.imap.sharing`'s business.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from enum import Enum

from twistmail.mail import address as addresses
from twistmail.mail.address import Address
from twistmail.mail.annotations import SERVERS_OWN
from twistmail.mail.mailbox import StoreError
from twistmail.mail.saslprep import saslprep
from twistmail.mail.values import frozen

Rights = frozenset[str]

#: All there are (RFC 4314 §2.1), in the order in which they are told.
LETTERS = "lrswipkxtea"
ALL: Rights = frozenset(LETTERS)
NONE: Rights = frozenset()
#: Each of these lets somebody change what others see (RFC 4314 §5.2; all our flags are shared): without them a mailbox is read-only.
WRITING: Rights = frozenset("iestw")
#: RFC 4314 §4: whoever has one of these may ask what he may do.
TELLING: Rights = frozenset("lrikxa")
#: The rights of RFC 2086 that stand for several (RFC 4314 §2.1.1).
VIRTUAL = {"c": frozenset("kx"), "d": frozenset("et")}

#: The annotation in which the list of a mailbox is kept.
ENTRY = SERVERS_OWN + "acl"
MOST_ENTRIES = 100
LONGEST_IDENTIFIER = 320

ANYONE, AUTHENTICATED, OWNER, GROUP = "anyone", "authenticated", "owner", "group="
NEGATIVE = "-"

_FLAG_RIGHTS = {"\\seen": "s", "\\deleted": "t"}


class RightsChange(Enum):
    """How SETACL changes the rights of an identifier."""

    SET = ""
    ADD = "+"
    REMOVE = "-"


def read(text: str) -> Rights:
    """The rights that *text* spells. ValueError for what is none (RFC 4314 §3.1: never ignored)."""
    rights: set[str] = set()
    for letter in text:
        if letter in ALL:
            rights.add(letter)
        elif letter in VIRTUAL:
            rights |= VIRTUAL[letter]
        else:
            raise ValueError("Rights are written in lower case" if letter.isupper() else f"There is no right called {letter!a}")
    return frozenset(rights)


def told(rights: Collection[str]) -> str:
    """*rights* as clients are told: the virtual ones too, for those that know RFC 2086 only."""
    return "".join(letter for letter in LETTERS if letter in rights) + _virtual(rights)


def _virtual(rights: Collection[str]) -> str:
    return "".join(letter for letter, members in VIRTUAL.items() if not members.isdisjoint(rights))


def right_for(flag: str) -> str:
    """The right that it takes to set or clear *flag*."""
    return _FLAG_RIGHTS.get(flag.lower(), "w")


def permitted(flags: Iterable[str], rights: Rights) -> tuple[str, ...]:
    """Those of *flags* that *rights* let somebody change."""
    return tuple(flag for flag in flags if right_for(flag) in rights)


# ----- who


def identifier(text: str, default_domain: str = "") -> str:
    """*text* as lists keep it: prepared (RFC 4314 §3), users as account names, fixed words in lower case. ValueError where it is none."""
    prepared = saslprep(text)
    sign = NEGATIVE if prepared.startswith(NEGATIVE) else ""
    word = prepared.removeprefix(NEGATIVE)
    if not word or len(word.encode()) > LONGEST_IDENTIFIER:
        raise ValueError("An identifier has 1 to 320 octets")
    folded = word.lower()
    if folded in (ANYONE, AUTHENTICATED, OWNER):
        return sign + folded
    if folded.startswith(GROUP):
        return sign + GROUP + word[len(GROUP) :]
    address = addresses.parse(word).folded
    return sign + str(address if address.domain else Address(address.local, default_domain))


def identifiers(account: str, groups: Iterable[str] = (), *, owns: bool = False) -> frozenset[str]:
    """All identifiers that mean whoever is logged in as *account*, a member of *groups*, and the owner of the mailbox or not.

    An account whose name reads like a group or a negative identifier cannot be meant by its name.
    """
    found = {ANYONE, AUTHENTICATED, *(GROUP + group for group in groups)}
    if not account.startswith((NEGATIVE, GROUP)):
        found.add(account)
    return frozenset(found | {OWNER}) if owns else frozenset(found)


# ----- lists


@frozen
class Acl:
    """Identifier -> rights, in the order in which they were given. An entry without rights hides one of the house (`over`)."""

    entries: Mapping[str, Rights] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.entries)

    def over(self, house: Acl) -> Acl:
        """This list where *house* says what holds unless the list says otherwise."""
        return Acl({**house.entries, **self.entries})

    def rights_of(self, who: Collection[str]) -> Rights:
        """What somebody may whom the identifiers *who* mean: all that they are granted together, but for the negative rights (§2)."""
        granted = {right for name in who for right in self.entries.get(name, NONE)}
        return frozenset(granted - {right for name in who for right in self.entries.get(NEGATIVE + name, NONE)})

    def grants(self, who: Collection[str]) -> bool:
        """Whether *who* may anything at all."""
        return bool(self.rights_of(who))

    def changed(self, name: str, change: RightsChange, rights: Rights) -> Acl:
        """*rights* given to, added to or taken from *name*. StoreError LIMIT where there would be too many entries."""
        before = self.entries.get(name, NONE)
        after = {RightsChange.SET: rights, RightsChange.ADD: before | rights, RightsChange.REMOVE: before - rights}[change]
        entries = {**self.entries, name: after}
        if len(entries) > MOST_ENTRIES:
            raise StoreError(f"A list holds {MOST_ENTRIES} identifiers at most", "LIMIT")
        return Acl(entries)

    def without(self, name: str) -> Acl:
        """This list without the entry of *name*."""
        return Acl({other: rights for other, rights in self.entries.items() if other != name})

    def told(self) -> tuple[tuple[str, str], ...]:
        """(identifier, rights) of every entry that says something."""
        return tuple((name, told(rights)) for name, rights in self.entries.items() if rights)

    def dump(self) -> bytes:
        """The list as it is kept."""
        entries = {name: "".join(letter for letter in LETTERS if letter in rights) for name, rights in self.entries.items()}
        return json.dumps(entries, ensure_ascii=False).encode()


NOBODY = Acl()


def load(kept: bytes) -> Acl:
    """The list that `dump` has made *kept*. ValueError for anything else: it is then better that nobody gets in."""
    entries = json.loads(kept)
    if not isinstance(entries, dict) or not all(isinstance(rights, str) for rights in entries.values()):
        raise ValueError("that is no access control list")
    return Acl({name: read(rights) for name, rights in entries.items()})
