"""What docs/accounts.md shows is what the checker takes, and what its programs say is an answer."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.accounts.services import ask, house, read
from tests.interop.house import free_port, listens
from twistmail.accounts.secrets import Entry
from twistmail.config.load import load
from twistmail.lasting import inline
from twistmail.mail.account import Account
from twistmail.parts import HTTP
from twistmail.plugins import discover
from twistmail.sections import checks, everything

TEXT = (Path(__file__).parents[2] / "docs" / "accounts.md").read_text()
DISCOVERY = discover()
SECTIONS = [block for block in re.findall(r"```ini\n(.*?)```", TEXT, re.DOTALL) if block.startswith("[users]\nsource = ")]
PROGRAMS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", SECTIONS, ids=lambda block: block.split("\n")[1])
def test_every_section_that_it_shows_is_right(tmp_path: Path, block: str) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "config.ini").write_text("[server]\nhostname = mx.blue.example\n[mx]\nlisten = tcp:0\n" + re.sub(
        r"/etc/twistmail/\S+", str(tmp_path / "secret"), block))
    loaded = load(everything(DISCOVERY), tmp_path / "config.ini", (), {}, checks(DISCOVERY))
    assert [str(problem) for problem in loaded.problems if problem.is_error] == []


def test_every_source_of_its_table_is_one() -> None:
    named = set(re.findall(r"^\| `([a-z]+)[`:]", TEXT.partition("\n## ")[0], re.MULTILINE))
    assert set(DISCOVERY.of_kind("accounts")) <= named


def test_the_service_in_twenty_lines_answers() -> None:
    port = free_port()
    (program,) = (program for program in PROGRAMS if "HTTPServer" in program)
    service = subprocess.Popen([sys.executable, "-c", program.replace("8025", str(port))], stderr=subprocess.DEVNULL)
    lasting = inline()
    try:
        end = time.monotonic() + 20
        while not listens(port):
            assert time.monotonic() < end, "it does not listen"
            time.sleep(0.02)
        source = HTTP.build(read(HTTP.options, url=f"http://127.0.0.1:{port}/"), house(lasting))
        anna = Account("anna@blue.example")
        assert ask(source.lookup(anna.name)) == Entry(anna)
        assert ask(source.lookup("bert@blue.example")) is None
        assert [ask(source.verify(Entry(anna), password)) for password in ("a long password", "wrong")] == [True, False]
    finally:
        lasting.stop()
        service.kill()
        service.wait()


def test_the_source_of_one_s_own_is_one() -> None:
    (program,) = (program for program in PROGRAMS if "ClubSource" in program)
    made: dict[str, object] = {}
    exec(program, made)
    club = made["ClubSource"]().build(read(made["ClubSource"].options, members="gwen@club.example"), house())  # type: ignore[operator]
    gwen = ask(club.lookup("gwen@club.example"))
    assert ask(club.verify(gwen, "gwen likes the club"))
    assert ask(club.lookup("hugo@club.example")) is None
