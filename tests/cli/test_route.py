"""`twistmail route` without a server: what is printed, which rule is named, and how it ends."""

import json
import os

import pytest

from twistmail.cli.exits import Exit
from twistmail.cli.main import status

CONFIG = """\
[server]
hostname = mail.blue.example
data_dir = data
[domains]
local = blue.example
[users]
source = config
[user:anna@blue.example]
password = a long password
[alias:list@blue.example]
to = anna carl@partner.example
[dns]
use = none
[mx]
listen = tcp:2525:interface=127.0.0.1
[relay]
route_table = routes
smarthost = [192.0.2.9]:587
[route:partner.example]
via = [192.0.2.7]:26
tls = required
[sender_route:anna@blue.example]
via = smtps://[192.0.2.8]
user = anna
password = never told
"""
TABLE = """\
old.example   error:5.1.6 moved
home.example  local:anna
kept.example  hold:smtp:[192.0.2.6]
box.example   lmtp:unix:/run/box
mx.example    smtp:
"""


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """A folder with a configuration in it, which is the current one."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    (tmp_path / "config.ini").write_text(CONFIG)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "routes").write_text(TABLE)
    return tmp_path


@pytest.mark.parametrize(("words", "code", "lines"), [
    pytest.param(["carl@partner.example"], Exit.OK,
                 ["rule      [route:partner.example] via (", "goes      by smtp to [192.0.2.7]:26", "192.0.2.7  192.0.2.7  26"],
                 id="a-section"),
    pytest.param(["x@else.example"], Exit.OK, ["rule      [relay] smarthost (", "[192.0.2.9]:587"], id="the-smart-host"),
    pytest.param(["x@else.example", "--from", "anna@blue.example"], Exit.OK,
                 ["[sender_route:anna@blue.example] via (", "login     anna", "encrypted from the first octet"], id="the-senders-own"),
    pytest.param(["x@old.example"], Exit.NOTHING, ["x@old.example is refused (", "/routes:1 (old.example)): 550 5.1.6 moved"],
                 id="refused"),
    pytest.param(["x@home.example"], Exit.OK, ["x@home.example is somebody here: ", "anna@blue.example (for x@home.example)"], id="local"),
    pytest.param(["kept.example"], Exit.OK, ["postmaster@kept.example", "kept      until its server calls for it"], id="held-by-domain"),
    pytest.param(["x@box.example"], Exit.OK, ["by lmtp to lmtp:unix:/run/box", "/run/box  -"], id="LMTP"),
    pytest.param(["x@mx.example"], Exit.NOTHING, ["waits     451 4.4.3"], id="the-DNS-is-silent"),
    pytest.param(["list"], Exit.OK, ["anna@blue.example (for list@blue.example)", "carl@partner.example (for list@blue.example)"],
                 id="an-alias"),
    pytest.param(["nobody@blue.example"], Exit.NOTHING, ["nobody@blue.example is refused: 550 5.1.1"], id="nobody"),
])
def test_what_is_told_of_an_address(capsys, words, code, lines):
    assert status(["route", *words]) == code
    out = capsys.readouterr().out
    for line in lines:
        assert line in out, out
    assert "never told" not in out


def test_as_json_it_is_one_object(capsys):
    assert status(["route", "carl@partner.example", "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    (way,) = told["ways"]
    assert (way["transport"], way["next_hop"], way["status"]) == ("smtp", "[192.0.2.7]:26", "")
    assert way["hosts"] == [{"name": "192.0.2.7", "address": "192.0.2.7", "port": 26, "tls": "required", "why": way["hosts"][0]["why"]}]


@pytest.mark.parametrize("words", [["a b@c"], ["x@y", "--attempts", "many"], ["x@far.example", "--from", "@"], [""]])
def test_what_is_no_question_is_refused(capsys, words):
    assert status(["route", *words]) == Exit.USAGE
    assert capsys.readouterr().out == ""


def test_a_broken_table_is_told_with_its_line(capsys, house):
    (house / "data" / "routes").write_text("far.example uucp:x\n")
    assert status(["route", "x@far.example"]) == Exit.CONFIG
    assert "routes:1:1: error:" in capsys.readouterr().err
