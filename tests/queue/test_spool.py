"""The spool over restarts, crashes and damage. See also tests/contracts/test_queue.py."""

from __future__ import annotations

import errno
import os
import stat
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from twisted.internet.task import Clock

from tests.contracts.test_queue import BOB, BODY, EVENTS, make_item
from tests.helpers import result_of, takes_linear_time
from twistmail.disk import FileContent, InlineCommitter
from twistmail.mail.bounds import Bounds
from twistmail.mail.content import Memory
from twistmail.mail.outcome import Outcome, Postponed, Result, SenderWarned
from twistmail.mail.status import Status
from twistmail.options import Share
from twistmail.queue import records
from twistmail.queue import spool as spool_module
from twistmail.queue.spool import Spool, bounds
from twistmail.tasks import Inline


class Crash(BaseException):
    """The process dies here."""


class Crashing(InlineCommitter):
    """Dies at one step of the next job: before `write`, between its files, before or in `publish`, after it."""

    def __init__(self, at: str | None = None, calls: int = 0) -> None:
        super().__init__()
        self.at, self.calls = at, calls

    async def commit(self, job):
        if self.at is None:
            return await super().commit(job)
        if self.at == "write":
            raise Crash
        job.write()
        if self.at == "publish":
            raise Crash
        job.publish()
        raise Crash


@pytest.fixture
def root(tmp_path):
    return tmp_path / "queue"


def opened(root, committer=None, **limits) -> Spool:
    spool = Spool(root, committer or InlineCommitter(), Inline(), **limits)
    result_of(spool.recover())
    return spool


def filled(root) -> Spool:
    spool = opened(root)
    result_of(spool.add(make_item(), Memory(BODY)))
    return spool


def names(root, folder="ready"):
    return sorted(path.name for path in (root / folder).iterdir())


def test_a_restart_finds_everything_in_order_of_arrival(root):
    spool = opened(root)
    items = [make_item(f"i{number}", arrived=10.0 - number) for number in range(5)]
    for item in items:
        result_of(spool.add(item, Memory(BODY)))
    for event in EVENTS:
        items[2] = result_of(spool.record("i2", event))
    items[3] = result_of(spool.hold("i3", True))
    result_of(spool.remove("i4"))
    again = opened(root)
    assert again.items() == tuple(reversed(items[:4]))
    assert again.bytes == spool.bytes == 4 * items[0].size
    assert b"".join(again.content("i2").chunks()) == BODY


def test_nobody_else_may_look(root):
    filled(root)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    for path in root.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize(("content", "envelope", "tmp", "kept", "left"), [
    pytest.param(False, False, True, 0, [], id="being-received-is-removed"),
    pytest.param(True, False, False, 0, [], id="content-alone-is-removed"),
    pytest.param(True, False, True, 0, [], id="killed-between-the-two-renames"),
    pytest.param(True, True, False, 1, ["i1.content", "i1.envelope"], id="both-is-a-promise"),
    pytest.param(False, True, False, 0, [], id="an-envelope-alone-is-put-aside"),
])
def test_the_crash_table(root, content, envelope, tmp, kept, left):
    filled(root)
    if not content:
        (root / "ready/i1.content").unlink()
    if not envelope:
        (root / "ready/i1.envelope").unlink()
    if tmp:
        (root / "tmp/i1.content").write_bytes(BODY[:5])
        (root / "tmp/i1.envelope").write_bytes(b"half")
    spool = opened(root)
    assert len(spool.items()) == kept
    assert names(root) == left
    assert names(root, "tmp") == []
    assert names(root, "corrupt") == (["i1.envelope"] if envelope and not content else [])


@pytest.mark.parametrize(("at", "kept"), [("write", 0), ("publish", 0), ("after", 1)])
def test_a_kill_during_add_leaves_all_or_nothing(root, at, kept):
    spool = opened(root, Crashing(at))
    with pytest.raises(Crash):
        result_of(spool.add(make_item(), Memory(BODY)))
    assert len(opened(root).items()) == kept


@pytest.mark.parametrize("at", ["write", "publish", "after"])
def test_a_kill_during_record_leaves_the_item_before_or_after_it(root, at):
    filled(root)
    event = Postponed(99.0)
    with pytest.raises(Crash):
        result_of(opened(root, Crashing(at)).record("i1", event))
    assert opened(root).items()[0] == (make_item() if at == "write" else make_item().after(event))


@pytest.mark.parametrize(("at", "kept"), [("write", 1), ("publish", 1), ("after", 0)])
def test_a_kill_during_remove_leaves_all_or_nothing(root, at, kept):
    filled(root)
    with pytest.raises(Crash):
        result_of(opened(root, Crashing(at)).remove("i1"))
    assert len(opened(root).items()) == kept


def test_a_record_cut_short_anywhere_is_as_if_never_written(root):
    spool = filled(root)
    path = root / "ready/i1.envelope"
    sound = path.read_bytes()
    after = result_of(spool.record("i1", Postponed(99.0)))
    whole = path.read_bytes()
    for end in range(len(sound), len(whole) + 1):
        path.write_bytes(whole[:end])
        again = opened(root)
        assert again.items() == ((after if end == len(whole) else make_item()),)
    path.write_bytes(whole[:-4])
    again = opened(root)
    result_of(again.record("i1", SenderWarned()))
    assert opened(root).items() == (make_item().after(SenderWarned()),)


def test_an_octet_changed_in_the_middle_is_damage(root):
    spool = filled(root)
    result_of(spool.record("i1", Postponed(99.0)))
    path = root / "ready/i1.envelope"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    assert opened(root).items() == ()
    assert names(root, "corrupt") == ["i1.content", "i1.envelope"]
    assert (root / "corrupt/i1.envelope").read_bytes() == data


@pytest.mark.parametrize("spoil", [
    pytest.param(lambda root: (root / "ready/i1.envelope").write_bytes(b""), id="empty-envelope"),
    pytest.param(lambda root: (root / "ready/i1.envelope").write_bytes(b"\0" * 500), id="zeros"),
    pytest.param(lambda root: (root / "ready/i1.content").write_bytes(BODY[:-1]), id="content-too-short"),
    pytest.param(lambda root: (root / "ready/i1.envelope").write_bytes(records.written(make_item("other"))), id="somebody-else's-envelope"),
    pytest.param(lambda root: (root / "ready/i1.envelope").write_bytes(records._line({"v": 3})), id="a-version-to-come"),
    pytest.param(lambda root: (root / "ready/i1.envelope").write_bytes(records._line({"v": 1, "id": 5})), id="sound-but-senseless"),
])
def test_whatever_is_damaged_is_put_aside_and_the_rest_goes_on(root, spoil):
    spool = filled(root)
    result_of(spool.add(make_item("i2"), Memory(BODY)))
    spoil(root)
    again = opened(root)
    assert [item.id for item in again.items()] == ["i2"]
    assert names(root) == ["i2.content", "i2.envelope"]
    assert names(root, "corrupt") == ["i1.content", "i1.envelope"]


def test_what_was_put_aside_before_is_never_written_over(root):
    for _ in range(2):
        filled(root)
        (root / "ready/i1.envelope").write_bytes(b"x")
        opened(root)
    assert names(root, "corrupt") == ["i1.content", "i1.content.1", "i1.envelope", "i1.envelope.1"]


class Failing(InlineCommitter):
    """A disk that fails at a step."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at

    def _sync(self, descriptor: int) -> None:
        if self.at == ("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"):
            raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("at", ["file", "folder"])
def test_an_addition_that_is_not_durable_raises_and_nothing_of_it_comes_back(root, at):
    spool = opened(root, Failing(at))
    with pytest.raises(OSError):
        result_of(spool.add(make_item(), Memory(BODY)))
    assert spool.items() == ()
    assert spool.bytes == 0
    assert opened(root).items() == ()


def test_a_record_that_failed_changes_nothing_and_the_next_one_works(root, monkeypatch):
    spool = filled(root)

    def full(descriptor, data, offset):
        return real(descriptor, data[:7], offset)

    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError):
        result_of(spool.record("i1", Postponed(99.0)))
    assert spool.items() == (make_item(),)
    monkeypatch.undo()
    result_of(spool.record("i1", SenderWarned()))
    assert opened(root).items() == (make_item().after(SenderWarned()),)


def test_a_content_that_is_not_as_long_as_the_item_says_is_refused(root):
    spool = opened(root)
    with pytest.raises(OSError):
        result_of(spool.add(make_item(), Memory(BODY + b"more")))
    assert names(root) == names(root, "tmp") == []


def test_a_draft_is_linked_and_survives_its_own_removal(root):
    spool = opened(root)
    draft = root / "draft"
    draft.write_bytes(BODY)
    result_of(spool.add(make_item(), FileContent(draft)))
    assert draft.stat().st_nlink == 2
    draft.unlink()
    assert opened(root).content("i1").beginning(7) == BODY[:7]


def test_a_part_of_a_file_is_copied(root):
    spool = opened(root)
    draft = root / "draft"
    draft.write_bytes(b"junk" + BODY)
    result_of(spool.add(make_item(), FileContent(draft, 4)))
    assert b"".join(spool.content("i1").chunks()) == BODY


def test_the_last_of_the_disk_is_kept_for_reports(root):
    disk = os.statvfs(root.parent)
    spool = opened(root, reserve=disk.f_bavail * disk.f_frsize + (1 << 40))
    with pytest.raises(OSError) as error:
        result_of(spool.add(make_item(), Memory(BODY)))
    assert error.value.errno == errno.ENOSPC
    result_of(spool.add(replace(make_item(), sender=None), Memory(BODY)))
    result_of(spool.record("i1", Postponed(1.0)))


@pytest.mark.parametrize(("setting", "octets"), [
    pytest.param(None, None, id="unlimited"),
    pytest.param(1000, 1000, id="octets"),
    pytest.param(Share(0.5), "half", id="a-part-of-the-file-system"),
])
def test_what_a_limit_means_for_a_folder_that_is_still_to_be_made(tmp_path, setting, octets):
    disk = os.statvfs(tmp_path)
    half = disk.f_blocks * disk.f_frsize // 2
    assert bounds(7, setting, tmp_path / "a" / "b") == Bounds(7, half if octets == "half" else octets)


@pytest.mark.parametrize("trouble", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_where_the_process_lacks_something_the_start_fails_and_nothing_is_put_aside(root, monkeypatch, trouble):
    filled(root)

    def cannot(path):
        raise OSError(trouble, os.strerror(trouble))

    monkeypatch.setattr(Path, "read_bytes", cannot)
    with pytest.raises(OSError) as error:
        opened(root)
    assert error.value.errno == trouble
    assert names(root, "corrupt") == []
    monkeypatch.undo()
    assert len(opened(root).items()) == 1


class NeverWalked(dict):
    """Of how many there are only one is ever looked at."""

    def refuse(self, *_):
        raise AssertionError("this takes longer the more there are")

    __iter__ = keys = values = items = copy = refuse


def test_no_step_of_one_message_looks_at_all_the_others(root):
    """What R35 wants of a hundred thousand; benchmarks/queue.py measures it."""
    spool = filled(root)
    spool._items, spool._lengths = NeverWalked(spool._items), NeverWalked(spool._lengths)
    result_of(spool.add(make_item("i2"), Memory(BODY)))
    result_of(spool.record("i2", Postponed(1.0)))
    result_of(spool.hold("i2", True))
    assert spool.content("i2").size == len(BODY)
    assert spool.room_for(1) is None
    result_of(spool.remove("i2"))
    assert names(root) == ["i1.content", "i1.envelope"]


def test_a_start_takes_time_in_proportion_to_what_waits(root):
    def seconds(count):
        place = root.parent / f"with-{count}"
        if not place.exists():
            spool = opened(place)
            for number in range(count):
                result_of(spool.add(make_item(f"m{number}"), Memory(BODY)))
        began = time.process_time()
        again = opened(place)
        took = time.process_time() - began
        assert len(again.items()) == count
        return took

    assert takes_linear_time(seconds, 40)


def test_a_thousand_events_are_replayed(root):
    spool = filled(root)
    item = make_item()
    for number in range(1000):
        event = Outcome(BOB, Result.DEFERRED, Status(451, "4.4.1", f"try {number}"), "mx")
        item = result_of(spool.record("i1", event))
    assert opened(root).items() == (item,)
    assert item.errands[0].attempts == 1000
    assert item == replace(make_item(), errands=item.errands)


def test_how_much_is_free_is_asked_for_now_and_then(root, monkeypatch):
    clock, free, asked = Clock(), 1000, []

    def fstatvfs(descriptor):
        asked.append(clock.seconds())
        return SimpleNamespace(f_bavail=free, f_frsize=1)

    queue = Spool(root, InlineCommitter(), Inline(), reserve=100, clock=clock)
    result_of(queue.recover())
    monkeypatch.setattr(spool_module.os, "fstatvfs", fstatvfs)
    assert [queue.room_for(900), queue.room_for(900)] == [None, None]
    queue.bytes += 300  # what has come meanwhile counts
    assert "700 octets are free" in str(queue.room_for(700))
    assert queue.room_for(600) is None
    free = 99
    clock.advance(spool_module.BELIEVED)
    assert "99 octets are free" in str(queue.room_for(0))
    assert asked == [0.0, spool_module.BELIEVED]
