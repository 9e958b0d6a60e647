"""Mailboxes that are made because mail comes in: many cost one sync, and no crash breaks a promise about them."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from random import Random

import pytest

from tests.helpers import result_of
from tests.inline_log import LoggingCommitter
from tests.store.conftest import ALICE
from tests.store.inline_log import prepare
from tests.store.lossy_disk import LossyDisk
from twistmail import disk, tasks
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery, NewMessage
from twistmail.store import jobs
from twistmail.store.mailstore import MailStore

STANDARD = ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]
CROWD = [f"user{number}@blue.test" for number in range(3)]
OTHERS = [f"other{number}@blue.test" for number in range(2)]


class Batches(disk.Committer):
    """The committer's own way with a batch, in the caller."""

    def __init__(self):
        self.syncfs, self._fsync, self.takes_logs = True, True, False

    async def commit(self, job):
        (error,) = self._commit([job])
        if error:
            raise error

    def stop(self):
        pass


class Logs(LoggingCommitter):
    """The redo log's, which is synced; so is what does not go there."""

    syncfs = True

    def _sync(self, descriptor):
        disk.os.fsync(descriptor)


WAYS = {"files": Batches, "log": Logs}


def opened(root, way):
    made = MailStore(root, None, WAYS[way](), tasks.Inline(), hostname="mx")
    if made._redo:
        prepare(made._redo)
    return made


def deliver(store, users, subject, way="files", folder="INBOX"):
    """One message to all of them: with the log, one that differs from copy to copy."""
    content = Memory(b"Subject: %s\r\n\r\nText.\r\n" % subject)
    prefixes = {user: b"To: %s\r\n" % user.encode() if way == "log" else b"" for user in users}
    return result_of(store.deliver([Delivery(user, prefix, content, folder) for user, prefix in prefixes.items()]))


def subjects(store, user, folder="INBOX"):
    box = result_of(result_of(store.mailboxes(user)).open(folder))
    found = [line for _, content in result_of(box.load(box.uids)) for line in content.split(b"\r\n") if line.startswith(b"Subject: ")]
    box.close()
    return [line.removeprefix(b"Subject: ") for line in found]


def folders(store, user):
    return [folder.name for folder in result_of(result_of(store.mailboxes(user)).folders())]


@pytest.fixture
def syncs(monkeypatch):
    """What was synced: an entry for each call."""
    seen = []
    usual = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append("fsync") or usual(descriptor))
    monkeypatch.setattr(disk, "syncfs", lambda descriptor: seen.append("syncfs"))
    monkeypatch.setattr("twistmail.syncfs.syncfs", lambda descriptor: seen.append("syncfs"))
    return seen


# ----- how much it costs


@pytest.mark.parametrize("way", WAYS)
def test_however_many_mailboxes_are_made_they_are_synced_together(tmp_path, way, syncs):
    store = opened(tmp_path, way)
    syncs.clear()
    assert deliver(store, [f"u{number}@blue.test" for number in range(20)], b"hello", way) == [None] * 20
    assert set(syncs) == {"syncfs"}
    assert len(syncs) <= 2
    store.close()


def test_a_folder_that_a_user_makes_costs_few_syncs(tmp_path, syncs):
    store = opened(tmp_path, "files")
    home = result_of(store.mailboxes(ALICE))
    syncs.clear()
    result_of(home.create("Work"))
    assert syncs == ["fsync"] * 3
    syncs.clear()
    result_of(home.create("Work/Plans/Old/1/2/3"))
    assert syncs == ["syncfs"]
    store.close()


def test_where_file_systems_may_not_be_synced_whole_each_file_is(tmp_path, syncs):
    committer = Batches()
    committer.syncfs = False
    store = MailStore(tmp_path, None, committer, tasks.Inline(), hostname="mx")
    assert deliver(store, CROWD, b"hello") == [None] * 3
    result_of(store.mailboxes(CROWD[0]))
    assert set(syncs) == {"fsync"}
    store.close()


def test_what_a_killed_process_may_have_left_unsynced_is_synced_at_the_start(tmp_path, syncs):
    """The log says that a message is in a mailbox that is there; whether that will be there after a loss of power, nobody has asked."""
    store = opened(tmp_path, "log")
    assert "syncfs" not in syncs
    store.close()
    syncs.clear()
    opened(tmp_path, "log").close()
    assert "syncfs" in syncs


# ----- what an account gets when


def test_mail_finds_an_inbox_and_who_looks_all_folders(house):
    store = house.store()
    house.deliver(store)
    assert not [path.name for path in house.maildir.iterdir() if path.name.startswith(".")]
    assert folders(store, ALICE) == STANDARD
    home = result_of(store.mailboxes(ALICE))
    told = {folder.name: folder for folder in result_of(home.folders())}
    assert told["Sent"].uses == ("\\Sent",)
    assert all(folder.subscribed for folder in told.values())
    assert not (house.maildir / "twistmail-new").exists()


def test_mail_for_a_folder_makes_that_one_and_who_looks_gets_the_others(house):
    store = house.store()
    house.deliver(store, folder="Junk")
    house.deliver(store, folder="Lists/dogs")
    assert len(house.files(".Junk")) == 1
    assert set(folders(house.store(), ALICE)) == {*STANDARD, "Lists", "Lists/dogs"}


def test_a_standard_folder_that_was_deleted_stays_away(house):
    store = house.store()
    house.deliver(store)
    result_of(result_of(store.mailboxes(ALICE)).delete("Archive"))
    house.deliver(store)
    again = house.store()
    house.deliver(again)
    assert "Archive" not in folders(again, ALICE)


def test_a_maildir_that_another_program_has_made_is_left_as_it_is(house):
    for name in ("tmp", "new", "cur"):
        (house.maildir / name).mkdir(parents=True)
    store = house.store()
    house.deliver(store)
    assert folders(store, ALICE) == ["INBOX"]


def test_an_account_whose_first_look_was_cut_short_has_all_folders_at_the_next(house, monkeypatch):
    store = house.store()
    house.deliver(store)
    house.stores.remove(store)  # killed

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("twistmail.store.folders._put_file", killed)
        with pytest.raises(KeyboardInterrupt):
            result_of(store.mailboxes(ALICE))
    assert folders(house.store(), ALICE) == STANDARD


def test_an_account_that_is_removed_begins_again(house):
    store = house.store()
    house.deliver(store)
    result_of(store.mailboxes(ALICE))
    result_of(store.remove_account(ALICE))
    house.deliver(store)
    assert folders(store, ALICE) == STANDARD


def test_mailboxes_that_somebody_removes_are_made_again(house):
    store = house.store()
    house.deliver(store)
    for path in sorted(house.maildir.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    house.maildir.rmdir()
    assert house.deliver(store) == [None]
    assert folders(house.store(), ALICE) == STANDARD


# ----- weather


@pytest.mark.parametrize("way", WAYS)
def test_what_could_not_be_synced_is_refused_and_synced_before_the_next_promise(tmp_path, way, monkeypatch):
    lossy = LossyDisk(tmp_path / "before", lambda: None)
    lossy.root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        lossy.patch(patch)
        store = opened(lossy.root, way)

        def broken(_):
            raise OSError(errno.EIO, "Input/output error")

        with patch.context() as worse:
            worse.setattr(disk, "syncfs", broken)
            assert [error.errno for error in deliver(store, CROWD, b"one", way)] == [errno.EIO] * 3
        lossy.names = {}
        assert deliver(store, CROWD, b"two", way) == [None] * 3
        (tmp_path / "after").mkdir()
        lossy.after_power_loss(tmp_path / "after", _As(lossy.names))
    again = opened(tmp_path / "after", way)
    assert [subjects(again, user) for user in CROWD] == [[b"two"]] * 3
    again.close()
    store.close()
    lossy.close()


def _append(home):
    result_of(result_of(home.open("Work")).append([NewMessage(Memory(b"Subject: one\r\n\r\nText.\r\n"))]))


def _copy(home):
    inbox = result_of(home.open("INBOX"))
    result_of(inbox.copy(inbox.uids, "Work"))


@pytest.mark.parametrize("bring", [pytest.param(_append, id="append"), pytest.param(_copy, id="copy")])
@pytest.mark.parametrize("way", WAYS)
def test_what_a_create_could_not_sync_is_synced_before_other_mail_is_promised(tmp_path, way, bring, monkeypatch):
    """Also where the CREATE of another session has not come to it yet: the mailbox can be seen before it is durable."""
    store = opened(tmp_path, way)
    deliver(store, [ALICE], b"one")
    home = result_of(store.mailboxes(ALICE))

    def broken(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as worse:
        worse.setattr("twistmail.store.folders.make_durable", broken)
        with pytest.raises(OSError, match="Input/output"):
            result_of(home.create("Work"))
    made = {os.fspath(path) for path in home.tree.unsynced.now().values()}
    assert os.fspath(home.tree.root / ".Work/dovecot-uidlist") in made
    with monkeypatch.context() as worse:
        worse.setattr(os, "fsync", lambda descriptor: broken() if _path_of(descriptor) in made else None)
        with pytest.raises(OSError, match="Input/output"):
            bring(home)
    assert subjects(store, ALICE, "Work") == []
    synced, usual = set(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(_path_of(descriptor)) or usual(descriptor))
    bring(home)
    assert made <= synced
    assert not home.tree.unsynced.now()
    assert subjects(store, ALICE, "Work") == [b"one"]
    store.close()


def _path_of(descriptor):
    return os.readlink(f"/proc/self/fd/{descriptor}")


class _As(Random):
    """The worst: names as of the last sync, files as they were synced."""

    def __init__(self, names):
        super().__init__(0)

    def choice(self, options):
        return options[0]


def test_one_mailbox_that_cannot_be_made_stops_no_other(tmp_path, monkeypatch):
    store = opened(tmp_path, "files")
    usual = os.mkdir

    def full(path, *rest, **keywords):
        if "user1/new" in os.fspath(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        usual(path, *rest, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", full)
        errors = deliver(store, CROWD, b"one")
    assert [error and error.errno for error in errors] == [None, errno.ENOSPC, None]
    assert deliver(store, CROWD, b"two") == [None] * 3
    assert [subjects(store, user) for user in CROWD] == [[b"one", b"two"], [b"two"], [b"one", b"two"]]
    assert folders(store, CROWD[1]) == STANDARD
    store.close()


# ----- crashes


def listed(root, user):
    """UIDVALIDITY, and each message with its UID."""
    name, _, domain = user.partition("@")
    first, *lines = (root / "mail" / domain / name / "dovecot-uidlist").read_bytes().splitlines()
    return {first.split(b" ")[1], *lines}


class World:
    """Mailboxes are made, for mail and for people. What was promised when is noted; a snapshot is taken before event number *doom*."""

    def __init__(self, root, way, doom):
        self.way, self.doom, self.events = way, doom, 0
        self.promised, self.then = {}, None
        self.listed, self.listed_then = {}, {}
        self.disk = LossyDisk(root / "before", self._event)
        self.disk.root.mkdir()
        self.snapshot = lambda: None

    def _event(self):
        self.events += 1
        if self.events == self.doom:
            self.then = {user: list(found) for user, found in self.promised.items()}
            self.listed_then = dict(self.listed)
            self.snapshot()

    def play(self):
        store = opened(self.disk.root, self.way)
        self._deliver(store, CROWD, b"one")
        self._log_in(store, CROWD[0])
        result_of(result_of(store.mailboxes(CROWD[1])).create("Work"))
        self._deliver(store, [*CROWD, *OTHERS], b"two")
        self._log_in(store, OTHERS[0])
        with suppress(OSError):
            store.close()
        if self.then is None:
            self.then, self.listed_then = self.promised, self.listed

    def _deliver(self, store, users, subject):
        assert deliver(store, users, subject, self.way) == [None] * len(users)
        for user in users:
            self.promised.setdefault(user, []).append(subject)
            self.listed[user] = listed(self.disk.root, user)

    def _log_in(self, store, user):
        assert folders(store, user) == STANDARD
        self.promised.setdefault(user, []).append(b"folders")

    def judge(self, root):
        """What another process shows."""
        store = opened(root, self.way)
        for user in (*CROWD, *OTHERS):
            promised = [what for what in self.then.get(user, []) if what != b"folders"]
            found = subjects(store, user)
            assert [what for what in found if what in promised] == promised, f"{user}: {promised} was promised, {found} is there"
            assert set(found) <= {b"one", b"two", b"three"}
            assert set(STANDARD) <= set(folders(store, user))
            assert self.listed_then.get(user, set()) <= listed(root, user), f"{user}: other UIDs, or another UIDVALIDITY"
        assert deliver(store, [*CROWD, *OTHERS], b"last", self.way) == [None] * 5
        assert all(subjects(store, user)[-1] == b"last" for user in (*CROWD, *OTHERS))
        store.close()


def events_of(tmp_path_factory, way):
    """How many events there are."""
    world = World(tmp_path_factory.mktemp("counted"), way, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "SHARED_FROM", 3)
        world.disk.patch(patch)
        world.play()
    world.disk.close()
    return world.events


@pytest.mark.parametrize("way", WAYS)
def test_no_loss_of_power_breaks_a_promise_about_new_mailboxes(tmp_path_factory, way):
    events = events_of(tmp_path_factory, way)
    assert events > 80
    for doom in range(1, events + 1, 7):
        root = tmp_path_factory.mktemp("world")
        (root / "after").mkdir()
        world = World(root, way, doom)
        world.snapshot = lambda root=root, world=world, doom=doom: world.disk.after_power_loss(root / "after", Random(doom))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jobs, "SHARED_FROM", 3)
            world.disk.patch(patch)
            world.play()
        world.judge(root / "after")
        world.disk.close()


@pytest.mark.parametrize("way", WAYS)
def test_mail_that_comes_after_a_kill_survives_a_loss_of_power(tmp_path_factory, way):
    """Another process has made mailboxes and was killed before it had synced them: the next one believes no directory that it sees."""
    events = events_of(tmp_path_factory, way)
    for doom in range(2, events + 1, 11):
        root = tmp_path_factory.mktemp("world")
        (root / "after").mkdir()
        world = World(root, way, doom)
        killed = []
        world.snapshot = lambda root=root, world=world, killed=killed: killed.append(world.disk.after_a_kill(root / "killed", lambda: None))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jobs, "SHARED_FROM", 3)
            world.disk.patch(patch)
            world.play()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jobs, "SHARED_FROM", 3)
            killed[0].patch(patch)
            store = opened(root / "killed", way)
            assert deliver(store, CROWD, b"three", way) == [None] * 3
            for user in CROWD:
                world.then.setdefault(user, []).append(b"three")
            killed[0].after_power_loss(root / "after", _As({}))
        world.judge(root / "after")
        store.close()
        world.disk.close()
        killed[0].close()
