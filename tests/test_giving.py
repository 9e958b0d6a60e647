"""The helper that gives files to users of this machine: what it gives, and what it never would. As root only."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from twistmail import giving, giving_helper
from twistmail.giving import Giver, Owner

SERVER, SOMEBODY, LEAST = 60_001, 60_002, 1000
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def status(*, mode: int = stat.S_IFREG | 0o600, user: int = SERVER, links: int = 1) -> os.stat_result:
    return os.stat_result((mode, 1, 1, links, user, user, 0, 0, 0, 0))


@pytest.mark.parametrize(("of", "user", "given"), [
    pytest.param(status(), SOMEBODY, True, id="a-file-of-the-server"),
    pytest.param(status(mode=stat.S_IFDIR | 0o700, links=5), SOMEBODY, True, id="a-folder"),
    pytest.param(status(user=SOMEBODY), SOMEBODY, False, id="somebody-else's"),
    pytest.param(status(user=0), SOMEBODY, False, id="root's"),
    pytest.param(status(links=2), SOMEBODY, False, id="with-a-second-name"),
    pytest.param(status(mode=stat.S_IFREG | 0o4700), SOMEBODY, False, id="set-uid"),
    pytest.param(status(mode=stat.S_IFCHR | 0o600), SOMEBODY, False, id="a-device"),
    pytest.param(status(mode=stat.S_IFIFO | 0o600), SOMEBODY, False, id="a-pipe"),
    pytest.param(status(mode=stat.S_IFSOCK | 0o600), SOMEBODY, False, id="a-socket"),
    pytest.param(status(), 0, False, id="to-root"),
    pytest.param(status(), LEAST - 1, False, id="to-a-user-of-the-machine-itself"),
    pytest.param(status(), 2**32 - 1, False, id="to-nobody-at-all"),
])  # fmt: skip
def test_what_is_given_to_whom(of: os.stat_result, user: int, given: bool) -> None:
    assert (giving_helper.objection(of, SERVER, LEAST, user) == 0) is given


def test_a_server_that_is_root_gives_nothing() -> None:
    assert giving_helper.objection(status(user=0), 0, LEAST, SOMEBODY) != 0


@pytest.fixture
def helper():
    """A running helper for SERVER."""
    giver = giving.start(SERVER, LEAST)
    yield giver
    giver.close()


def made(path: Path, user: int = SERVER) -> int:
    """The descriptor of a new file of *user*."""
    path.write_bytes(b"mail")
    os.chown(path, user, 0)
    return os.open(path, os.O_RDONLY)


@as_root
def test_a_file_changes_hands_and_its_group_stays(helper: Giver, tmp_path: Path) -> None:
    descriptor = made(tmp_path / "mail")
    helper.give(descriptor, SOMEBODY)
    os.close(descriptor)
    after = (tmp_path / "mail").stat()
    assert (after.st_uid, after.st_gid) == (SOMEBODY, 0)


@as_root
@pytest.mark.parametrize("user", [0, LEAST - 1])
def test_a_refusal_is_an_error_and_changes_nothing(helper: Giver, tmp_path: Path, user: int) -> None:
    descriptor = made(tmp_path / "mail")
    with pytest.raises(PermissionError, match=f"not given to user {user}"):
        helper.give(descriptor, user)
    os.close(descriptor)
    assert (tmp_path / "mail").stat().st_uid == SERVER


@as_root
def test_an_owner_takes_files_and_folders_with_the_modes_that_both_need(helper: Giver, tmp_path: Path) -> None:
    folder = tmp_path / "cur"
    folder.mkdir()
    os.chown(folder, SERVER, 0)
    owner = Owner(SOMEBODY, helper.give)
    owner.takes_folder(folder)
    descriptor = made(folder / "mail")
    owner.takes_file(descriptor)
    os.close(descriptor)
    for path, mode in ((folder, 0o2770), (folder / "mail", 0o660)):
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (SOMEBODY, mode)


@as_root
def test_nobody_is_led_astray_by_a_link_in_the_place_of_a_folder(helper: Giver, tmp_path: Path) -> None:
    (tmp_path / "cur").symlink_to("/etc")
    with pytest.raises(OSError, match=r"directory|symbolic"):
        Owner(SOMEBODY, helper.give).takes_folder(tmp_path / "cur")


@as_root
def test_many_threads_may_ask(helper: Giver, tmp_path: Path) -> None:
    def give(number: int) -> None:
        descriptor = made(tmp_path / f"mail-{number}")
        helper.give(descriptor, SOMEBODY + number)
        os.close(descriptor)

    threads = [threading.Thread(target=give, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(tmp_path / f"mail-{number}").stat().st_uid for number in range(20)] == [SOMEBODY + number for number in range(20)]


@as_root
def test_what_is_no_request_is_refused(helper: Giver) -> None:
    for message in (b"", b"123", b"12345678", b"1234"):
        if message:
            helper._connection.sendall(message)  # without a descriptor
            assert giving_helper.NUMBER.unpack(helper._connection.recv(4))[0] != 0


def test_a_helper_that_has_gone_is_an_error() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    with pytest.raises(OSError, match=r"ended|Broken pipe|reset"), open("/dev/null", "rb") as file:
        Giver(ours).give(file.fileno(), SOMEBODY)


def test_a_late_answer_is_not_taken_for_that_to_the_next_request() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(0.01)
    giver = Giver(ours)
    with theirs, open("/dev/null", "rb") as file:
        with pytest.raises(TimeoutError):
            giver.give(file.fileno(), SOMEBODY)
        for answer in (0, errno.EPERM):  # to that, and to what comes now
            theirs.sendall(giving_helper.NUMBER.pack(answer))
        with pytest.raises(PermissionError, match="not given"):
            giver.give(file.fileno(), SOMEBODY)
    giver.close()


@as_root
def test_the_helper_can_do_nothing_else_and_ends_with_the_server() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = [sys.executable, "-I", "-S", giving_helper.__file__, str(theirs.fileno()), str(SERVER), str(LEAST)]
    process = subprocess.Popen(words, pass_fds=(theirs.fileno(),))
    theirs.close()
    with open("/dev/null", "rb") as file, pytest.raises(OSError, match="not given"):
        Giver(ours).give(file.fileno(), SOMEBODY)  # it has answered, so it is at work
    said = dict(line.split(":\t") for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":\t" in line)
    assert (said["CapEff"], said["CapPrm"], said["NoNewPrivs"]) == ("0000000000000001", "0000000000000001", "1")
    ours.close()
    assert process.wait(10) == 0
