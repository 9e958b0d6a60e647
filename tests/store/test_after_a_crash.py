"""What a server that was killed has left in the index, and in what trouble the index is no reason to forget anything."""

from __future__ import annotations

import errno
import sqlite3

import pytest
from twisted.internet.task import Clock

from tests.contracts.mailstores import vanished_since
from tests.helpers import result_of
from tests.store.conftest import ALICE
from twistmail import tasks
from twistmail.mail.mailbox import Change, Flag, FlagChange, SortKey
from twistmail.store import loading
from twistmail.store.database import FILE, is_damage
from twistmail.store.mailstore import MailStore

LETTERS = [b"Subject: letter %d\r\n\r\nText.\r\n" % number for number in range(20)]
ALL = list(range(1, 21))


@pytest.fixture
def opened(house):
    """As `house.open(house.store())`, but in a boot of the machine that is known. The server before has been killed."""

    def opened(boot="this", reactor=None):
        store = MailStore(house.root, reactor, house.committer, tasks.Inline(), hostname="mx.blue.test", now=house.now, boot=boot)
        house.stores.append(store)
        return house.open(store)

    return opened


@pytest.fixture
def quiet(house, opened):
    """A mailbox in which nothing has happened for a while."""
    inbox = opened()
    house.deliver(house.stores[-1], *LETTERS)
    calm(house, inbox)
    return inbox


def calm(house, mailbox):
    for _ in range(2):
        house.later()
        result_of(mailbox.refresh())


@pytest.fixture
def listings(monkeypatch):
    """One entry for each time that a mailbox was listed."""
    seen = []
    listing = loading.Maildir.listing
    monkeypatch.setattr(loading.Maildir, "listing", lambda self, *which: seen.append(self.path.name) or listing(self, *which))
    return seen


def test_a_mailbox_that_was_quiet_is_as_it_was(house, quiet, opened, listings):
    before = quiet.highest_modseq
    again = opened()
    assert listings == []
    assert again.changed_since(before) == []
    assert vanished_since(again, before) == []


def test_what_was_expunged_before_is_still_known(house, quiet, opened):
    before = quiet.highest_modseq
    result_of(quiet.expunge([3, 5]))
    calm(house, quiet)
    again = opened()
    assert vanished_since(again, before) == [3, 5]
    assert again.changed_since(before) == []


@pytest.mark.parametrize("change", [
    pytest.param(lambda inbox: inbox.store([2], FlagChange.ADD, ["\\Seen"]), id="a-flag"),
    pytest.param(lambda inbox: inbox.expunge([2]), id="expunged"),
])  # fmt: skip
def test_a_mailbox_that_was_not_is_told_anew(house, quiet, opened, change):
    result_of(change(quiet))
    then = quiet.highest_modseq
    assert set(opened().changed_since(then)) == set(quiet.uids)


def test_after_a_loss_of_power_all_is_told_anew(house, quiet, opened):
    assert opened("the next").changed_since(quiet.highest_modseq) == ALL


@pytest.mark.parametrize("change", [
    pytest.param(lambda inbox: inbox.store(ALL, FlagChange.ADD, ["\\Seen"]), id="many-flags"),
    pytest.param(lambda inbox: inbox.expunge([2]), id="expunged"),
])  # fmt: skip
def test_what_others_heard_of_and_nobody_wrote_is_taken_back(house, quiet, opened, change):
    """The kill comes when those who look on know already, and neither index nor directory."""

    class Killed(BaseException):
        pass

    def killed(news: Change):
        raise Killed

    quiet.watch(killed)
    with pytest.raises(Killed):
        result_of(change(quiet))
    again = opened()
    assert list(again.uids) == ALL
    assert again.changed_since(quiet.highest_modseq) == ALL


# ----- weather


def full(mailbox):
    """Nothing more fits into the index of *mailbox*, not even what replaces something."""
    with mailbox._index.transaction() as database:
        pages = database.execute("PRAGMA page_count").fetchone()[0]
    mailbox._index._connection().execute(f"PRAGMA max_page_count = {pages}")


def locked(mailbox):
    """Another program writes to it, for longer than anybody waits."""
    database = sqlite3.connect(mailbox.maildir.path / FILE, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    mailbox._index._connection().execute("PRAGMA busy_timeout = 0")
    return database


@pytest.mark.parametrize("trouble", [full, locked])
def test_an_index_that_cannot_be_written_is_read_and_kept(house, opened, logged, trouble):
    first = opened(reactor=Clock())
    house.deliver(house.stores[-1], *LETTERS)
    result_of(first.store(ALL, FlagChange.ADD, ["\\Seen"]))  # names follow later
    assert not any(name.endswith("S") for name in house.files())
    house.stores.remove(house.stores[-1])  # killed
    second = opened(reactor=Clock())
    mailboxes = result_of(house.stores[-1].mailboxes(ALICE))
    mailboxes._discard(second)
    trouble = trouble(second)
    again = result_of(mailboxes.open("INBOX"))
    assert again is not second
    assert again.bits.tolist() == first.bits.tolist() == [int(Flag.SEEN)] * 20
    assert [line for line in logged if FILE in line] == logged[:1]
    assert again._index.age == 0


def test_a_full_disk_is_said_once_and_again_when_it_is_over(house, quiet, logged):
    full(quiet)
    for flag in ("\\Seen", "\\Flagged", "\\Answered"):
        result_of(quiet.store(ALL, FlagChange.ADD, [flag, flag[1:]]))
        house.deliver(house.stores[-1], *LETTERS * 40)
        assert not result_of(quiet.save())
        assert list(result_of(quiet.sort(ALL, [(SortKey.SUBJECT, False)])))[:3] == [1, 2, 11]
        assert result_of(quiet.header_search(ALL, "subject", "letter 1")) == {2, *range(11, 21)}
    assert len([line for line in logged if FILE in line]) == 1
    assert quiet._index.age == 0
    quiet._index._connection().execute("PRAGMA max_page_count = 1000000")
    assert result_of(quiet.save())
    full(quiet)
    house.deliver(house.stores[-1], *LETTERS * 40)
    assert not result_of(quiet.save())
    assert len([line for line in logged if FILE in line]) == 2
    logged.clear()


@pytest.mark.parametrize(("make", "damage"), [
    pytest.param(lambda path: path.write_bytes(b"no database" * 100), True, id="no-database"),
    pytest.param(lambda path: sqlite3.connect(path).execute("CREATE TABLE other (x)"), True, id="another-schema"),
    pytest.param(lambda path: path.mkdir(), False, id="cannot-be-opened"),
])  # fmt: skip
def test_what_is_damage(tmp_path, make, damage):
    path = tmp_path / "it"
    make(path)
    with pytest.raises(sqlite3.Error) as caught:
        sqlite3.connect(path).execute("SELECT id FROM mailbox")
    assert is_damage(caught.value) is damage


def test_who_uses_a_closed_connection_has_not_found_damage():
    database = sqlite3.connect(":memory:")
    database.close()
    with pytest.raises(sqlite3.Error) as caught:
        database.execute("SELECT 1")
    assert not is_damage(caught.value)


def test_a_mailbox_that_cannot_be_looked_at_for_a_moment_stays_the_one_that_all_have_open(house, opened, monkeypatch):
    inbox = opened(reactor=Clock())
    store = house.stores[-1]
    house.deliver(store, *LETTERS)

    async def fails():
        raise OSError(errno.EIO, "the disk fails")

    monkeypatch.setattr(inbox, "refresh", fails)
    with pytest.raises(OSError, match="the disk fails"):
        house.open(store)
    monkeypatch.undo()
    assert house.open(store) is inbox


def test_flags_that_only_the_names_could_keep_win_over_what_the_index_was_told_before(house, opened):
    inbox = opened(reactor=Clock())
    house.deliver(house.stores[-1], *LETTERS)
    result_of(inbox.store(ALL, FlagChange.SET, ["\\Seen"]))  # names follow later, and the index has it now

    def full_disk(*_):
        raise sqlite3.OperationalError("database or disk is full")

    inbox._index.save = full_disk
    result_of(inbox.store(ALL, FlagChange.SET, ["\\Flagged"]))
    result_of(inbox._home.drop(inbox))
    assert inbox._home.in_memory == (inbox,)
    house.stores.pop()  # killed
    assert opened().bits.tolist() == [int(Flag.FLAGGED)] * 20


def test_a_burst_of_changes_does_not_outrun_the_clock(house, quiet, opened):
    """What a client was told in the burst is below all that is told after the crash (RFC 7162 §3.1)."""
    began = house.now()
    for number in range(1500):
        result_of(quiet.store([1], (FlagChange.ADD, FlagChange.REMOVE)[number % 2], ["\\Flagged"]))
    assert house.now() - began < 1.5, "more than one change in each millisecond"
    assert opened("the next").highest_modseq > quiet.highest_modseq
