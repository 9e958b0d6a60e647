"""The helper that runs programs for mail: what a program gets, what it may do, and how it ends."""

from __future__ import annotations

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
from twistmail.piping import Command, Piper, objection

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
    assert alive(group) == []


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
