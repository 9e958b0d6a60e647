"""A message to many mailboxes that is the same to the octet in each lies on the disk once."""

from __future__ import annotations

import errno
import os

import pytest

from tests.helpers import result_of
from tests.inline_log import LoggingCommitter
from tests.store.inline_log import prepare
from twistmail import disk, tasks
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery
from twistmail.store.jobs import SHARED_FROM
from twistmail.store.mailstore import MailStore

PREFIX, CONTENT = b"Delivered-To: all@blue.test\r\n", b"Subject: news\r\n\r\nall of it\r\n"
USERS = [f"user{number}@blue.test" for number in range(SHARED_FROM + 3)]


@pytest.fixture(params=[disk.InlineCommitter, LoggingCommitter], ids=["files", "log"])
def store(tmp_path, request):
    made = MailStore(tmp_path, None, request.param(), tasks.Inline(), hostname="mx")
    if made._redo:
        prepare(made._redo)
    yield made
    made.close()


def deliver(store, users, prefix_of=lambda user: PREFIX):
    content = Memory(CONTENT)
    return result_of(store.deliver([Delivery(user, prefix_of(user), content) for user in users]))


def inodes(root):
    return [path.stat().st_ino for path in sorted(root.glob("mail/*/*/new/*"))]


def read(store, user):
    inbox = result_of(result_of(store.mailboxes(user)).open("INBOX"))
    return [content for _, content in result_of(inbox.load(inbox.uids))]


def test_many_equal_copies_are_one_file_with_many_names(store, tmp_path):
    assert deliver(store, USERS) == [None] * len(USERS)
    assert len(inodes(tmp_path)) == len(USERS)
    assert len(set(inodes(tmp_path))) == 1
    assert all(read(store, user) == [PREFIX + CONTENT] for user in USERS)
    assert not list(tmp_path.glob("mail/*/*/tmp/*"))
    whole = PREFIX + CONTENT
    sizes = f"S={len(whole) - whole.count(13)},W={len(whole)}"
    assert {path.name.partition(",")[2] for path in tmp_path.glob("mail/*/*/new/*")} == {sizes}


def test_what_one_of_them_does_with_his_copy_is_his_business(store, tmp_path):
    deliver(store, USERS)
    first, second = (result_of(result_of(store.mailboxes(user)).open("INBOX")) for user in USERS[:2])
    result_of(first.expunge(first.uids))
    assert len(read(store, USERS[0])) == 0
    assert [content for _, content in result_of(second.load(second.uids))] == [PREFIX + CONTENT]


@pytest.mark.parametrize(("users", "prefix_of"), [
    pytest.param(USERS[: SHARED_FROM - 1], lambda user: PREFIX, id="few"),
    pytest.param(USERS, lambda user: b"Delivered-To: %s\r\n" % user.encode(), id="each-with-a-header-of-its-own"),
])  # fmt: skip
def test_other_copies_are_files_of_their_own(store, tmp_path, users, prefix_of):
    assert deliver(store, users, prefix_of) == [None] * len(users)
    assert len(set(inodes(tmp_path))) == len(users)


def test_equal_ones_among_others_are_found(store, tmp_path):
    odd = {USERS[0]: b"X-For: one\r\n", USERS[5]: b""}
    more = [*USERS, "one@blue.test", "two@blue.test"]
    assert deliver(store, more, lambda user: odd.get(user, PREFIX)) == [None] * len(more)
    assert len(set(inodes(tmp_path))) == 3


def test_two_copies_in_one_mailbox_are_two_messages(store):
    assert deliver(store, [*USERS, USERS[0]]) == [None] * (len(USERS) + 1)
    assert read(store, USERS[0]) == [PREFIX + CONTENT] * 2


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EMLINK, errno.EPERM])
def test_where_the_file_system_will_not_each_gets_a_file(store, tmp_path, monkeypatch, code):
    usual, names = os.link, 0

    def refusing(source, target, **keywords):
        nonlocal names
        if not keywords:
            return usual(source, target)  # of a list of UIDs
        names += 1
        if names > 5:
            raise OSError(code, os.strerror(code))
        return usual(source, target, **keywords)

    monkeypatch.setattr(os, "link", refusing)
    assert deliver(store, USERS) == [None] * len(USERS)
    assert len(set(inodes(tmp_path))) == len(USERS) - 5
    assert all(read(store, user) == [PREFIX + CONTENT] for user in USERS)


def test_a_batch_that_cannot_be_made_durable_leaves_nothing(tmp_path, monkeypatch):
    store = MailStore(tmp_path, None, disk.InlineCommitter(), tasks.Inline(), hostname="mx")
    deliver(store, USERS)
    before = len(inodes(tmp_path))
    monkeypatch.setattr("twistmail.store.maildir.Maildir.publish", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    assert all(isinstance(error, OSError) for error in deliver(store, USERS))
    assert len(inodes(tmp_path)) == before
    assert not list(tmp_path.glob("mail/*/*/tmp/*"))
    store.close()
