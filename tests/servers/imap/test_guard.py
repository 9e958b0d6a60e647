"""A guarded mailbox against a model: whatever rights somebody has, flags change as far as he may change them, and no further."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import result_of
from twistmail.mail import acl
from twistmail.mail.acl import LETTERS
from twistmail.mail.content import Memory
from twistmail.mail.flags import words
from twistmail.mail.mailbox import FlagChange, NewMessage, StoreError
from twistmail.memory.store import MailStore
from twistmail.servers.imap.sharing.guard import Guarded
from twistmail.servers.imap.sharing.places import Place

FLAGS = ("\\Seen", "\\Deleted", "\\Answered", "\\Draft", "Junk", "Old")
some_flags = st.frozensets(st.sampled_from(FLAGS))
some_rights = st.frozensets(st.sampled_from(LETTERS))


class Guide:
    """A tree that says what it is told to say."""

    def __init__(self, rights):
        self.rights = rights

    def rights_now(self, place):
        return self.rights

    def released(self, guarded):
        """Nobody keeps count."""


def guarded(rights, *flags):
    """A mailbox with one message that has *flags*."""
    mailbox = result_of(result_of(MailStore(lambda: 1e9).mailboxes("ann@here.example")).open("INBOX"))
    result_of(mailbox.append([NewMessage(Memory(b"x"), tuple(sorted(flags)))]))
    return Guarded(mailbox, Place("ann@here.example", "INBOX"), Guide(rights))


def flags_of(mailbox, uid=1):
    return set(words(mailbox.bits[mailbox.uids.index(uid)], mailbox.keywords))


def wanted(before, change, flags):
    match change:
        case FlagChange.SET:
            return set(flags)
        case FlagChange.ADD:
            return before | flags
    return before - flags


@given(some_rights, some_flags, st.sampled_from(FlagChange), some_flags)
def test_flags_change_as_far_as_they_may(rights, before, change, flags):
    mailbox = guarded(rights, *before)
    mine = {flag for flag in FLAGS if acl.right_for(flag) in rights}
    expected = (wanted(before, change, flags) & mine) | (before - mine)
    if not mine or (flags and not flags & mine):
        with pytest.raises(StoreError, match="may not change"):
            result_of(mailbox.store([1], change, tuple(sorted(flags))))
        assert flags_of(mailbox) == before
        return
    assert result_of(mailbox.store([1], change, tuple(sorted(flags)))) == ([1] if expected != before else [], [])
    assert flags_of(mailbox) == expected


@given(some_rights, some_flags)
def test_an_appended_message_has_the_flags_that_may_be_set(rights, flags):
    mailbox = guarded(rights)
    message = NewMessage(Memory(b"y"), tuple(sorted(flags)))
    if "i" not in rights:
        with pytest.raises(StoreError, match="may not"):
            result_of(mailbox.append([message]))
        return
    result_of(mailbox.append([message]))
    assert flags_of(mailbox, 2) == {flag for flag in flags if acl.right_for(flag) in rights}


@given(some_rights, some_rights)
def test_who_watches_hears_of_other_rights_and_of_the_end_of_reading(before, after):
    mailbox, heard = guarded(before), []
    mailbox.watch(heard.append)
    mailbox._guide.rights = after
    mailbox.look()
    assert mailbox.rights == after
    assert [change.gone for change in heard] == ([] if before == after else ["r" in before and "r" not in after])


def test_messages_that_have_changed_meanwhile_are_left_alone():
    """RFC 7162 §3.1.3, with less than all rights: the two steps that SET takes are one for whoever asks."""
    mailbox = guarded(frozenset("lrs"), "\\Answered")
    result_of(mailbox.inner.append([NewMessage(Memory(b"y"), ("\\Answered", "\\Seen"))]))
    stale = mailbox.highest_modseq
    result_of(mailbox.inner.store([1], FlagChange.ADD, ("\\Draft",)))
    assert result_of(mailbox.store([1, 2], FlagChange.SET, (), unchanged_since=stale)) == ([2], [1])
    assert (flags_of(mailbox, 1), flags_of(mailbox, 2)) == ({"\\Answered", "\\Draft"}, {"\\Answered"})


@pytest.mark.parametrize("method", ["rows", "read", "load", "sort", "text_search", "refresh", "copy", "move"])
def test_nothing_is_read_without_the_right(method):
    arguments = {"rows": ([1], ()), "sort": ([1], ()), "text_search": ([1], "x", True), "refresh": (), "copy": ([1], "Sent"),
                 "move": ([1], "Sent")}.get(method, ([1],))  # fmt: skip
    with pytest.raises(StoreError, match="may not read"):
        result_of(getattr(guarded(frozenset(LETTERS) - {"r"}), method)(*arguments))
