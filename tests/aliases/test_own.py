"""People's own forwards: what counts, what waits, and what the log says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import result_of
from twistmail.aliases import own
from twistmail.aliases.forward import Permissions
from twistmail.aliases.own import Folders, OwnForwards
from twistmail.dotfiles_helper import Found
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.alias import Final, ToFile
from twistmail.tasks import Inline

BOB, ANN = Account("bob@dom2.test"), Account("ann@blue.test", uid=1000)
SET = Account("bob@dom2.test", forward=("set@far.test",))
FAR = parse("bob@far.test")


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, text: str, **values: Any) -> None:
        self.lines.append(text.format(**values))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()
    monkeypatch.setattr(own, "log", made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mail" / "dom2.test" / "bob"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def forwards(tmp_path: Path) -> OwnForwards:
    return OwnForwards(Inline(), folders=Folders(tmp_path, "mail/%d/%n"))


def goals(forwards: OwnForwards, account: Account = BOB, extension: str = "") -> Any:
    step = result_of(forwards.lookup(account, extension))
    return None if step is None else step.goals


# ----- of those who have no home on this machine (R34)


def test_the_file_in_his_folder_counts_and_says_where_it_is(forwards: OwnForwards, folder: Path) -> None:
    (folder / "forward").write_text("\\bob\nbob@far.test\n")
    step = result_of(forwards.lookup(BOB, ""))
    assert (step.goals, step.origin) == ((Final(Address("bob")), FAR), str(folder / "forward"))


def test_without_a_file_what_is_set_for_the_account_counts(forwards: OwnForwards) -> None:
    assert goals(forwards) is None
    assert goals(forwards, SET) == (Final(parse("bob@dom2.test")), parse("set@far.test"))


def test_his_own_file_comes_before_what_is_set_and_an_empty_one_means_nothing(forwards: OwnForwards, folder: Path) -> None:
    (folder / "forward").write_text("bob@far.test\n")
    assert goals(forwards, SET) == (FAR,)
    (folder / "forward").write_text("# on holiday no more\n")
    assert goals(forwards, SET) is None


def test_an_extension_has_its_own_file(forwards: OwnForwards, folder: Path) -> None:
    (folder / "forward").write_text("bob@far.test\n")
    (folder / "forward+list").write_text("list@far.test\n")
    assert goals(forwards, extension="list") == (parse("list@far.test"),)
    assert goals(forwards, extension="other") == (FAR,)
    assert goals(forwards, extension="../bob/forward+list") == (FAR,)


def test_an_edited_file_counts_for_the_next_message(forwards: OwnForwards, folder: Path) -> None:
    (folder / "forward").write_text("bob@far.test\n")
    assert goals(forwards) == (FAR,)
    (folder / "forward").write_text("bob@further.test\n")
    assert goals(forwards) == (parse("bob@further.test"),)
    (folder / "forward").unlink()
    assert goals(forwards) is None


def test_a_file_that_has_not_changed_is_read_once(forwards: OwnForwards, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "forward").write_text("bob@far.test\n")
    goals(forwards)
    monkeypatch.setattr(own.dotfiles, "look", lambda *_, **__: pytest.fail("it is read again"))
    assert goals(forwards) == (FAR,)


@pytest.mark.parametrize("text", ["/var/mail/bob", '"|/bin/sort"', "|/bin/sh -c 'id > /tmp/x'", ":include:/etc/passwd", "two words"])
def test_files_and_programs_are_always_refused_and_mail_waits(forwards: OwnForwards, folder: Path, log: Log, text: str) -> None:
    (folder / "forward").write_text(f"bob@far.test\n{text}\n")
    for _ in range(2):
        with pytest.raises(Unavailable, match="forward:2: "):
            goals(forwards)
    (line,) = log.lines  # once, not for each message
    assert line.startswith(f"{folder}/forward:2: ")
    assert line.endswith("mail for it has to wait")


def test_a_file_that_others_may_write_to_is_passed_over_with_a_line_in_the_log(forwards: OwnForwards, folder: Path, log: Log) -> None:
    path = folder / "forward"
    path.write_text("eve@far.test\n")
    path.chmod(0o666)
    assert [goals(forwards), goals(forwards, SET), len(log.lines)] == [None, goals(OwnForwards(Inline()), SET), 1]
    assert "it is passed over" in log.lines[0]
    path.chmod(0o600)
    assert goals(forwards) == (parse("eve@far.test"),)


def test_a_name_that_cannot_be_a_folder_has_no_file(forwards: OwnForwards) -> None:
    assert goals(forwards, Account("../bob@dom2.test")) is None


def test_where_users_may_not_nobody_looks(tmp_path: Path, folder: Path) -> None:
    (folder / "forward").write_text("bob@far.test\n")
    assert goals(OwnForwards(Inline())) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look anywhere")
def test_a_folder_that_cannot_be_looked_into_is_no_missing_file(forwards: OwnForwards, folder: Path) -> None:
    folder.chmod(0)
    try:
        with pytest.raises(Unavailable):
            goals(forwards)
    finally:
        folder.chmod(0o700)


# ----- of users of this machine (R32, R33)


class Homes:
    """What is in the homes: {(user, extension): Found}."""

    def __init__(self, **found: Any) -> None:
        self.found = Found(**found)
        self.asked: list[tuple[int, str]] = []

    def __call__(self, user: int, extension: str) -> Found:
        self.asked.append((user, extension))
        return self.found


def test_dot_forward_counts(log: Log) -> None:
    homes = Homes(place="/home/ann/.forward", text='"/home/ann/archive", ann@far.test')
    forwards = OwnForwards(Inline(), home=homes, allowed=Permissions(files=True))
    step = result_of(forwards.lookup(ANN, "list"))
    assert (step.goals, step.origin) == ((ToFile("/home/ann/archive"), parse("ann@far.test")), "/home/ann/.forward")
    assert (homes.asked, log.lines) == ([(1000, "list")], [])


def test_what_the_house_does_not_allow_waits(log: Log) -> None:
    homes = Homes(place="/home/ann/.forward", text='"|vacation ann"\n\\ann, /home/ann/archive')
    forwards = OwnForwards(Inline(), home=homes)
    with pytest.raises(Unavailable, match=r"/home/ann/\.forward:1: vacation is not built in yet"):
        goals(forwards, ANN)
    assert [line.partition(": ")[0] for line in log.lines] == ["/home/ann/.forward:1", "/home/ann/.forward:2"]


def test_what_is_unsafe_is_passed_over_and_told_once_until_it_is_mended(log: Log) -> None:
    homes = Homes(unsafe=["/home/ann/.forward: others may write to it (mode 666); chmod go-w"])
    forwards = OwnForwards(Inline(), home=homes)
    assert [goals(forwards, ANN), goals(forwards, ANN), len(log.lines)] == [None, None, 1]
    homes.found = Found(place="/home/ann/.forward", text="ann@far.test")
    assert goals(forwards, ANN) == (parse("ann@far.test"),)
    homes.found = Found(unsafe=["/home/ann/.forward: others may write to it (mode 666); chmod go-w"])
    assert [goals(forwards, ANN), len(log.lines)] == [None, 2]


def test_a_home_that_cannot_be_reached_now_is_no_home_without_a_forward() -> None:
    with pytest.raises(Unavailable, match="Stale file handle"):
        goals(OwnForwards(Inline(), home=Homes(trouble="/home/ann: Stale file handle")), ANN)

    def gone(user: int, extension: str) -> Found:
        raise BrokenPipeError("the helper has ended")

    with pytest.raises(Unavailable, match="has ended"):
        goals(OwnForwards(Inline(), home=gone), ANN)


def test_the_log_is_one_line_whatever_the_file_is_called(log: Log) -> None:
    homes = Homes(unsafe=["/home/a{x}nn/.forward: {nothing}"])
    assert goals(OwnForwards(Inline(), home=homes), ANN) is None
    assert log.lines == ["/home/a{x}nn/.forward: {nothing}; it is passed over"]
