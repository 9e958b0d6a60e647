"""Looking at access lists and changing them (RFC 4314 §3), as the ACL commands need it.

The owner of a mailbox stands in its list as `owner`, whatever name he is given,
and is told by his account's name. An entry for somebody to whom the house gives
rights is kept even when it is empty: it says that he has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twistmail.mail import acl
from twistmail.mail import address as addresses
from twistmail.mail.acl import GROUP, LETTERS, NEGATIVE, NONE, OWNER, VIRTUAL, Acl, Rights, RightsChange
from twistmail.mail.mailbox import NoSuchMailbox, StoreError
from twistmail.servers.imap.sharing.places import Place
from twistmail.servers.imap.sharing.tree import SharedTree

ADMINISTER = "see or change who may use this mailbox"
_FIXED = (acl.ANYONE, acl.AUTHENTICATED)


async def my_rights(tree: SharedTree, name: str) -> Rights:
    """What the user may do with mailbox *name*. NoSuchMailbox where that is nothing to speak of."""
    rights = await tree.rights(name)
    if rights.isdisjoint(acl.TELLING):
        raise NoSuchMailbox(name)
    await _mailboxes(tree, tree.places.find(name))
    return rights


async def listed(tree: SharedTree, name: str) -> list[tuple[str, str]]:
    """(identifier, rights) of everybody who may do something in mailbox *name*."""
    place = await tree.allowed(name, "a", ADMINISTER)
    await _mailboxes(tree, place)
    effective = tree.lists.effective(place.account, place.inner)
    entries = {who: rights | tree.lists.always(place.account, who) for who, rights in effective.entries.items()}
    return [(_shown(who, place), rights) for who, rights in Acl(entries).told()]


async def grantable(tree: SharedTree, name: str, identifier: str) -> tuple[str, list[str]]:
    """What *identifier* always has in mailbox *name*, and the rights that he can be given, one by one."""
    place = await tree.allowed(name, "a", ADMINISTER)
    await _mailboxes(tree, place)
    always = tree.lists.always(place.account, _kept(identifier, place, tree))
    return "".join(letter for letter in LETTERS if letter in always), [letter for letter in (*LETTERS, *VIRTUAL) if letter not in always]


async def grant(tree: SharedTree, name: str, identifier: str, change: RightsChange, rights: Rights) -> None:
    """SETACL. ValueError for an identifier that can be none; StoreError for somebody who is not known here."""
    place = await tree.allowed(name, "a", ADMINISTER)
    who = _kept(identifier, place, tree)
    if rights and change is not RightsChange.REMOVE:
        await _must_be_known(who, tree)
    await _change(tree, place, who, lambda effective: effective.changed(who, change, rights).entries[who])


async def revoke(tree: SharedTree, name: str, identifier: str) -> None:
    """DELETEACL; whoever has no entry loses nothing. ValueError as with `grant`."""
    place = await tree.allowed(name, "a", ADMINISTER)
    await _change(tree, place, _kept(identifier, place, tree), lambda _: NONE)


async def _change(tree: SharedTree, place: Place, who: str, after: Callable[[Acl], Rights]) -> None:
    """Give *who* the rights that *after* makes of the list that holds now."""
    mailboxes = await _mailboxes(tree, place)
    rule = tree.lists.house.rule(place.account)
    given = NONE

    def changed(own: Acl) -> Acl:
        nonlocal given
        given = after(own.over(rule))
        return Acl({**own.entries, who: given}) if given or who in rule.entries else own.without(who)

    await tree.lists.change(place.account, mailboxes, place.inner, changed)
    tree.tell_granted(place, _shown(who, place), "".join(letter for letter in LETTERS if letter in given))


async def _mailboxes(tree: SharedTree, place: Place) -> Any:
    """The mailboxes among which *place* is. NoSuchMailbox where it is not."""
    mailboxes = await tree.mailboxes(place.account)
    try:
        await mailboxes.annotations(place.inner)
    except NoSuchMailbox:
        raise NoSuchMailbox(place.name) from None
    return mailboxes


# ----- identifiers


def _kept(text: str, place: Place, tree: SharedTree) -> str:
    """*text* as it stands in the list of *place*. ValueError where it can be no identifier."""
    who = acl.identifier(text, tree.default_domain)
    sign, word = (NEGATIVE, who[1:]) if who.startswith(NEGATIVE) else ("", who)
    if word == place.account and tree.lists.house.is_personal(place.account):
        return sign + OWNER
    return who


def _shown(who: str, place: Place) -> str:
    sign, word = (NEGATIVE, who[1:]) if who.startswith(NEGATIVE) else ("", who)
    return sign + place.account if word == OWNER else who


async def _must_be_known(who: str, tree: SharedTree) -> None:
    """StoreError where nobody is meant: a slip of the pen would otherwise go unnoticed."""
    word = who.removeprefix(NEGATIVE)
    if word in _FIXED or word == OWNER:
        return
    if word.startswith(GROUP):
        if word[len(GROUP) :] not in tree.lists.house.circles.groups:
            raise StoreError("There is no such group", "CANNOT")
    elif await tree.accounts.find(addresses.parse(word)) is None:
        raise StoreError("There is no such user", "CANNOT")
