"""Mail whose time has come goes from the folders for deleted mail and junk, and those who look hear of it."""

import os

import pytest

from tests.helpers import result_of
from twistmail import tasks
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import NewMessage
from twistmail.store import kept, upkeep
from twistmail.store.mailstore import MailStore
from twistmail.store.upkeep import Rules

DAY = 86400.0


@pytest.fixture
def open_store(house):
    """A function that opens a store with these rules."""

    def open_store(*rules):
        made = MailStore(house.root, None, house.committer, tasks.Inline(), hostname="mx", now=house.now, rules=Rules(*rules))
        house.stores.append(made)
        return made

    return open_store


def put(house, store, folder, date=None):
    box = house.open(store, folder)
    result_of(box.append([NewMessage(Memory(b"Subject: x\r\n\r\n"), (), date)]))
    return box


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        pytest.param((None, None, None), {"Trash": [1, 2], "Junk": [1, 2], "Archive": [1, 2], "INBOX": [1, 2]}, id="never"),
        pytest.param((None, 30 * DAY, None), {"Trash": [2], "Junk": [1, 2], "Archive": [1, 2], "INBOX": [1, 2]}, id="trash"),
        pytest.param((None, None, 30 * DAY), {"Trash": [1, 2], "Junk": [2], "Archive": [1, 2], "INBOX": [1, 2]}, id="junk"),
        pytest.param((None, 90 * DAY, 90 * DAY), {"Trash": [1, 2], "Junk": [1, 2], "Archive": [1, 2], "INBOX": [1, 2]}, id="not-yet"),
    ],
)
def test_what_goes_is_what_the_rules_say(house, open_store, rules, left):
    store = open_store(*rules)
    boxes = {name: put(house, store, name) for name in left}
    house.ahead = 31 * DAY
    for name in boxes:
        put(house, store, name)
    house.ahead = 32 * DAY
    result_of(store.tidy())
    assert {name: list(box.uids) for name, box in boxes.items()} == left


def test_those_who_look_hear_of_it(house, open_store):
    store = open_store(None, DAY)
    box, heard = put(house, store, "Trash"), []
    box.watch(heard.append)
    house.ahead = 2 * DAY
    result_of(store.tidy())
    assert [list(change.expunged) for change in heard] == [[1]]


def test_a_message_counts_from_the_day_on_which_it_came_here(house, open_store):
    """Old mail that was thrown away today has its whole time before it."""
    store = open_store(None, 30 * DAY)
    inbox = put(house, store, "INBOX", date=1_000_000_000.0)
    result_of(inbox.move([1], "Trash"))
    result_of(store.tidy())
    assert list(house.open(store, "Trash").uids) == [1]


def test_a_folder_of_another_name_with_the_use_counts(house, open_store):
    store = open_store(None, 30 * DAY)
    put(house, store, "Trash")
    result_of(result_of(store.mailboxes("alice@blue.test")).rename("Trash", "Papierkorb"))
    house.ahead = 31 * DAY
    result_of(store.tidy())
    assert list(house.open(store, "Papierkorb").uids) == []


def test_what_has_expired_can_be_had_back_where_expunged_mail_is_kept(house, open_store):
    store = open_store(90 * DAY, 30 * DAY)
    put(house, store, "Trash")
    house.ahead = 31 * DAY
    result_of(store.tidy())
    assert len(kept.messages(house.maildir / ".Trash")) == 1


def test_a_list_of_another_uidvalidity_is_not_believed(house, open_store, monkeypatch):
    store = open_store(None, 30 * DAY)
    box = put(house, store, "Trash")
    monkeypatch.setattr("twistmail.store.mailstore.tidied", lambda *_: [upkeep.Due("Trash", box.uidvalidity + 1, [1])])
    result_of(store.tidy())
    assert list(box.uids) == [1]


@pytest.mark.parametrize(
    ("name", "mtime", "is_old"),
    [
        pytest.param("1700000000.M1P1.mx,S=1:2,S", 1_600_000_000, True, id="named-and-dated-before"),
        pytest.param("1800000000.M1P1.mx,S=1:2,S", 1_600_000_000, False, id="came-later-than-its-date"),
        pytest.param("1700000000.M1P1.mx:2,", 1_900_000_000, False, id="dated-later-than-it-came"),
        pytest.param("msg.ab12:2,S", 1_600_000_000, True, id="only-a-date"),
        pytest.param("1.a:2,S", 1_900_000_000, False, id="a-number-that-is-no-time"),
        pytest.param(".1700000000.mx", 1_600_000_000, False, id="no-message"),
    ],
)
def test_when_a_message_was_saved(tmp_path, name, mtime, is_old):
    (tmp_path / "cur").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "cur" / name).write_bytes(b"x")
    os.utime(tmp_path / "cur" / name, (mtime, mtime))
    assert [path for path, _ in upkeep.saved_before(tmp_path, 1_750_000_000)] == [b"cur/" + name.encode()] * is_old


def test_how_long_mail_has_lain_here_goes_by_a_clock_that_may_be_ahead_of_the_files(house):
    days = [0.0]
    store = MailStore(house.root, None, house.committer, tasks.Inline(), hostname="mx", rules=Rules(None, 7 * DAY, None),
                      epoch=lambda: house.now() + days[0] * DAY)  # fmt: skip
    house.stores.append(store)
    days[0] = 5
    box = put(house, store, "Trash")
    days[0] = 11
    result_of(store.tidy())
    assert list(box.uids) == [1], "it lies here for six days, though its file is eleven days behind that clock"
    days[0] = 13
    result_of(store.tidy())
    assert list(box.uids) == []
