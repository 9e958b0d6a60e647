"""The folder for mail that is left while the server does not run: who can do what there, and what is taken."""

from __future__ import annotations

import errno
import os
import stat
import time

import pytest

from twistmail.queue import dropbox
from twistmail.queue.dropbox import OPEN_FOR_ALL, STALE, WITHOUT_GROUP, Dropbox, Refused, leave

MOST = 1000
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def box(tmp_path):
    made = Dropbox(tmp_path / "pickup", MOST)
    made.prepare()
    return made


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everybody_may_put_mail_in_and_nobody_may_look(box):
    assert (mode(box.folder), mode(box.folder / "new"), mode(box.folder / "bad")) == (0o711, OPEN_FOR_ALL, 0o700)


def test_the_modes_do_not_hang_on_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        box = Dropbox(tmp_path / "pickup", MOST)
        box.prepare()
        leave(box.folder, b"x")
    finally:
        os.umask(before)
    assert (mode(box.folder), mode(box.folder / "new")) == (0o711, OPEN_FOR_ALL)
    assert mode(box.folder / "new" / box.names()[0]) == 0o640


def test_where_the_folder_may_not_have_the_setgid_bit_a_file_is_open_for_who_knows_its_name(tmp_path, monkeypatch):
    real = os.chmod

    def fenced(path, mode):
        if mode & stat.S_ISGID:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        real(path, mode)

    monkeypatch.setattr(os, "chmod", fenced)
    box = Dropbox(tmp_path / "pickup", MOST)
    box.prepare()
    leave(box.folder, b"x")
    assert mode(box.folder / "new") == WITHOUT_GROUP
    assert mode(box.folder / "new" / box.names()[0]) == 0o644


def test_what_was_left_is_taken_with_whose_it_is_and_since_when(box):
    before = time.time() - 2
    leave(box.folder, b"hello")
    (name,) = box.names()
    left = box.take(name)
    assert (left.user, left.data) == (os.geteuid(), b"hello")
    assert before <= left.at <= time.time() + 2
    box.remove([name])
    assert box.names() == []


def test_what_was_left_first_comes_first(box):
    for number in range(5):
        leave(box.folder, b"%d" % number)
    assert [box.take(name).data for name in box.names()] == [b"0", b"1", b"2", b"3", b"4"]


def long_quiet(box):
    """As if nobody had touched the folder for an hour."""
    os.utime(box.folder / "new", (time.time() - 3600,) * 2)


def test_an_empty_folder_is_not_listed_again_until_something_has_come(box):
    assert not box.is_still_empty(), "nobody has looked yet"
    long_quiet(box)
    assert box.names() == []
    assert box.is_still_empty()
    leave(box.folder, b"x")
    assert not box.is_still_empty()
    long_quiet(box)
    assert len(box.names()) == 1
    assert not box.is_still_empty(), "it is still to be taken, or to be taken again"


def test_what_has_changed_a_moment_ago_may_change_again_at_the_same_time_of_the_disk(box):
    assert box.names() == []
    assert not box.is_still_empty()


def test_an_unfinished_file_is_looked_after(box):
    (box.folder / "new" / "tmp.1.mail").write_bytes(b"")
    long_quiet(box)
    assert box.names() == []
    assert not box.is_still_empty()


def test_what_is_being_written_is_not_seen_and_goes_when_it_never_ends(box):
    young, old = box.folder / "new/tmp.young.mail", box.folder / "new/tmp.old.mail"
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - STALE - 1,) * 2)
    assert box.names() == []
    assert (young.exists(), old.exists()) == (True, False)


def test_a_write_that_fails_leaves_nothing(box, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        leave(box.folder, b"x")
    assert list((box.folder / "new").iterdir()) == []


def link(path):
    path.symlink_to("/etc/passwd")


def twice(path):
    path.write_bytes(b"x")
    os.link(path, path.with_name("other"))


def anybody_s(path):
    path.write_bytes(b"x")
    path.chmod(0o666)


@pytest.mark.parametrize(("make", "why"), [
    pytest.param(link, "it is no file", id="a-symbolic-link"),
    pytest.param(lambda path: os.mkfifo(path), "it is no file", id="a-pipe-that-nobody-writes-to"),
    pytest.param(lambda path: path.mkdir(), "it is no file", id="a-folder"),
    pytest.param(twice, "it has more than one name", id="a-link-to-a-file-of-somebody-else"),
    pytest.param(anybody_s, "others than its owner may write to it", id="writable-for-all"),
    pytest.param(lambda path: path.write_bytes(b"x" * (MOST + 1)), "it has 1001 octets; at most 1000 are taken", id="too-large"),
])  # fmt: skip
def test_what_is_refused_is_put_aside_with_the_reason(box, make, why):
    make(box.folder / "new/x.mail")
    with pytest.raises(Refused, match=why):
        box.take("x.mail")
    place = box.put_aside("x.mail", why)
    assert box.names() == []
    assert place.parent == box.folder / "bad"
    assert place.with_name(place.name + ".why").read_text() == why + "\n"


def test_a_file_that_its_owner_has_taken_back_is_no_trouble_of_ours(box):
    with pytest.raises(FileNotFoundError):
        box.take("gone.mail")
    box.remove(["gone.mail"])


def test_a_file_on_which_somebody_has_a_lease_keeps_nobody_waiting(box):
    import fcntl

    leave(box.folder, b"x")
    (name,) = box.names()
    with open(box.folder / "new" / name, "rb+") as file:
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError:
            pytest.skip("no leases here")
        import signal

        before = signal.signal(signal.SIGIO, signal.SIG_IGN)
        try:
            with pytest.raises(BlockingIOError):
                box.take(name)
        finally:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            signal.signal(signal.SIGIO, before)
    assert box.take(name).data == b"x"


def test_rubbish_does_not_fill_the_disk(box, monkeypatch):
    monkeypatch.setattr(dropbox, "MOST_KEPT", 2)
    for number in range(5):
        (box.folder / f"new/{number}.mail").write_bytes(b"x")
        box.put_aside(f"{number}.mail", "rubbish")
    assert box.names() == []
    assert len(list((box.folder / "bad").glob("*.mail"))) == 2


@as_root
@pytest.mark.parametrize("spoil", [
    pytest.param(lambda new: os.chown(new, 1, 1), id="it-belongs-to-another-user"),
    pytest.param(lambda new: new.chmod(0o777), id="anybody-can-remove-what-is-there"),
])
def test_a_folder_in_which_others_could_take_mail_away_is_not_used(box, spoil):
    spoil(box.folder / "new")
    with pytest.raises(OSError):
        box.prepare()


@as_root
def test_a_user_leaves_mail_that_no_other_user_can_read_or_remove(tmp_path):
    """With real users: 1 leaves it, 2 is curious, 3 is the server."""
    import subprocess
    import sys
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        folder = place / "pickup"

        def run_as(user: int, code: str) -> str:
            become = f"os.setgroups([]); os.setgid({user}); os.setuid({user})"
            come = f"import os; from pathlib import Path; from twistmail.queue.dropbox import *; {become}; "
            words = [sys.executable, "-c", f"{come}folder = Path({str(folder)!r}); box = Dropbox(folder, 1000); {code}"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
            return (done.stdout + done.stderr).strip()

        folder.mkdir()
        os.chown(folder, 3, 3)
        folder.chmod(0o711)
        assert run_as(3, "box.prepare()") == ""
        assert run_as(1, "leave(folder, b'secret')") == ""
        (left,) = os.listdir(folder / "new")
        assert "PermissionError" in run_as(2, "os.listdir(folder / 'new')")
        assert "Refused" in run_as(2, f"box.take({left!r})")
        assert "PermissionError" in run_as(2, f"os.unlink(folder / 'new' / {left!r})")
        assert run_as(3, f"print(box.take({left!r}).user, box.take({left!r}).data); box.remove([{left!r}]); print(box.names())") == (
            "1 b'secret'\n[]"
        )
