"""The helper that runs programs for mail: what a program gets, what it may do, and how it ends."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from twistmail import piping, piping_helper
from twistmail.piping import Command, Piper, Wanted, objection

MESSAGE = [b"Subject: x\r", b"\n\r\nhello\r\n"]
NOBODY = pwd.getpwnam("games")  # who has no processes of his own
AS = "games" if os.geteuid() == 0 else ""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may run programs as others")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Piper]]:
    """A function: a helper with one program, a line for /bin/sh."""
    begun = []

    def run(line: str, *more: str, **how: Any) -> Piper:
        piper = piping.start({"p": Command(("/bin/sh", "-c", line, "p", *more), AS, **how)}, tmp_path)
        begun.append(piper)
        return piper

    yield run
    for piper in begun:
        piper.close()


def test_a_program_gets_the_message_with_plain_line_ends(start: Any) -> None:
    assert start("cat; exit 0").run("p", {}, MESSAGE) == piping.Run(0, "Subject: x\n\nhello\n")


def test_gaps_are_filled_and_a_value_is_one_word_and_nothing_of_a_shell(start: Any) -> None:
    piper = start('printf "%s|" "$@"', "--to={recipient}", "{sender}", "{unknown}", "$(id)")
    values = {"recipient": "info@far.test", "sender": ""}
    assert piper.run("p", values, MESSAGE).output == "--to=info@far.test||{unknown}|$(id)|"


@pytest.mark.parametrize("value", ["a b", "$(id)", "a;b", "-rf", "a\nb", "ä", "`x`", "a/b", "*"])
def test_a_value_that_could_mean_something_is_refused_by_the_helper_too(start: Any, value: str) -> None:
    run = start("exit 0", "{user}").run("p", {"user": value}, MESSAGE)
    assert not run.has_begun


def test_a_program_that_is_not_in_the_table_is_not_run(start: Any) -> None:
    piper = start("exit 0")
    piper._patience["other"] = 1.0  # whoever has taken the server over
    assert not piper.run("other", {}, MESSAGE).has_begun


@pytest.mark.parametrize(("line", "status", "output"), [
    pytest.param("echo no such ticket; exit 67", 67, "no such ticket\n", id="exit-code"),
    pytest.param("kill -9 $$", -9, "", id="signal"),
    pytest.param("echo out; echo err >&2", 0, "out\nerr\n", id="both-outputs"),
    pytest.param("yes | head -c 200000", 0, "y\n" * 2048, id="more-than-is-heard"),
])
def test_how_it_ended_and_what_it_said(start: Any, line: str, status: int, output: str) -> None:
    run = start(line).run("p", {}, MESSAGE)
    assert (run.status, run.output, run.late) == (status, output, False)


def alive(group: int) -> list[int]:
    """The processes of *group* that are not dead."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of = place.read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state not in "ZX":
                found.append(int(place.parent.name))
    return found


def test_what_takes_too_long_is_ended_with_all_that_it_has_begun(start: Any, tmp_path: Path) -> None:
    piper = start("echo $$; sleep 60 & sleep 60", seconds=0.5)
    began = time.monotonic()
    run = piper.run("p", {}, MESSAGE)
    assert run.late
    assert run.status < 0
    group = int(run.output)
    assert time.monotonic() - began < 30
    while alive(group):  # a signal that has been sent takes until the system gets round to it
        assert time.monotonic() - began < 50


def test_a_program_that_leaves_something_behind_is_not_waited_for(start: Any) -> None:
    assert start("sleep 60 & exit 3").run("p", {}, MESSAGE).status == 3


def test_a_program_has_little_of_everything(start: Any) -> None:
    line = "ulimit -c; ulimit -t; ulimit -n; pwd; umask; env | sort | cut -d= -f1; ls /proc/self/fd | wc -l"
    output = start(line).run("p", {}, MESSAGE).output
    lines = output.split()
    assert lines[:5] == ["0", "10", "64", "/", "0077"]
    assert set(lines[5:-1]) <= {*piping_helper.ENVIRONMENT, "PWD", "OLDPWD", "_", "SHLVL"}
    assert int(lines[-1]) <= 4


def test_a_file_of_a_program_cannot_grow_without_end(start: Any, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/") and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)
    run = start(f"head -c 5000000 /dev/zero > {tmp_path}/big; ls -l {tmp_path}/big").run("p", {}, MESSAGE)
    assert " 1048576 " in run.output


@as_root
def test_it_runs_as_its_own_user_with_no_way_back(start: Any) -> None:
    words = start("id -u; id -g; grep -E 'CapEff|NoNewPrivs' /proc/self/status").run("p", {}, MESSAGE).output.split()
    assert words == [str(NOBODY.pw_uid), str(NOBODY.pw_gid), "CapEff:", "0000000000000000", "NoNewPrivs:", "1"]


def test_several_run_at_a_time(start: Any) -> None:
    piper = start("cat; sleep 0.2", runs=8)
    with ThreadPoolExecutor(8) as threads:
        runs = list(threads.map(lambda number: piper.run("p", {}, [b"%d" % number]), range(8)))
    assert [run.output for run in runs] == [str(number) for number in range(8)]


def test_a_program_that_is_not_there_has_not_begun(tmp_path: Path) -> None:
    piper = piping.start({"p": Command(("/no/such/program",), AS)}, tmp_path)
    run = piper.run("p", {}, MESSAGE)
    piper.close()
    assert not run.has_begun
    assert "/no/such/program" in run.output


def test_where_the_helper_has_gone_nothing_is_run(start: Any) -> None:
    piper = start("exit 0")
    piper.close()
    with pytest.raises(OSError, match=r"."):
        piper.run("p", {}, MESSAGE)


@pytest.mark.parametrize(("command", "server", "why"), [
    pytest.param(Command(("/x",), "root"), None, "as root", id="root"),
    pytest.param(Command(("/x",), "no-such-user"), None, "no user no-such-user", id="nobody-of-that-name"),
    pytest.param(Command(("/x",)), 0, "as root", id="a-server-that-is-root"),
    pytest.param(Command(("/x",)), 1234, "", id="as-the-server"),
    pytest.param(Command(("/x",), "games"), NOBODY.pw_uid, "", id="the-servers-own-name"),
])
def test_who_may_run_what(command: Command, server: int | None, why: str) -> None:
    said = objection(command, server)
    assert (why in said) if why else said == ""


# ----- a folder of programs, files, and users who are left to who asks

SOMEBODY = pwd.getpwnam("games")


@pytest.fixture
def helper(tmp_path: Path) -> Iterator[Callable[..., Piper]]:
    """A function: a helper with one row, of a server that is called nobody, and a folder of programs that all may enter."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder not in (Path("/"), Path("/tmp")):
            folder.chmod(folder.stat().st_mode | 0o011)
    (tmp_path / "bin").mkdir(mode=0o755)
    (tmp_path / "bin" / "show").write_text('#!/bin/sh\necho "$0 $*"; id -u; cat; env | sort\n')
    (tmp_path / "bin" / "show").chmod(0o755)
    begun = []

    def run(**how: Any) -> Piper:
        begun.append(piping.start({"p": Command(**how)}, tmp_path, pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None))
        return begun[-1]

    yield run
    for piper in begun:
        piper.close()


def test_a_program_of_the_folder_gets_its_words_the_message_and_who_it_was_for(helper: Any, tmp_path: Path) -> None:
    values = {"sender": "eve@red.test", "recipient": "ann+x@blue.test", "extension": "x", "user": "ann+x", "size": "20", "odd": "no"}
    run = helper(folder=f"{tmp_path}/bin", user=AS).do(Wanted("p", values, words=("show", "two words", "$(id)")), MESSAGE)
    assert run.status == 0
    assert run.output.startswith(f"{tmp_path}/bin/show two words $(id)\n")
    environment = dict(line.split("=", 1) for line in run.output.split("\n") if "=" in line)
    told = {"SENDER": "eve@red.test", "RECIPIENT": "ann+x@blue.test", "EXTENSION": "x", "LOCAL": "ann+x", "SIZE": "20"}
    assert {name: environment.get(name) for name in told} == told
    assert set(environment) <= {*piping_helper.ENVIRONMENT, *told, "PWD", "OLDPWD", "_", "SHLVL"}


@pytest.mark.parametrize("words", [("../show",), ("sub/show",), ("",), ("..",), (), ("show", "a\0b"), ("show",) * 65, ("missing",)])
def test_what_lies_elsewhere_or_is_no_command_is_not_begun(helper: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert not helper(folder=f"{tmp_path}/bin", user=AS).do(Wanted("p", {}, words=words), MESSAGE).has_begun


@as_root
def test_a_program_is_run_as_the_user_who_is_asked_for_with_his_groups(helper: Any, tmp_path: Path) -> None:
    piper = helper(words=("/bin/sh", "-c", 'id -u; id -G; echo "$USER $LOGNAME $HOME {login}"'), least=1, keeps_mail=True)
    said = piper.do(Wanted("p", {"login": "games"}, SOMEBODY.pw_uid), MESSAGE).output.split("\n")
    assert said[0] == str(SOMEBODY.pw_uid)
    assert set(map(int, said[1].split())) == {*os.getgrouplist("games", SOMEBODY.pw_gid)}
    assert said[2] == f"games games {SOMEBODY.pw_dir} games"


@as_root
def test_a_further_group_is_lent_to_it_and_can_be_given_up(helper: Any) -> None:
    """As by a set-group-id bit: it is the effective group only (and what can be taken up again), and none of the further ones."""
    piper = helper(words=("/bin/grep", "-E", "^(Gid|Groups):", "/proc/self/status"), least=1, groups=("mail",), keeps_mail=True)
    his, mail = SOMEBODY.pw_gid, grp.getgrnam("mail").gr_gid
    said = piper.do(Wanted("p", {"login": "games"}, SOMEBODY.pw_uid), MESSAGE).output.splitlines()
    assert said[0].split() == ["Gid:", *map(str, (his, mail, mail, mail))]
    assert str(mail) not in said[1].split()


@as_root
@pytest.mark.client("procmail")
def test_what_the_user_has_procmail_run_does_not_get_that_group(helper: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.touch()
    os.chown(out, SOMEBODY.pw_uid, SOMEBODY.pw_gid)
    (tmp_path / "rc").write_text(f"SHELL=/bin/sh\n:0iw\n| /usr/bin/id > {out}\n")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o755)
    piper = helper(words=("/usr/bin/procmail", f"{tmp_path}/rc"), least=1, groups=("mail",), keeps_mail=True)
    assert piper.do(Wanted("p", {"login": "games"}, SOMEBODY.pw_uid), MESSAGE).status == 0
    assert "(games)" in out.read_text()
    assert "mail" not in out.read_text()


@as_root
@pytest.mark.parametrize("user", [0, 4, -1, 2**32 - 1, 2**33, None, 3_000_000_000])
def test_nothing_is_run_as_root_or_below_the_first_ordinary_user_or_as_nobody_in_particular(helper: Any, user: int | None) -> None:
    piper = helper(words=("/bin/sh", "-c", "id -u"), least=5)
    assert not piper.do(Wanted("p", {}, user), MESSAGE).has_begun


def test_who_keeps_mail_may_write_to_files_that_are_larger_than_the_message(helper: Any, tmp_path: Path) -> None:
    (tmp_path / "bin").chmod(0o777)
    line = f"head -c 5000000 /dev/zero > {tmp_path}/bin/big; ls -l {tmp_path}/bin/big"
    assert " 5000000 " in helper(words=("/bin/sh", "-c", line), user=AS, keeps_mail=True).run("p", {}, MESSAGE).output


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of the user as whom files are written."""
    folder = tmp_path / "files"
    folder.mkdir()
    if AS:
        os.chown(folder, SOMEBODY.pw_uid, SOMEBODY.pw_gid)
    return folder


def test_mail_is_put_into_a_file_as_its_user(helper: Any, files: Path) -> None:
    piper = helper(files=(str(files),), user=AS, keeps_mail=True)
    for name in ("box", "all/", "mh/."):
        assert piper.do(Wanted("p", path=f"{files}/{name}"), MESSAGE) == piping.Run(0)
    assert (files / "box").read_bytes().endswith(b"\nSubject: x\n\nhello\n\n")
    assert {path.stat().st_uid for path in files.rglob("*")} == {SOMEBODY.pw_uid if AS else os.geteuid()}
    assert (files / "mh" / "1").read_bytes() == b"Subject: x\n\nhello\n"


@pytest.mark.parametrize(("path", "number"), [
    ("/etc/passwd", errno.EPERM), ("{files}/../x", errno.EPERM), ("{files}/missing/box", errno.ENOENT), ("", errno.EPERM),
    ("{files}/link", errno.EPERM),
])  # fmt: skip
def test_what_keeps_it_from_being_put_there_is_told_by_number_and_sentence(helper: Any, files: Path, path: str, number: int) -> None:
    (files / "link").symlink_to("/etc/motd")
    run = helper(files=(str(files),), user=AS, keeps_mail=True).do(Wanted("p", path=path.format(files=files)), MESSAGE)
    assert run.status == piping_helper.NOT_FILED
    assert run.output.split(" ")[0] == str(number)
    assert len(run.output) > 10


@as_root
def test_somebody_s_own_files_lie_in_his_home_or_where_all_files_may(helper: Any, files: Path, tmp_path: Path) -> None:
    """`games` has /usr/games as his home, where he may not write."""
    piper = helper(files=(str(files),), least=5, keeps_mail=True)
    assert piper.do(Wanted("p", path=f"{files}/box", user=SOMEBODY.pw_uid), MESSAGE).status == 0
    assert piper.do(Wanted("p", path="/usr/games/box", user=SOMEBODY.pw_uid), MESSAGE).output.startswith(f"{errno.EACCES} ")
    assert piper.do(Wanted("p", path="/tmp/box", user=SOMEBODY.pw_uid), MESSAGE).output.startswith(f"{errno.EPERM} ")


@pytest.mark.parametrize(("how", "words"), [
    pytest.param({"folder": "/missing"}, "No such file", id="no-folder"),
    pytest.param({"folder": "/etc/passwd"}, "is no folder", id="a-file"),
    pytest.param({"folder": "/tmp"}, "others than its owner", id="a-folder-open-to-all"),
    pytest.param({"words": ("/bin/cat",), "groups": ("no-such-group",)}, "no group no-such-group", id="no-such-group"),
    pytest.param({"words": ("/bin/cat",), "groups": ("root",)}, "no group root", id="root-s-group"),
    pytest.param({"words": ("/bin/cat",), "user": "root"}, "as root", id="root"),
    pytest.param({"folder": "/usr/bin", "user": "games", "apart": True}, "the server itself", id="never-as-the-server"),
])  # fmt: skip
def test_why_something_is_never_run(how: dict[str, Any], words: str) -> None:
    assert words in objection(Command(**({"user": "games"} | how)), SOMEBODY.pw_uid)


def test_who_is_not_root_cannot_run_anything_as_those_whose_mail_it_is(monkeypatch: Any) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "start as root" in objection(Command(words=("/bin/cat",), least=1000), 1000)
