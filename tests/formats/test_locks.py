"""Both locks on a mailbox file: who waits for whom, what is stale, and that ten writers lose nothing."""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from twistmail.formats.locks import STALE_AFTER, MailboxBusy, locked


class Time:
    """A clock that moves when somebody sleeps; *then* is called at each sleep."""

    def __init__(self, then=lambda: None):
        self.now = 0.0
        self.then = then

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.then()


@pytest.fixture
def mbox(tmp_path):
    path = tmp_path / "mbox"
    path.write_bytes(b"")
    return path


def dot_lock(path):
    return path.with_name(path.name + ".lock")


def test_both_locks_are_held_inside_and_gone_after(mbox):
    with locked(mbox) as held:
        assert dot_lock(mbox).read_bytes() == b"%d\n" % os.getpid()
        assert os.path.samestat(os.fstat(held.descriptor), mbox.stat())
        with mbox.open("rb+") as other, pytest.raises(BlockingIOError):
            fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not dot_lock(mbox).exists()
    with mbox.open("rb+") as other:
        fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_reading_the_mailbox_by_another_descriptor_does_not_lose_the_lock(mbox):
    with locked(mbox):
        mbox.read_bytes()
        with mbox.open("rb+") as other, pytest.raises(BlockingIOError):
            fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(
    ("content", "age", "is_stale"),
    [
        pytest.param(b"%d\n" % os.getpid(), STALE_AFTER + 1, False, id="old-but-its-holder-lives"),
        pytest.param(b"999999999\n", STALE_AFTER + 1, True, id="old-and-its-holder-has-ended"),
        pytest.param(b"999999999\n", STALE_AFTER - 1, False, id="young-though-its-holder-has-ended"),
        pytest.param(b"999999999:host:123\n", STALE_AFTER + 1, True, id="as-dovecot-writes-it"),
        pytest.param(b"0", STALE_AFTER - 1, False, id="young-and-names-nobody"),
        pytest.param(b"0", STALE_AFTER + 1, True, id="old-and-names-nobody"),
        pytest.param(b"", STALE_AFTER + 1, True, id="old-and-empty"),
    ],
)
def test_a_dot_lock_is_stale_when_it_is_old_and_nobody_is_known_to_hold_it(mbox, content, age, is_stale):
    dot_lock(mbox).write_bytes(content)
    time = Time()

    def take():
        with locked(mbox, timeout=5, clock=time, sleep=time.sleep, now=lambda: dot_lock(mbox).stat().st_mtime + age):
            assert dot_lock(mbox).read_bytes() == b"%d\n" % os.getpid()

    if is_stale:
        take()
        assert time.now == 0
    else:
        with pytest.raises(MailboxBusy):
            take()
        assert dot_lock(mbox).read_bytes() == content


@pytest.mark.parametrize("number", [os.getpid(), os.getppid()], ids=["ours", "another-s"])
def test_a_dot_lock_from_before_its_process_began_is_somebody_else_s_who_had_that_number_and_has_ended(mbox, number):
    dot_lock(mbox).write_bytes(b"%d\n" % number)
    os.utime(dot_lock(mbox), (1, 1))
    time = Time()
    with locked(mbox, timeout=5, clock=time, sleep=time.sleep):
        assert dot_lock(mbox).read_bytes() == b"%d\n" % os.getpid()
    assert time.now == 0


def test_a_disk_without_room_for_the_number_is_left_without_a_dot_lock(mbox, monkeypatch):
    really_open = os.open

    def full(path, flags, *rest, **keywords):
        descriptor = really_open(path, flags, *rest, **keywords)
        if flags & os.O_EXCL:
            with open("/dev/full", "wb") as disk:
                os.dup2(disk.fileno(), descriptor, inheritable=False)
        return descriptor

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="No space left"), locked(mbox):
        pass
    assert not dot_lock(mbox).exists()
    monkeypatch.undo()
    with locked(mbox, timeout=0):
        pass


def test_who_waits_too_long_is_told_who_has_the_lock(mbox):
    dot_lock(mbox).write_bytes(b"%d\n" % os.getpid())
    time = Time()
    with pytest.raises(MailboxBusy) as told, locked(mbox, timeout=5, clock=time, sleep=time.sleep):
        pass
    assert f"locked by process {os.getpid()} for more than 5 s" in str(told.value)
    assert 5 <= time.now < 6


def test_a_lock_that_is_released_meanwhile_is_taken(mbox):
    dot_lock(mbox).write_bytes(b"0")
    time = Time(then=lambda: dot_lock(mbox).unlink(missing_ok=True))
    with locked(mbox, clock=time, sleep=time.sleep):
        assert time.now < 1


def test_who_waits_for_one_lock_does_not_hold_the_other(mbox):
    def other_program_needs_the_fcntl_lock():
        with mbox.open("rb+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        dot_lock(mbox).unlink(missing_ok=True)

    dot_lock(mbox).write_bytes(b"0")
    time = Time(then=other_program_needs_the_fcntl_lock)
    with locked(mbox, clock=time, sleep=time.sleep):
        pass


def test_a_mailbox_that_was_replaced_meanwhile_is_opened_again(mbox):
    def replace():
        new = mbox.with_name("new")
        new.write_bytes(b"other")
        os.rename(new, mbox)
        dot_lock(mbox).unlink(missing_ok=True)

    dot_lock(mbox).write_bytes(b"0")
    time = Time(then=replace)
    with locked(mbox, clock=time, sleep=time.sleep) as held:
        assert os.read(held.descriptor, 10) == b"other"


def test_what_is_only_read_needs_no_dot_lock_where_none_can_be_made(mbox, monkeypatch):
    really_open = os.open

    def read_only(path, flags, *rest, **keywords):
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", str(path))
        return really_open(path, flags, *rest, **keywords)

    monkeypatch.setattr(os, "open", read_only)
    with locked(mbox, exclusive=False) as held:
        assert held.dot_lock is None
    with pytest.raises(PermissionError), locked(mbox):
        pass


def test_a_missing_mailbox_is_made_only_when_that_is_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError), locked(tmp_path / "new"):
        pass
    with locked(tmp_path / "new", create=True):
        pass
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["new"]


def test_touching_makes_the_dot_lock_young(mbox):
    with locked(mbox) as held:
        os.utime(dot_lock(mbox), (0, 0))
        held.touch()
        assert dot_lock(mbox).stat().st_mtime > 1e9


def add_one(path):
    """Read a number and write the next: what two at a time would do wrong."""
    with locked(path) as held:
        number = int(os.pread(held.descriptor, 20, 0) or b"0") + 1
        os.pwrite(held.descriptor, b"%d" % number, 0)


def test_threads_of_one_process_exclude_each_other(mbox):
    threads = [threading.Thread(target=lambda: [add_one(mbox) for _ in range(10)]) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert mbox.read_bytes() == b"100"


def test_processes_exclude_each_other(mbox):
    program = f"from tests.formats.test_locks import add_one; from pathlib import Path\nfor _ in range(10): add_one(Path({str(mbox)!r}))"
    root = Path(__file__).parents[2]
    running = [subprocess.Popen([sys.executable, "-c", program], cwd=root, env=os.environ | {"PYTHONPATH": str(root)}) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert mbox.read_bytes() == b"40"
