"""The classroom as a service: where it lives, and with whom it does not share that."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from twistmail import starting, tenancy
from twistmail.lab import classroom, demo
from twistmail.lab.classroom import Classroom, Taken


class Idle:
    """A reactor that nobody turns."""

    def callWhenRunning(self, function: Any) -> None:
        """Not yet."""

    def seconds(self) -> float:
        return 1_800_000_000.0


def whole(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_second_classroom_in_a_folder_is_refused_before_it_has_written_anything(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "globalLogBeginner", SimpleNamespace(beginLoggingTo=lambda *_, **__: None))
    (tmp_path / "roster.csv").write_text("account,password,name\r\ns01@blue.test,abc,Anna\r\n")
    (tmp_path / "blue").mkdir()
    (tmp_path / "blue" / "config.ini").write_text("of the first one\n")
    roster = tmp_path.parent / "other.csv"
    roster.write_text("account,password,name\ns09@blue.test,xyz,Zoe\n")
    home, before = tenancy.occupy(tmp_path), whole(tmp_path)
    with pytest.raises(Taken, match=f"another classroom uses {tmp_path}"):
        Classroom(Idle(), tmp_path, address="127.0.0.1", roster=roster).startService()
    assert demo.run(tmp_path, lan="127.0.0.1", roster=roster) == 1
    assert "another classroom uses" in capsys.readouterr().err
    assert whole(tmp_path) == before
    os.close(home)
    Classroom(Idle(), tmp_path).startService()


def test_nothing_is_made_before_it_starts_for_twistd_is_root_until_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = Classroom(Idle())
    assert list(tmp_path.iterdir()) == []
    made.startService()
    assert list(tmp_path.iterdir()) == [made.folder]


@pytest.mark.parametrize(("uid", "starts"), [pytest.param(None, False, id="without --uid"), pytest.param(65534, True, id="with --uid")])
def test_under_twistd_the_classroom_does_not_stay_root(uid: int | None, starts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    options = starting.Options()
    options.parent = {"uid": uid}
    options.parseOptions(["--demo"])
    if starts:
        assert isinstance(starting.makeService(options), Classroom)
        return
    with pytest.raises(SystemExit) as end:
        starting.makeService(options)
    assert end.value.code == starting.NO_PERMISSION


@pytest.mark.parametrize(("user", "does"), [(0, ["servers", "pages"]), (1000, [])])
def test_who_is_about_to_give_root_up_imports_first_what_is_imported_late(
    user: int, does: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(classroom.later, "import_all", lambda: done.append("servers"))
    monkeypatch.setattr(classroom, "import_pages", lambda: done.append("pages"))
    Classroom(Idle()).privilegedStartService()
    assert done == does
