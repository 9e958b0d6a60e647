"""Passwd files: what is read, what is refused with its line, and what happens when they change."""

from __future__ import annotations

import os
from pathlib import Path

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import result_of
from twistmail.accounts.file import PasswdFile, parse
from twistmail.accounts.people import People
from twistmail.accounts.secrets import Entry
from twistmail.accounts.table import TableSource
from twistmail.accounts.verified import Verifier
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address
from twistmail.tasks import Inline
from twistmail.watched import Broken

HASH = argon2.PasswordHasher(1, 8, 1).hash("secret")
DOMAIN = "here.example"


@pytest.mark.parametrize(("line", "entry"), [
    pytest.param("ann:{PLAIN}x::::::format=mbox", Entry(Account("ann@here.example", format="mbox"), "{PLAIN}x"), id="format"),
    pytest.param("ann:{PLAIN}secret::::::quota=2G", Entry(Account("ann@here.example", quota=2 << 30), "{PLAIN}secret"), id="local-part"),
    pytest.param(f"bob@Blue.Example:{HASH}", Entry(Account("bob@blue.example"), HASH), id="full-address-and-nothing-else"),
    pytest.param("ann:{PLAIN}x:1000:1000:Ann Other,room 2:/home/ann:/bin/sh", Entry(Account("ann@here.example", "Ann Other"), "{PLAIN}x"),
                 id="as-in-etc-passwd"),
    pytest.param("ann:{PLAIN}x::::::userdb_mail=maildir:~/M userdb_quota_rule=*:storage=10M",
                 Entry(Account("ann@here.example", quota=10 << 20), "{PLAIN}x"), id="dovecot's-quota"),
    pytest.param("ann:{PLAIN}x::::::nologin", Entry(Account("ann@here.example", enabled=False), "{PLAIN}x"), id="nologin"),
    pytest.param("ann:::::::", Entry(Account("ann@here.example"), ""), id="no-password"),
    pytest.param("ann:!{PLAIN}secret", Entry(Account("ann@here.example"), ""), id="locked"),
    pytest.param("ann:x:1000:1000::/home/ann:/bin/sh", Entry(Account("ann@here.example"), ""), id="shadowed"),
])
def test_a_line(line: str, entry: Entry) -> None:
    assert parse(line, DOMAIN) == [entry]


def test_comments_and_empty_lines_mean_nothing() -> None:
    assert parse("# ann:x\n\n   \n  # bob\r\n", DOMAIN) == []


@pytest.mark.parametrize(("text", "line", "words"), [
    pytest.param("ann", 1, "no colon", id="no-colon"),
    pytest.param("# x\n\nann:{SSHA}abc", 3, "SSHA", id="unknown-scheme"),
    pytest.param("ann:{PLAIN}x\nann@here.example:{PLAIN}y", 2, "a second time", id="twice"),
    pytest.param("two words:{PLAIN}x", 1, "two words", id="no-address"),
    pytest.param("ann:{PLAIN}x::::::quota=much", 1, "not a size", id="no-quota"),
    pytest.param("ann:{PLAIN}x::::::format=mbx", 1, "not one of maildir, mbox", id="no-format"),
])
def test_a_mistake_is_told_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(Broken, match=words) as caught:
        parse(text, DOMAIN)
    assert caught.value.problems[0][0] == line


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(Broken) as caught:
        parse("ann\nbob:{PLAIN}x\ncarol", DOMAIN)
    assert [line for line, _ in caught.value.problems] == [1, 3]


@given(st.text(alphabet="ab:@{}PLAIN=#\n \"\\*x1", max_size=60))
def test_no_text_does_worse_than_being_broken(text: str) -> None:
    try:
        parse(text, DOMAIN)
    except Broken:
        pass


class TestPeopleOfAFile:
    """A file behind the house's accounts."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "passwd"
        path.write_text("ann:{PLAIN}secret\n")
        return path

    @staticmethod
    def people(path: Path) -> People:
        source = TableSource(PasswdFile(path, Inline(), DOMAIN), Inline())
        return People([source], Verifier(Inline(), lambda: 0.0, b"k" * 32), Inline(), default_domain=DOMAIN)

    @staticmethod
    def knows(people: People, local: str) -> bool:
        return result_of(people.find(Address(local, DOMAIN))) is not None

    def test_a_changed_file_is_read_again(self, path: Path) -> None:
        people = self.people(path)
        assert self.knows(people, "ann")
        path.write_text("bob:{PLAIN}secret\n")
        os.utime(path, (1, 1))
        assert self.knows(people, "bob")
        assert not self.knows(people, "ann")

    def test_a_broken_file_leaves_the_old_accounts(self, path: Path) -> None:
        people = self.people(path)
        assert self.knows(people, "ann")
        path.write_text("bob:{PLAIN}secret\nnonsense\n")
        assert self.knows(people, "ann")
        assert not self.knows(people, "bob")

    def test_a_file_that_was_never_there_is_unavailable(self, tmp_path: Path) -> None:
        people = self.people(tmp_path / "none")
        for question in (people.find(Address("ann", DOMAIN)), people.list(), people.authenticate("ann", "secret")):
            with pytest.raises(Unavailable):
                result_of(question)

    def test_a_changed_password_counts_at_once(self, path: Path) -> None:
        people = self.people(path)
        assert result_of(people.authenticate("ann", "secret")) is not None
        path.write_text("ann:{PLAIN}other\n")
        os.utime(path, (1, 1))
        assert result_of(people.authenticate("ann", "secret")) is None
