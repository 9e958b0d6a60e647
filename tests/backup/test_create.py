"""Backups: whole whatever happens meanwhile, readable by anybody, and cheap the second time."""

import os
import threading
import time

import pytest

from tests import walk
from tests.backup.conftest import ALICE, back_up
from tests.helpers import result_of
from twistmail.backup import create
from twistmail.backup.check import problems_of
from twistmail.backup.manifest import MAIL, MANIFESTS, SUMMARY, DamagedBackup, read_manifest, read_summary
from twistmail.backup.shelf import Busy, remove
from twistmail.mail.mailbox import FlagChange


def problems(backup):
    return list(problems_of(backup, read_summary(backup), lambda count, at: None))


def test_a_backup_is_a_maildir_with_the_same_uids(house, shelf):
    backup = back_up(house, shelf)
    before, after = walk.walk(house.maildir), walk.walk(backup / MAIL / ALICE)
    assert before.keys() == after.keys()
    for name in before:
        assert after[name].messages == before[name].messages
        assert (after[name].uids, after[name].uidvalidity) == (before[name].uids, before[name].uidvalidity)
    assert walk.anomalies(after) == []
    assert problems(backup) == []
    summary = read_summary(backup)
    assert (summary.messages, summary.hostname) == (4, "mx.blue.test")
    assert summary.octets == sum(path.stat().st_size for path in (backup / MAIL).rglob("*") if path.is_file())
    assert not [path for path in backup.rglob("*") if "sqlite" in path.name]


def test_the_second_time_nothing_is_read_again(house, shelf, monkeypatch):
    first = back_up(house, shelf, time.time() - 60)
    house.deliver(b"Subject: more\r\n\r\nmore\r\n")
    result_of(house.open().store([1], FlagChange.ADD, ["\\Answered"]))
    read = []
    monkeypatch.setattr(create, "digest_of", lambda path: read.append(path) or "0" * 64)
    second = back_up(house, shelf)
    assert len(read) == 1, "the new one"
    one, two = ({e.sha256: e for e in read_manifest(b / MANIFESTS / ALICE) if e.is_message} for b in (first, second))
    for digest in one:
        assert os.path.samefile(first / MAIL / ALICE / one[digest].path, second / MAIL / ALICE / two[digest].path)
    remove(first)
    assert len(list((second / MAIL / ALICE / "cur").iterdir())) == 2


def test_on_another_file_system_it_is_copied(house, shelf, monkeypatch):
    def link(*_, **__):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    backup = back_up(house, shelf)
    assert problems(backup) == []
    before, after = walk.walk(house.maildir), walk.walk(backup / MAIL / ALICE)
    assert after["."].messages == before["."].messages
    assert not any(path.stat().st_nlink > 1 for path in (backup / MAIL).rglob("*") if path.is_file())


def test_flags_that_change_while_it_is_made_and_messages_that_go(house, shelf):
    changed = []

    def step(count, at):
        if not changed:
            changed.append(at)
            (first,) = (house.maildir / "new").iterdir()
            first.rename(house.maildir / "cur" / f"{first.name}:2,S")
            next(path for path in (house.maildir / "cur").iterdir() if path.name.endswith(":2,Fb")).unlink()

    backup = back_up(house, shelf, step=step)
    inbox = walk.look(backup / MAIL / ALICE)
    assert inbox.anomalies == []
    assert 4 in inbox.listed
    assert 2 <= len(inbox.messages) <= 3
    assert problems(backup) == []


def test_an_interrupted_backup_goes_on(house, shelf, monkeypatch):
    def step(count, at):
        if at == "Work/Old":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(house, shelf, step=step)
    assert shelf.complete() == []
    (part,) = shelf.unfinished()
    brought = {path: path.stat().st_ino for path in (part / MAIL / ALICE / "cur").iterdir()}
    assert len(brought) == 2
    linked = []
    real = create.link_or_copy
    monkeypatch.setattr(create, "link_or_copy", lambda source, target: linked.append(source) or real(source, target))
    backup = back_up(house, shelf)
    assert backup.name + ".part" == part.name
    assert {backup / path.relative_to(part): inode for path, inode in brought.items()} == {
        path: path.stat().st_ino for path in (backup / MAIL / ALICE / "cur").iterdir()
    }
    assert not any(source.parent.name == "cur" and source.parent.parent == house.maildir for source in linked)
    assert problems(backup) == []


def test_what_was_done_yesterday_is_done_again(house, shelf):
    def stop(*_):
        raise KeyboardInterrupt

    yesterday = time.time() - 2 * 86400
    with shelf.being_made(yesterday) as part:
        create.back_up_account(house.tree, ALICE, create.Making(part, None, yesterday, lambda count, at: None))
    os.utime(part / MANIFESTS / ALICE, (yesterday, yesterday))
    house.append("INBOX", b"Subject: today\r\n\r\n")
    result_of(house.open().expunge([1]))
    backup = back_up(house, shelf)
    assert sorted(walk.look(backup / MAIL / ALICE).listed) == [3, 4, 5]
    assert problems(backup) == []


def test_two_in_one_second_have_two_names(house, shelf):
    first, second = back_up(house, shelf, 1_800_000_000.0), back_up(house, shelf, 1_800_000_000.5)
    assert [first.name, second.name] == ["20270115T080000Z", "20270115T080001Z"]
    assert shelf.complete() == [first, second]


def test_two_at_a_time_are_one_too_many(shelf):
    with shelf.being_made(time.time()), pytest.raises(Busy), shelf.being_made(time.time()):
        raise AssertionError


def test_a_message_that_cannot_be_read_is_told_and_the_rest_is_kept(house, shelf, monkeypatch):
    (bad,) = (house.maildir / "new").iterdir()
    real = create.link_or_copy

    def broken(source, target):
        if source == bad:
            raise OSError(5, "Input/output error")
        return real(source, target)

    monkeypatch.setattr(create, "link_or_copy", broken)
    with shelf.being_made(time.time()) as part:
        share, told = create.back_up_account(house.tree, ALICE, create.Making(part, None, time.time(), lambda count, at: None))
    assert (share.messages, told) == (3, [f"{bad}: Input/output error"])


def test_under_load_no_message_is_partial_and_no_uid_is_wrong(house, shelf):
    """Somebody delivers, changes flags and expunges all the time; three backups are made meanwhile."""
    house.append("INBOX", *(b"Subject: %d\r\n\r\n" % number for number in range(300)))
    stopped, errors, delivered = threading.Event(), [], []

    def load():
        try:
            while not stopped.is_set():
                number = len(delivered)
                delivered.append(number)
                house.deliver(b"Subject: load %d\r\n\r\n%s\r\n" % (number, b"y" * (number * 37 % 5000)))
                box = house.open()
                result_of(box.store([box.uids[-1]], FlagChange.ADD, ["\\Seen", "Work"]))
                if number % 3 == 0:
                    result_of(box.expunge([box.uids[len(box.uids) // 2]]))
        except BaseException as error:
            errors.append(error)
            raise

    thread = threading.Thread(target=load)
    thread.start()
    try:
        place = 0
        while place < 3 or (len(delivered) < 100 and not errors):
            backup = back_up(house, shelf, time.time() + 10 * place)
            place += 1
            found = walk.walk(backup / MAIL / ALICE)
            assert walk.anomalies(found) == []
            assert all(message.base in found["."].uid_of for message in found["."].messages.values())
            assert problems(backup) == []
    finally:
        stopped.set()
        thread.join()
    assert errors == []
    last = walk.walk(house.maildir)
    for backup in shelf.complete():
        assert walk.changed_uids(walk.walk(backup / MAIL / ALICE), last) == []


# ----- verify


def _first_message(backup):
    return next((backup / MAIL / ALICE / "cur").iterdir())


def _flip(path):
    data = bytearray(path.read_bytes())
    path.unlink()  # it may be a link
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        pytest.param(lambda backup: _first_message(backup).unlink(), "is missing", id="missing"),
        pytest.param(lambda backup: _flip(_first_message(backup)), "has another content", id="one-bit"),
        pytest.param(lambda backup: (backup / MAIL / ALICE / "dovecot-uidlist").write_bytes(b""), "has 0 octets instead", id="empty"),
        pytest.param(lambda backup: (backup / MAIL / ALICE / "cur/x:2,").write_bytes(b"x"), "is not in the manifest", id="more"),
        pytest.param(lambda backup: _flip(backup / MANIFESTS / ALICE), "is not what was written", id="manifest"),
        pytest.param(lambda backup: (backup / MANIFESTS / ALICE).unlink(), "is missing", id="no-manifest"),
    ],
)
def test_verify_finds_what_has_changed(house, shelf, harm, told):
    backup = back_up(house, shelf)
    harm(backup)
    (problem,) = problems(backup)
    assert told in problem


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param("[]", id="a-list"),
        pytest.param('{"version": 1}', id="nothing-in-it"),
        pytest.param('{"version": 2}', id="of-a-later-version"),
        pytest.param('{"version": 1, "created": "x", "hostname": "", "accounts": {}, "server": null}', id="no-date"),
    ],
)
def test_a_summary_that_cannot_be_read_is_no_backup(tmp_path, data):
    if data is not None:
        (tmp_path / SUMMARY).write_text(data)
    with pytest.raises(DamagedBackup):
        read_summary(tmp_path)


# ----- the shelf


def test_the_oldest_go_and_what_was_never_finished(shelf):
    names = ["20260101T000000Z", "20260102T000000Z", "20260103T000000Z", "20260102T120000Z.part", "20260104T000000Z.part"]
    for name in (*names, "notes", "20260101"):
        (shelf.directory / name).mkdir(parents=True)
    assert [path.name for path in shelf.too_many(2)] == ["20260101T000000Z", "20260102T120000Z.part"]
    assert [path.name for path in shelf.too_many(7)] == ["20260102T120000Z.part"]
    for path in shelf.too_many(1):
        remove(path)
    assert sorted(path.name for path in shelf.directory.iterdir()) == ["20260101", "20260103T000000Z", "20260104T000000Z.part", "notes"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("latest", "20260103T000000Z", id="latest"),
        pytest.param("20260101T000000Z", "20260101T000000Z", id="whole-name"),
        pytest.param("20260103", "20260103T000000Z", id="beginning"),
        pytest.param("2026", None, id="not-unique"),
        pytest.param("x", None, id="unknown"),
    ],
)
def test_what_a_backup_may_be_called(shelf, name, found):
    for known in ("20260101T000000Z", "20260103T000000Z", "20260104T000000Z.part"):
        (shelf.directory / known).mkdir(parents=True)
    path = shelf.find(name)
    assert (path and path.name) == found
