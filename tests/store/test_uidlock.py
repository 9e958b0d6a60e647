"""Dovecot's lock file: made where Dovecot has been, waited for, and removed when who made it has ended."""

from __future__ import annotations

import os
import socket
import subprocess
import time

import pytest

from twistmail.store.uidlist import UidList
from twistmail.store.uidlock import STALE_AFTER, UidLock

HOST = socket.gethostname()


@pytest.fixture
def visited(tmp_path):
    """A folder in which Dovecot has been."""
    (tmp_path / "dovecot.index.log").touch()
    return tmp_path


def lock_of(folder, pause=lambda seconds: None, ahead=0.0):
    return UidLock(folder / "dovecot-uidlist", lambda: time.time() + ahead, pause)


def file_of(folder):
    return folder / "dovecot-uidlist.lock"


def ended_process():
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    return process.pid


def test_no_file_is_made_where_dovecot_never_was(tmp_path):
    lock = lock_of(tmp_path)
    lock.acquire()
    assert not file_of(tmp_path).exists()
    lock.release()


def test_it_says_who_holds_it(visited):
    lock = lock_of(visited)
    lock.acquire()
    assert file_of(visited).read_text() == f"{os.getpid()}:{HOST}"
    lock.release()
    assert not file_of(visited).exists()


def test_who_gives_uids_holds_it(visited):
    uids = UidList(visited, lambda above: above + 1, lambda count: b"\x5a" * count)
    with uids.locked():
        assert file_of(visited).exists()
        uids.append([b"a"])
    assert not file_of(visited).exists()
    uids.close()


@pytest.mark.parametrize("mark", [True, False], ids=["an-index", "only-the-lock"])
def test_another_s_lock_is_waited_for(tmp_path, mark):
    if mark:
        (tmp_path / "dovecot.index.log").touch()
    file_of(tmp_path).write_text(f"1:{HOST}")
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            file_of(tmp_path).unlink()

    lock = lock_of(tmp_path, pause)
    lock.acquire()
    assert len(pauses) == 3
    assert file_of(tmp_path).read_text() == f"{os.getpid()}:{HOST}"
    lock.release()


def test_a_lock_that_never_goes_is_trouble_and_stays(visited):
    file_of(visited).write_text(f"1:{HOST}")
    with pytest.raises(OSError, match="keeps the UID list locked"):
        lock_of(visited, ahead=STALE_AFTER * 10).acquire()
    assert file_of(visited).read_text() == f"1:{HOST}"


@pytest.mark.parametrize(
    ("said", "age"),
    [
        pytest.param(lambda: f"{ended_process()}:{HOST}", 5, id="its-process-has-ended"),
        pytest.param(lambda: f"{os.getpid()}:{HOST}", 5, id="our-number-from-before"),
        pytest.param(lambda: "", STALE_AFTER + 1, id="empty-after-a-power-loss"),
        pytest.param(lambda: "1:elsewhere.test", STALE_AFTER + 1, id="another-host"),
    ],
)
def test_what_was_left_behind_is_removed(visited, said, age):
    file_of(visited).write_text(said())
    lock = lock_of(visited, ahead=age)
    lock.acquire()
    assert file_of(visited).read_text() == f"{os.getpid()}:{HOST}"
    lock.release()
