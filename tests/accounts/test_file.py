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
from twistmail.networks import NETWORKS
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
    pytest.param("ann:{PLAIN}x::::::userdb_quota_rule=*:storage=10", Entry(Account("ann@here.example", quota=10 << 10), "{PLAIN}x"),
                 id="dovecot-counts-kilobytes"),
    pytest.param("ann:{PLAIN}x::::::quota_rule=*:bytes=10", Entry(Account("ann@here.example", quota=10), "{PLAIN}x"), id="or-octets"),
    pytest.param("ann:{PLAIN}x::::::userdb_quota_rule=*:storage=0 userdb_quota_rule2=Trash:storage=+10%",
                 Entry(Account("ann@here.example"), "{PLAIN}x"), id="no-quota"),
    pytest.param("ann:{PLAIN}x::::::userdb_quota_storage_size=3M", Entry(Account("ann@here.example", quota=3 << 20), "{PLAIN}x"),
                 id="dovecot-2.4"),
    pytest.param("ann:{PLAIN}x::::::userdb_quota_rule=*:messages=3", Entry(Account("ann@here.example"), "{PLAIN}x"), id="of-messages"),
    pytest.param("ann:{PLAIN}x::::::user=anna@blue.example", Entry(Account("anna@blue.example"), "{PLAIN}x"), id="another-name"),
    pytest.param("ann:{PLAIN}x::::::allow_nets=192.0.2.0/24,::1",
                 Entry(Account("ann@here.example", login_from=NETWORKS.read("192.0.2.0/24 ::1")), "{PLAIN}x"), id="from-some-networks"),
    pytest.param("ann:{PLAIN}x::::::nologin=no disabled=y", Entry(Account("ann@here.example", enabled=False), "{PLAIN}x"), id="disabled"),
    pytest.param("ann:{PLAIN}x::::::nologin", Entry(Account("ann@here.example", enabled=False), "{PLAIN}x"), id="nologin"),
    pytest.param("ann:::::::", Entry(Account("ann@here.example"), ""), id="no-password"),
    pytest.param("ann:!{PLAIN}secret", Entry(Account("ann@here.example"), ""), id="locked"),
    pytest.param("ann:x:1000:1000::/home/ann:/bin/sh", Entry(Account("ann@here.example"), ""), id="shadowed"),
])
def test_a_line(line: str, entry: Entry) -> None:
    read = parse(line, DOMAIN)
    assert read.problems == ()
    assert read.value.entries() == (entry,)


@pytest.mark.parametrize("text", ["# ann:x\n\n   \n  # bob\r\n", ":x:1:1\n"])
def test_comments_and_lines_of_nobody_mean_nothing(text: str) -> None:
    read = parse(text, DOMAIN)
    assert (read.value.entries(), read.problems) == ((), ())


@pytest.mark.parametrize(("text", "line", "words"), [
    pytest.param("ann", 1, "no colon", id="no-colon"),
    pytest.param("# x\n\nann:{ROT13}abc", 3, "ROT13", id="unknown-scheme"),
    pytest.param("ann:{PLAIN}x\nann@here.example:{PLAIN}y", 2, "a second time", id="twice"),
    pytest.param("two words:{PLAIN}x", 1, "two words", id="no-address"),
    pytest.param("../../etc@here.example:{PLAIN}x", 1, "is not an address", id="strange-names"),
    pytest.param("ann:{PLAIN}x::::::quota=much", 1, "not a size", id="no-quota"),
    pytest.param("ann:{PLAIN}x::::::userdb_quota_rule=*:storage=much", 1, "is no quota", id="no-quota-rule"),
    pytest.param("ann:{PLAIN}x::::::format=mbx", 1, "not one of maildir, mbox", id="no-format"),
    pytest.param("ann:{PLAIN}x::::::allow_nets=here", 1, "no address and no network", id="no-network"),
    pytest.param("ann:{PLAIN}x::::::nopassword=y", 1, "let everybody in", id="no-password-asked"),
])
def test_a_mistake_is_told_with_its_line_and_the_others_hold(text: str, line: int, words: str) -> None:
    read = parse(f"{text}\nzoe:{{PLAIN}}x", DOMAIN)
    ((number, told),) = read.problems
    assert (number, words in told) == (line, True)
    assert read.value.entry("zoe@here.example") is not None


def test_mail_for_the_user_of_a_broken_line_waits() -> None:
    read = parse("ann:{PLAIN}x::::::quota=much\nbob\n", DOMAIN)
    for name, line in (("ann@here.example", 1), ("bob@here.example", 2)):
        with pytest.raises(Unavailable, match=f"line {line}"):
            read.value.entry(name)
    assert read.value.entry("carol@here.example") is None


def test_of_two_lines_the_first_holds() -> None:
    entry = parse("ann:{PLAIN}one\nann:{PLAIN}two", DOMAIN).value.entry("ann@here.example")
    assert entry is not None
    assert entry.secret == "{PLAIN}one"


def test_who_has_a_password_of_an_unknown_kind_gets_mail() -> None:
    entry = parse("ann:{ROT13}abc", DOMAIN).value.entry("ann@here.example")
    assert entry is not None
    assert entry.account.enabled


def test_a_file_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twistmail.accounts.file.MOST_ENTRIES", 2)
    with pytest.raises(Broken, match="more than 2"):
        parse("a:\nb:\nc:\n", DOMAIN)


@given(st.text(alphabet="ab:@{}PLAIN=#\n \"\\*x1", max_size=60))
def test_whatever_a_line_is_the_others_are_read(text: str) -> None:
    assert parse(f"{text}\nzoe:{{PLAIN}}x", DOMAIN).value.entry("zoe@here.example") is not None


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
        path.write_bytes(b"bob:{PLAIN}secret\n\xff\n")
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
