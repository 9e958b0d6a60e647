"""What lies in the directory: the form is Maildir++ with Dovecot's own files, and it is final."""

from __future__ import annotations

import os
import re
import sqlite3

import pytest

from tests.helpers import result_of
from tests.store.conftest import ALICE
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Column, FlagChange, NewMessage, StoreError
from twistmail.store import folders
from twistmail.store.database import FILE as INDEX

BASE = re.compile(r"new/(\d{10})\.M\d+P\d+Q\d+R[0-9a-f]{16}\.mx\.blue\.test,S=(\d+),W=(\d+)")
HEADER = re.compile(rb"3 V(\d+) N(\d+) G[0-9a-f]{32}")


def test_a_delivered_file_has_lf_line_ends_and_its_sizes_in_its_name(house):
    store = house.store()
    house.deliver(store, b"Subject: x\r\n\r\none\r\ntwo\r\n")
    (name,) = house.files()
    match = BASE.fullmatch(name)
    assert match
    assert (house.maildir / name).read_bytes() == b"Subject: x\n\none\ntwo\n"
    assert (int(match[2]), int(match[3])) == (20, 24)
    assert (house.maildir / name).stat().st_mode & 0o777 == 0o600
    assert list((house.maildir / "tmp").iterdir()) == []


def test_the_uid_list_is_dovecots_version_3(house):
    store = house.store()
    house.deliver(store)
    house.deliver(store)
    first, *rest = house.lines()
    assert HEADER.fullmatch(first)
    assert [line.partition(b" :")[0] for line in rest] == [b"1", b"2", b""]
    assert {line.partition(b" :")[2].decode() for line in rest[:2]} == {name[4:] for name in house.files()}


def test_flags_and_keywords_are_letters_in_the_name(house):
    store = house.store()
    house.deliver(store)
    inbox = house.open(store)
    result_of(inbox.store([1], FlagChange.SET, ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted", "work", "$Label1"]))
    (name,) = house.files()
    assert name.startswith("cur/")
    assert name.endswith(":2,DFRSTab")
    assert (house.maildir / "dovecot-keywords").read_bytes() == b"0 work\n1 $Label1\n"
    assert house.lines()[1].decode() == "1 :" + name[4:].partition(":2,")[0]


def test_messages_leave_new_when_they_are_claimed(house):
    store = house.store()
    house.deliver(store, *[b"a: b\r\n\r\n"] * 3)
    assert len(house.files(which=["new"])) == 3
    inbox = house.open(store)
    assert result_of(inbox.claim_recent()) == (1, 2, 3)
    assert house.files(which=["new"]) == []
    assert all(name.endswith(":2,") for name in house.files())


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        ("Lists/Birds", ".Lists.Birds"),
        ("a.b", r".a\2eb"),
        ("Ünï/x&y", ".&ANw-n&AO8-.x&-y"),
        ("back\\slash", r".back\5cslash"),
        ("~t", r".\7et"),
    ],
)
def test_folders_are_named_as_dovecot_names_them(house, name, directory):
    mailboxes = result_of(house.store().mailboxes("alice@blue.test"))
    result_of(mailboxes.create(name))
    assert (house.maildir / directory / "cur").is_dir()
    assert (house.maildir / directory / "maildirfolder").exists()


def test_subscriptions_are_dovecots_version_2(house):
    mailboxes = result_of(house.store().mailboxes("alice@blue.test"))
    result_of(mailboxes.subscribe("Ünï/x.y", True))
    assert (house.maildir / "subscriptions").read_bytes().startswith(b"V\t2\n\nINBOX\nSent\n")
    assert (house.maildir / "subscriptions").read_bytes().endswith(b"\n&ANw-n&AO8-\tx\\2ey\n")


def test_subscriptions_of_the_old_form_are_read(house):
    mailboxes = result_of(house.store().mailboxes("alice@blue.test"))
    (house.maildir / "subscriptions").write_bytes(b"INBOX\nA.B\n&ANw-\n&broken\n")
    assert result_of(mailboxes.subscriptions()) == ("A/B", "INBOX", "Ü")


def test_copies_are_hard_links_with_names_and_uids_of_their_own(house):
    store = house.store()
    house.deliver(store)
    result_of(house.open(store).copy([1], "Trash"))
    (source,), (target,) = house.files(), house.files(".Trash")
    assert os.path.samefile(house.maildir / source, house.maildir / ".Trash" / target)
    assert source[4:].partition(",")[0] != target[4:].partition(",")[0]
    assert house.lines(".Trash")[1].startswith(b"1 :")


def test_an_appended_file_has_the_date_as_its_time_and_lies_in_cur(house):
    result_of(house.open(house.store(), "Drafts").append([NewMessage(Memory(b"a: b\r\n\r\n"), ("\\Draft",), 1_000_000_000.0)]))
    (name,) = house.files(".Drafts")
    assert name.startswith("cur/")
    assert name.endswith(":2,D")
    assert (house.maildir / ".Drafts" / name).stat().st_mtime == 1_000_000_000.0


def test_long_content_is_streamed_across_chunk_borders(house, tmp_path):
    pieces = [b"Subject: long\r\n\r", b"\nline", b"\r", b"\n", b"x" * 70_000 + b"\r", b"\nend\r\n"]

    class InPieces:
        size = sum(map(len, pieces))

        def chunks(self):
            return iter(pieces)

    store = house.store()
    result_of(house.open(store).append([NewMessage(InPieces())]))
    (name,) = house.files()
    assert (house.maildir / name).read_bytes() == b"".join(pieces).replace(b"\r\n", b"\n")
    ((_, content),) = result_of(house.open(store).read([1]))
    assert b"".join(content.chunks()) == b"".join(pieces)
    assert content.size == InPieces.size
    assert all(len(chunk) <= 65536 for chunk in content.chunks())


@pytest.mark.parametrize("damage", ["deleted", "garbage", "other-version"])
def test_the_index_may_be_deleted_damaged_or_old(house, damage):
    store = house.store()
    house.deliver(store)
    house.deliver(store)
    inbox = house.open(store)
    result_of(inbox.store([2], FlagChange.ADD, ["\\Seen", "work"]))
    validity = inbox.uidvalidity
    rows = result_of(inbox.rows([1, 2], (Column.ENVELOPE, Column.SIZE)))
    store.close()
    path = house.maildir / INDEX
    if damage == "deleted":
        path.unlink()
    elif damage == "garbage":
        path.write_bytes(b"this is no database" * 500)
    else:
        sqlite3.connect(path).executescript("PRAGMA user_version = 99")
    again = house.open(house.store())
    assert (again.uidvalidity, list(again.uids), list(again.bits)) == (validity, [1, 2], [0, 1 | 1 << 8])
    assert result_of(again.rows([1, 2], (Column.ENVELOPE, Column.SIZE))) == rows


def test_an_unchanged_mailbox_is_opened_without_listing_it(house, monkeypatch):
    store = house.store()
    house.deliver(store)
    house.open(store)
    house.later()
    result_of(house.open(store).refresh())
    store.close()
    again = house.store()
    result_of(again.mailboxes("alice@blue.test"))
    monkeypatch.setattr("twistmail.store.maildir.Maildir.listing", lambda self: pytest.fail("listed"))
    assert list(house.open(again).uids) == [1]


def test_our_own_deliveries_cause_no_scan(house, monkeypatch):
    store = house.store()
    house.deliver(store)
    house.open(store)
    monkeypatch.setattr("twistmail.store.maildir.Maildir.listing", lambda self: pytest.fail("listed"))
    house.deliver(store)
    inbox = house.open(store)
    result_of(inbox.refresh())
    assert list(inbox.uids) == [1, 2]


def test_leftovers_in_tmp_go_after_a_day_and_a_half(house):
    store = house.store()
    house.open(store)
    store.close()
    for name in ("old", "young"):
        (house.maildir / "tmp" / name).touch()
    house.ahead = 35 * 3600
    house.open(house.store())
    assert {path.name for path in (house.maildir / "tmp").iterdir()} == {"old", "young"}
    house.ahead = 37 * 3600
    house.open(house.store())
    assert list((house.maildir / "tmp").iterdir()) == []


def test_an_index_that_is_thrown_away_while_a_mailbox_is_open_gets_all_of_it_again(house, monkeypatch):
    monkeypatch.setattr("twistmail.store.blocks.MOST", 10)
    store = house.store()
    for _ in range(30):
        house.deliver(store)
    inbox = house.open(store)
    house.later()
    result_of(inbox.refresh())
    result_of(inbox.save())
    result_of(store.mailboxes("alice@blue.test")).index.start_again()  # as for another mailbox that was found damaged
    house.deliver(store)
    store.close()
    assert list(house.open(house.store()).uids) == list(range(1, 32))


def test_a_mailbox_that_was_mostly_holes_is_put_together_and_keeps_its_messages(house, monkeypatch):
    for module in ("blocks", "loading"):
        monkeypatch.setattr(f"twistmail.store.{module}.MOST", 12)
    store = house.store()
    house.deliver(store)
    inbox = house.open(store)
    for _ in range(239):
        house.deliver(store)
    result_of(inbox.expunge([uid for uid in range(1, 241) if uid % 12 != 1]))
    for _ in range(3):
        house.later()
        result_of(inbox.refresh())
        store.close()
        store = house.store()
        inbox = house.open(store)
        assert list(inbox.uids) == list(range(1, 241, 12))


def test_there_is_a_limit_to_the_number_of_folders(house, monkeypatch):
    mailboxes = result_of(house.store().mailboxes(ALICE))
    there = len(result_of(mailboxes.folders()))
    monkeypatch.setattr(folders, "MOST_FOLDERS", there + 2)
    result_of(mailboxes.create("one/two"))
    with pytest.raises(StoreError) as refusal:
        result_of(mailboxes.create("three"))
    assert refusal.value.code == "LIMIT"
    assert len(result_of(mailboxes.folders())) == there + 2
