"""Names on disk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail.mailbox import Flag, StoreError
from twistmail.store import names


@given(st.text(max_size=80))
def test_every_name_is_refused_or_has_one_directory_that_leads_back(text):
    try:
        name = names.normal(text)
    except StoreError:
        return
    directory = names.directory_of(name)
    assert "/" not in directory
    assert "\0" not in directory
    assert directory not in (".", "..")
    assert directory.isascii()
    assert len(directory) <= 255
    assert name == names.INBOX or names.name_of(directory) == name


@given(st.text(st.characters(codec="latin-1", exclude_characters="/\0"), max_size=60).map(lambda text: "." + text))
def test_every_directory_is_one_folder_or_none(directory):
    name = names.name_of(directory)
    assert name is None or names.directory_of(name) == directory


@pytest.mark.parametrize("directory", ["..", ".", ".a..b", ".INBOX", ".&AGE-", ".a\\2Eb", ".inbox.x", "..twistmail-deleted-00"])
def test_directories_that_are_no_folders(directory):
    assert names.name_of(directory) is None


@pytest.mark.parametrize(
    ("template", "account", "directory"),
    [
        ("mail/%d/%n", "alice@blue.test", "mail/blue.test/alice"),
        ("%u", "alice@blue.test", "alice@blue.test"),
        ("mail/%n", "alice", "mail/alice"),
        ("100%%/%n", "alice@blue.test", "100%/alice"),
    ],
)
def test_an_account_has_the_directory_that_the_template_says(template, account, directory):
    assert names.account_directory(template, account) == directory


@pytest.mark.parametrize("account", ["../x@blue.test", "a/b@blue.test", "..@blue.test", "x@..", "nul\0@blue.test", "", "@blue.test"])
def test_an_account_cannot_climb_out_of_its_place(account):
    with pytest.raises(ValueError):
        names.account_directory("mail/%d/%n", account)


@pytest.mark.parametrize(
    ("path", "bits", "wanted"),
    [
        (b"new/a", 0, b"cur/a:2,"),
        (b"new/a", Flag.SEEN | Flag.DRAFT | Flag.DELETED, b"cur/a:2,DST"),
        (b"cur/a:2,S", Flag.FLAGGED | Flag.ANSWERED, b"cur/a:2,FR"),
        (b"cur/a:2,PSz", 1 << 8 | 1 << 9, b"cur/a:2,Pabz"),
    ],
)
def test_the_path_that_flags_ask_for(path, bits, wanted):
    assert names.wanted_path(path, int(bits), keywords=2) == wanted
    assert names.bits_of(names.letters_of(wanted), 2) == bits


@pytest.mark.parametrize(
    ("name", "size"), [(b"1.x,S=5,W=7", 7), (b"1.x,W=7,S=5:2,S", 7), (b"1.x,S=5", None), (b"1.x,W=", None), (b"1.x,W=7x", None)]
)
def test_the_size_that_a_name_tells(name, size):
    assert names.crlf_size(name) == size


def test_unique_names_hold_no_slash_or_colon_of_the_host_and_never_repeat():
    made = names.UniqueNames("mx/1:2%d", 42, lambda: 1700000000.25, lambda count: b"\xab" * count)
    assert made.fresh() == b"1700000000.M250000P42Q1R" + b"ab" * 8 + rb".mx\0571\0722%d"
    assert made.fresh() != made.fresh()


def test_the_oldest_comes_first_however_the_numbers_are_written():
    bases = [b"20.M5P1.x", b"no-time", b"3.M100P1.x", b"3.M99P1.x", b"3.x"]
    assert names.oldest_first(bases) == [b"no-time", b"3.x", b"3.M99P1.x", b"3.M100P1.x", b"20.M5P1.x"]


def test_the_order_of_very_many_is_that_of_few():
    paths = [b"cur/%d.M%dP1.mx:2," % (number * 7919 % 10_007, number) for number in range(3 * names.RUN + 5)]
    bases = [names.base_of(path) for path in paths]
    names.sort_paths(paths)
    assert [names.base_of(path) for path in paths] == names.oldest_first(bases)
