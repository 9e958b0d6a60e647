"""~/.forward: which file counts, which is passed over, and what the helper that reads them can do. The helper as root only."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from twistmail import dotfiles, dotfiles_helper
from twistmail.dotfiles_helper import MOST, Found, look, objection_to_folders

ME = os.geteuid()
OWNERS = (ME, 0)
ELSE = 60_002
as_root = pytest.mark.skipif(ME != 0, reason="only root may become somebody else")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home below /tmp, which is sticky: good enough."""
    folder = Path(tempfile.mkdtemp(prefix="twistmail-home-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def put(home: Path, text: str = "ann@far.test\n", name: str = ".forward", mode: int = 0o644) -> Path:
    path = home / name
    path.write_text(text)
    path.chmod(mode)
    return path


# ----- which file counts


@pytest.mark.parametrize(("files", "extension", "found"), [
    pytest.param([], "", None, id="none"),
    pytest.param([".forward"], "", ".forward", id="one"),
    pytest.param([".forward"], "list", ".forward", id="for-any-extension"),
    pytest.param([".forward", ".forward+list"], "list", ".forward+list", id="of-the-extension"),
    pytest.param([".forward", ".forward+list"], "other", ".forward", id="of-another-extension"),
    pytest.param([".forward", ".forward+list"], "", ".forward", id="without-extension"),
    pytest.param([".forward+list"], "list", ".forward+list", id="of-the-extension-alone"),
    pytest.param([".forward+list"], "", None, id="nothing-without-extension"),
    pytest.param([".forward", ".forward+a+b"], "a+b", ".forward+a+b", id="two-extensions"),
])
def test_which_file_counts(home: Path, files: list[str], extension: str, found: str | None) -> None:
    for name in files:
        put(home, name, name)
    seen = look(str(home), extension, OWNERS)
    assert (seen.text, seen.unsafe, seen.trouble) == (found, [], "")
    assert seen.place == (str(home / found) if found else "")


@pytest.mark.parametrize("extension", ["..", "../x", "a/b", ".hidden", "A", "x" * 65, "a b", "a\0b", "a\nb", "é", "-\udcff", "*", "$(id)"])
def test_no_extension_from_outside_becomes_another_name(home: Path, extension: str) -> None:
    assert dotfiles.names(".forward", extension) == (".forward",)
    put(home)
    assert look(str(home), extension, OWNERS).place == str(home / ".forward")


@pytest.mark.parametrize("folder", ["missing", "a-file", "a-file/below"])
def test_whoever_has_no_home_has_no_forward(home: Path, folder: str) -> None:
    put(home, name="a-file")
    assert look(str(home / folder), "", OWNERS) == Found()


# ----- what is passed over (R33)


@pytest.mark.parametrize(("make", "said"), [
    pytest.param(lambda home: put(home, mode=0o664), "others may write to it (mode 664)", id="group-writable"),
    pytest.param(lambda home: put(home, mode=0o646), "others may write to it (mode 646)", id="world-writable"),
    pytest.param(lambda home: (home / ".forward").symlink_to(put(home, name="other")), "a symbolic link", id="a-link"),
    pytest.param(lambda home: (home / ".forward").symlink_to("/nowhere"), "a symbolic link", id="a-link-to-nothing"),
    pytest.param(lambda home: os.link(put(home, name="other"), home / ".forward"), "a second name", id="a-hard-link"),
    pytest.param(lambda home: os.mkfifo(home / ".forward"), "no plain file", id="a-pipe"),
    pytest.param(lambda home: (home / ".forward").mkdir(), "no plain file", id="a-folder"),
    pytest.param(lambda home: put(home, "x" * (MOST + 1)), "larger than", id="endless"),
    pytest.param(lambda home: (put(home), home.chmod(0o775)), "others may write to the folder", id="a-home-of-the-group"),
    pytest.param(lambda home: (put(home), home.chmod(0o1777)), "others may write to the folder", id="a-home-of-everybody"),
])  # fmt: skip
def test_what_others_could_have_written_is_passed_over(home: Path, make, said: str) -> None:
    make(home)
    seen = look(str(home), "", OWNERS)
    assert (seen.place, seen.text, seen.trouble) == ("", None, "")
    (why,) = seen.unsafe
    assert why.startswith(f"{home}/.forward: ")
    assert said in why


def test_a_folder_above_that_others_may_write_to_counts_too(home: Path) -> None:
    below = home / "homes" / "ann"
    below.mkdir(parents=True)
    put(below)
    assert look(str(below), "", OWNERS).text is not None
    (home / "homes").chmod(0o777)
    assert "others may write to the folder" in look(str(below), "", OWNERS).unsafe[0]
    assert look(str(below), "", OWNERS, above=False).text is not None


def test_an_unsafe_file_of_an_extension_leaves_the_usual_one(home: Path) -> None:
    put(home, "usual")
    put(home, "special", ".forward+list", 0o666)
    seen = look(str(home), "list", OWNERS)
    assert (seen.text, len(seen.unsafe)) == ("usual", 1)


def test_what_is_no_utf_8_is_told_as_it_is(home: Path) -> None:
    (home / ".forward").write_bytes(b"ann\xff@far.test")
    assert look(str(home), "", OWNERS).text == "ann\udcff@far.test"


@as_root
def test_somebody_else_s_file_is_passed_over(home: Path) -> None:
    os.chown(put(home), ELSE, ELSE)
    assert "belongs to user 60002" in look(str(home), "", OWNERS).unsafe[0]
    assert look(str(home), "", (ELSE, 0)).text == "ann@far.test\n"


@as_root
def test_a_home_of_somebody_else_is_none(home: Path) -> None:
    put(home)
    os.chown(home, ELSE, ELSE)
    assert "belongs to user 60002" in objection_to_folders(str(home), OWNERS, above=True)


def test_a_disk_that_fails_is_no_missing_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home)

    def fail(*_: object, **__: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(dotfiles_helper.os, "open", fail)
    assert look(str(home), "", OWNERS) == Found(trouble=f"{home}: Input/output error")


# ----- changing it


def test_a_file_is_saved_whole_and_removed(home: Path) -> None:
    path = home / ".forward"
    dotfiles.save(path, "a@x.test\n", 0o600)
    dotfiles.save(path, "b@x.test\n", 0o644)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("b@x.test\n", 0o644)
    assert os.listdir(home) == [".forward"]
    assert (dotfiles.remove(path), dotfiles.remove(path), os.listdir(home)) == (True, False, [])


def test_a_link_in_its_place_is_replaced_and_not_followed(home: Path) -> None:
    (home / "precious").write_text("precious")
    (home / ".forward").symlink_to(home / "precious")
    dotfiles.save(home / ".forward", "a@x.test\n", 0o644)
    assert ((home / "precious").read_text(), (home / ".forward").is_symlink()) == ("precious", False)


# ----- the helper


@pytest.fixture
def somebody() -> pwd.struct_passwd:
    """A user of this machine that is no other's, and has a folder of his own."""
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        pytest.skip("there is no user nobody")


@pytest.fixture
def helper() -> Iterator[tuple[dotfiles.Reader, subprocess.Popen[bytes]]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = [sys.executable, "-I", "-S", dotfiles_helper.__file__, str(theirs.fileno()), "1000"]
    process = subprocess.Popen(words, pass_fds=(theirs.fileno(),))
    theirs.close()
    reader = dotfiles.Reader(ours)
    yield reader, process
    reader.close()
    assert process.wait(10) == 0


@as_root
def test_the_helper_reads_as_the_user_and_keeps_nothing_else(helper, somebody: pwd.struct_passwd) -> None:
    """What that user's home holds is a matter of the machine; that it is looked for is enough."""
    reader, process = helper
    assert reader.read(somebody.pw_uid).trouble == ""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for _ in range(1000):  # the others may still be beginning
        if len(pids := children.read_text().split()) == dotfiles_helper.PROCESSES - 1:
            break
        reader.read(somebody.pw_uid)
    assert len(pids) == dotfiles_helper.PROCESSES - 1
    for pid in (process.pid, *pids):
        said = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        assert (said["CapEff"], said["CapPrm"], said["NoNewPrivs"]) == ("00000000000000c0", "00000000000000c0", "1")


@as_root
@pytest.mark.parametrize("user", [0, 1, 999, 2**32 - 1, 59_999])
def test_nothing_is_read_of_root_the_machine_s_own_users_and_nobodies(helper, user: int) -> None:
    assert helper[0].read(user) == Found()


@as_root
def test_a_closed_home_is_read_by_its_user_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, which is root as the helper is: the file is opened as the user, and root is back afterwards."""
    os.chown(put(home, mode=0o600), ELSE, ELSE)
    os.chown(home, ELSE, ELSE)
    home.chmod(0o700)
    user = pwd.struct_passwd(("ann", "x", ELSE, ELSE, "", str(home), "/bin/sh"))
    opened: list[int] = []
    look_at_home = dotfiles_helper.look_at_home
    monkeypatch.setattr(dotfiles_helper, "look_at_home", lambda *asked: (opened.append(os.geteuid()), look_at_home(*asked))[1])
    monkeypatch.setattr(dotfiles_helper.os, "getgrouplist", lambda name, group: [group])
    groups = os.getgroups()
    try:
        assert dotfiles_helper.as_somebody(user, "").text == "ann@far.test\n"
        assert (opened, os.geteuid(), os.getegid()) == ([ELSE], 0, 0)
    finally:
        os.setgroups(groups)


def test_a_helper_that_has_gone_or_does_not_answer_is_an_error() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader = dotfiles.Reader(ours, patience=0.01)
    with pytest.raises(OSError, match="timed out"):
        reader.read(1000)
    theirs.close()
    with pytest.raises(OSError, match=r"ended|Broken pipe|reset"):
        reader.read(1000)
    reader.close()


@pytest.mark.parametrize("message", [b"", b"123", b"\xff\xff\xff\xffx"])
def test_what_is_no_request_brings_nothing(message: bytes) -> None:
    assert dotfiles_helper.answer(message, 1000).text is None
