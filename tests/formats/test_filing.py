"""Mail into files that aliases name: which are fit for it, what stands there afterwards, and that ten writers lose nothing (R27, R60)."""

from __future__ import annotations

import errno
import mailbox
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from twistmail.formats.filing import Opened, Shape, Unfit, deliver, way_to
from twistmail.formats.locks import MailboxBusy
from twistmail.mail.content import Memory

LETTER = Memory(b"Return-Path: <eve@red.test>\r\nSubject: x\r\n\r\nFrom here on\r\n>From there\r\nend\r\n")
#: As it comes to the helper that writes as somebody else.
WITH_LF = Memory(LETTER.data.replace(b"\r\n", b"\n"))
NOON = 1_700_000_000.0


@pytest.fixture
def dirs(tmp_path: Path) -> Path:
    """A folder that is allowed, with a folder in it."""
    (tmp_path / "files" / "sub").mkdir(parents=True)
    return tmp_path / "files"


def put(folder: Path, name: str, content: object = LETTER, **how: float) -> None:
    deliver(way_to(f"{folder}/{name}", [str(folder)]), content, now=NOON, **how)  # type: ignore[arg-type]


# ----- ways


@pytest.mark.parametrize(("path", "names", "shape"), [
    ("/var/archive/box", ("box",), Shape.MBOX),
    ("/var/archive/2024/box", ("2024", "box"), Shape.MBOX),
    ("/var/archive/all/", ("all",), Shape.MAILDIR),
    ("/var/archive/mh/.", ("mh",), Shape.MH),
    ("/var/archive/box with a space", ("box with a space",), Shape.MBOX),
])  # fmt: skip
def test_how_a_path_is_taken_apart(path, names, shape):
    way = way_to(path, ["/srv", "/var/archive/"])
    assert (way.root, way.names, way.shape) == ("/var/archive", names, shape)


def test_the_nearest_of_the_allowed_folders_is_where_the_way_begins():
    assert way_to("/a/b/c", ["/a", "/a/b"]).root == "/a/b"


@pytest.mark.parametrize("path", [
    pytest.param("/etc/passwd", id="elsewhere"),
    pytest.param("/var/archived/box", id="a-name-that-only-begins-so"),
    pytest.param("/var/archive", id="the-folder-itself"),
    pytest.param("/var/archive/", id="the-folder-itself-as-maildir"),
    pytest.param("/var/archive/../../etc/passwd", id="up"),
    pytest.param("/var/archive/./box", id="here"),
    pytest.param("/var/archive//box", id="an-empty-name"),
    pytest.param("box", id="no-whole-path"),
    pytest.param("", id="nothing"),
    pytest.param("/var/archive/a\0b", id="NUL"),
    pytest.param("/var/archive/a\nb", id="a-line-end"),
    pytest.param("/var/archive/" + "x" * 5000, id="too-long"),
    pytest.param("/var/archive/..", id="up-at-the-end"),
])  # fmt: skip
def test_what_is_no_way(path):
    with pytest.raises(Unfit):
        way_to(path, ["/var/archive"])


def test_where_no_folder_is_allowed_there_is_no_way():
    with pytest.raises(Unfit, match="no folder is named"):
        way_to("/var/archive/box", [])


# ----- what stands there


@pytest.mark.parametrize("letter", [LETTER, WITH_LF], ids=["crlf", "lf"])
def test_an_mbox_has_a_from_line_the_message_quoted_and_an_empty_line(dirs, letter):
    put(dirs, "box", letter)
    assert (dirs / "box").read_bytes() == (
        b"From eve@red.test Tue Nov 14 22:13:20 2023\nReturn-Path: <eve@red.test>\nSubject: x\n\n>From here on\n>>From there\nend\n\n"
    )
    assert (dirs / "box").stat().st_mode & 0o777 == 0o600
    assert not (dirs / "box.lock").exists()


def test_an_mbox_that_is_there_grows_at_its_end(dirs):
    (dirs / "sub" / "box").write_bytes(b"From ann Tue Nov 14 22:13:20 2023\nSubject: old\n\nno empty line after it\n")
    put(dirs, "sub/box")
    assert [message["subject"] for message in mailbox.mbox(str(dirs / "sub" / "box"))] == ["old", "x"]


def test_a_slash_at_the_end_makes_a_maildir(dirs):
    put(dirs, "all/")
    put(dirs, "all/")
    assert sorted(path.name for path in (dirs / "all").iterdir()) == ["cur", "new", "tmp"]
    names = [path.name for path in (dirs / "all" / "new").iterdir()]
    assert len(names) == 2
    assert all(name.endswith(f",S={os.path.getsize(dirs / 'all' / 'new' / name)}") for name in names)
    assert list((dirs / "all" / "tmp").iterdir()) == []
    assert {message["subject"] for message in mailbox.Maildir(str(dirs / "all"))} == {"x"}


def test_a_slash_and_a_dot_make_an_mh_folder(dirs):
    put(dirs, "mh/.")
    put(dirs, "mh/.")
    assert sorted(path.name for path in (dirs / "mh").iterdir()) == [".mh_sequences", "1", "2"]
    assert mailbox.MH(str(dirs / "mh")).get_sequences() == {"unseen": [1, 2]}


def test_an_open_file_is_read_from_its_beginning_however_often(tmp_path, dirs):
    (tmp_path / "letter").write_bytes(b"Subject: x\n\nhello\n")
    with (tmp_path / "letter").open("rb") as file:
        file.read()
        opened = Opened(file.fileno())
        put(dirs, "all/", opened)
        put(dirs, "box", opened)
        assert (opened.size, opened.beginning(7)) == (18, b"Subject")
    (copy,) = (dirs / "all" / "new").iterdir()
    assert copy.read_bytes() == b"Subject: x\n\nhello\n"
    assert b"Subject: x\n\nhello\n\n" in (dirs / "box").read_bytes()


# ----- what is not fit


def hard_link(folder):
    (folder / "other").write_bytes(b"")
    os.link(folder / "other", folder / "box")


UNFIT = {
    "a-symbolic-link": lambda folder: (folder / "box").symlink_to("/etc/passwd"),
    "a-symbolic-link-to-nothing": lambda folder: (folder / "box").symlink_to(folder / "made"),
    "a-hard-link": hard_link,
    "a-fifo": lambda folder: os.mkfifo(folder / "box"),
    "a-folder": lambda folder: (folder / "box").mkdir(),
    "a-program": lambda folder: (folder / "box").touch(0o755),
    "a-file-open-to-all": lambda folder: ((folder / "box").touch(), (folder / "box").chmod(0o666)),
    "a-folder-open-to-all": lambda folder: folder.chmod(0o777),
}


@pytest.mark.parametrize("make", UNFIT.values(), ids=UNFIT)
def test_what_nothing_is_written_to(dirs, make):
    make(dirs)
    before = sorted(path.name for path in dirs.iterdir())
    with pytest.raises(Unfit):
        put(dirs, "box")
    assert sorted(path.name for path in dirs.iterdir()) == before


@pytest.mark.parametrize("name", ["link/box", "link/", "link/.", "link/deeper/"])
def test_no_folder_on_the_way_is_a_symbolic_link(tmp_path, dirs, name):
    (tmp_path / "elsewhere" / "deeper").mkdir(parents=True)
    (dirs / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unfit, match="symbolic link"):
        put(dirs, name)
    assert [path.name for path in (tmp_path / "elsewhere").rglob("*")] == ["deeper"]


@pytest.mark.parametrize("name", ["all/", "mh/."])
def test_what_is_inside_a_mailbox_is_no_symbolic_link_either(tmp_path, dirs, name):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "kept").write_bytes(b"kept")
    inside = dirs / name.rstrip("/.")
    inside.mkdir()
    (inside / "tmp").symlink_to(victim)
    (inside / ".mh_sequences").symlink_to(victim / "kept")
    with pytest.raises(OSError, match="symbolic link"):
        put(dirs, name)
    assert not (inside / "1").exists()
    assert [path.name for path in victim.iterdir()] == ["kept"]
    assert (victim / "kept").read_bytes() == b"kept"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files of others")
@pytest.mark.parametrize("name", ["box", "all/"])
def test_what_belongs_to_somebody_else_is_left_alone(dirs, name):
    place = dirs / name.rstrip("/")
    place.mkdir() if name.endswith("/") else place.touch()
    os.chown(place, 54_321, 54_321)
    with pytest.raises(Unfit, match="belongs to the user 54321"):
        put(dirs, name)


@pytest.mark.parametrize("name", ["missing/box", "missing/all/"])
def test_folders_on_the_way_are_not_made(dirs, name):
    with pytest.raises(FileNotFoundError):
        put(dirs, name)
    assert not (dirs / "missing").exists()


def test_the_allowed_folder_itself_may_be_reached_by_a_link(tmp_path, dirs):
    (tmp_path / "spool").symlink_to(dirs)
    put(tmp_path / "spool", "box")
    assert (dirs / "box").exists()


def test_an_mh_folder_whose_sequences_cannot_be_written_has_the_message_once(dirs):
    (dirs / "mh").mkdir()
    (dirs / "mh" / ".mh_sequences.lock").write_bytes(b"")
    put(dirs, "mh/.", timeout=0.0)
    assert (dirs / "mh" / "1").exists()


# ----- beside others


def test_who_has_it_locked_is_waited_for_and_then_the_mail_waits(dirs):
    (dirs / "box.lock").write_bytes(b"")
    with pytest.raises(MailboxBusy) as busy:
        put(dirs, "box", timeout=0.0)
    assert (busy.value.errno, busy.value.filename) == (errno.ETIMEDOUT, f"{dirs}/box")
    assert (dirs / "box").read_bytes() == b""


class Torn(Memory):
    """A message that cannot be read to its end."""

    def chunks(self):
        yield self.data
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("name", ["box", "all/", "mh/."])
def test_a_message_that_could_not_be_written_whole_is_not_there(dirs, name):
    put(dirs, name)
    before = {path: path.read_bytes() for path in dirs.rglob("*") if path.is_file()}
    with pytest.raises(OSError, match="Input/output"):
        put(dirs, name, Torn(b"Subject: torn\r\n\r\nhal"))
    assert {path: path.read_bytes() for path in dirs.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("name", "reader"), [("box", mailbox.mbox), ("all/", mailbox.Maildir), ("mh/.", mailbox.MH)])
def test_ten_at_once_leave_ten_whole_messages(dirs, name, reader):
    bodies = [b"%d " % number * 5000 for number in range(10)]
    letters = [Memory(b"Subject: %d\r\n\r\n%s\r\n" % (number, body)) for number, body in enumerate(bodies)]
    threads = [threading.Thread(target=put, args=(dirs, name, letter)) for letter in letters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {int(message["subject"]): message.get_payload().rstrip("\n").encode() for message in reader(str(dirs / name.rstrip("/.")))}
    assert found == dict(enumerate(bodies))


PROCMAIL = shutil.which("procmail")


@pytest.mark.skipif(PROCMAIL is None and not os.environ.get("REQUIRE_CLIENTS"), reason="procmail is not installed")
def test_procmail_and_we_fill_one_mbox_together(dirs):
    """Debian's procmail with its own locks, in its own processes."""
    assert PROCMAIL, "procmail is required"
    (dirs / "rc").write_text(f"LOCKTIMEOUT=20\nLOCKSLEEP=1\n:0:{dirs}/box.lock\n{dirs}/box\n")
    (dirs / "rc").chmod(0o600)
    theirs = [subprocess.Popen([PROCMAIL, "-m", str(dirs / "rc")], stdin=subprocess.PIPE) for _ in range(5)]
    for number, process in enumerate(theirs):
        assert process.stdin is not None
        process.stdin.write(b"From eve Tue Nov 14 22:13:20 2023\nSubject: theirs %d\n\n%s\n" % (number, b"y" * 20_000))
        process.stdin.close()
    for number in range(5):
        put(dirs, "box", Memory(b"Subject: ours %d\r\n\r\n%s\r\n" % (number, b"x" * 20_000)))
    assert [process.wait(60) for process in theirs] == [0] * 5
    subjects = sorted(message["subject"] for message in mailbox.mbox(str(dirs / "box")))
    assert subjects == sorted(f"{whose} {number}" for whose in ("ours", "theirs") for number in range(5))


def test_what_the_helper_imports_needs_nothing_that_is_installed():
    """It is loaded by a process that sees the standard library alone (`piping_helper`)."""
    root = Path(__file__).parents[2]
    line = f"import sys; sys.path.insert(0, {str(root)!r}); import twistmail.formats.filing"
    assert subprocess.run([sys.executable, "-I", "-S", "-c", line], timeout=60, check=False).returncode == 0
