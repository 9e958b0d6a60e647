"""`twistmail policy check` by the configuration alone: what is printed, which rule is named, and how it ends."""

import json
import os
from pathlib import Path

import pytest
from twisted.internet.selectreactor import SelectReactor

from twistmail import tasks
from twistmail.cli.dry import finish
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
to = anna far@away.example
[dns]
use = none
[mx]
listen = tcp:2525:interface=127.0.0.1
relay_networks = 192.168.1.0/24
relay_domains = friend.example
[access]
file = access
"""
RULES = """\
# ours
Connect:192.0.2.66      REJECT
Connect:198.51.100      QUARANTINE:odd network
To:closed@              ERROR:5.7.1:550 Closed
Connect:203.0.113       DISCARD
To:partner.example      RELAY
"""


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """A folder with a configuration in it, which is the current one."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("config.ini").write_text(CONFIG)
    Path("data").mkdir()
    Path("data/access").write_text(RULES)
    return tmp_path


@pytest.fixture
def check(capsys):
    """A function that asks: (exit code, stdout, stderr)."""

    def check(*words: str):
        code = status(["policy", "check", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return check


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param("192.0.2.1 eve@away.example anna@blue.example", 0, "accepted; it goes to anna@blue.example", id="ours"),
        pytest.param("192.0.2.1 <> list@blue.example", 0, "it goes to anna@blue.example, far@away.example (elsewhere)", id="a-list"),
        pytest.param("192.0.2.1 a@b.example x@away.example", 1, "refused by relaying: 550 5.7.1 Not a local recipient", id="a-relay"),
        pytest.param("192.0.2.1 a@b.example nobody@blue.example", 1, "refused by recipients: 550 5.1.1 There is no mailbox", id="nobody"),
        pytest.param("192.0.2.66 a@b.example anna@blue.example", 1, "refused by access ({}/data/access:2): 550 5.7.1", id="a-client"),
        pytest.param("192.0.2.66 a@b.example x@away.example", 1, "refused by access ({}/data/access:2): 550", id="the-first-decides"),
        pytest.param("192.0.2.1 a@b.example closed@blue.example", 1, "by access ({}/data/access:4): 550 5.7.1 Closed", id="a-recipient"),
        pytest.param("198.51.100.7 a@b.example anna@blue.example", 0, "held by access ({}/data/access:3 (odd network))", id="held"),
        pytest.param("203.0.113.7 a@b.example anna@blue.example", 0, "thrown away by access ({}/data/access:5)", id="thrown-away"),
        pytest.param("192.168.1.9 a@b.example x@away.example", 0, "accepted; it goes to x@away.example (elsewhere)", id="inside"),
        pytest.param("192.0.2.1 a@b.example x@friend.example", 0, "accepted; it goes to x@friend.example (elsewhere)", id="a-backup"),
        pytest.param("192.0.2.1 a@b.example anna@blue.example --hello a..b", 1, "refused by hello (syntax): 501 5.5.4", id="hello"),
        pytest.param("192.0.2.1 anna@blue.example x@away.example --service submission", 1, "refused by login: 530 5.7.0", id="no-login"),
        pytest.param(
            "192.0.2.1 anna@blue.example x@away.example --service submission --login anna@blue.example",
            0,
            "accepted; it goes to x@away.example (elsewhere)",
            id="a-user",
        ),
        pytest.param(
            "192.0.2.1 b@blue.example x@away.example --service submission --login anna@blue.example",
            1,
            "refused by senders (own_addresses_only): 550 5.7.1 That address is not yours",
            id="a-user-as-another",
        ),
    ],
)
def test_what_would_be_said_and_by_which_rule(check, house, words, code, sentence):
    ended, said, _ = check(*words.split())
    assert sentence.format(house) in said.splitlines()[-1]
    assert ended == code


def test_every_stage_is_told_also_behind_a_refusal(check, house):
    _, said, hint = check("192.0.2.66", "a@b.example", "closed@blue.example", "--json")
    answer = json.loads(said)
    rows = [(row["point"], row["stage"], row["verdict"][:9], row["rule"], row["decides"]) for row in answer["rows"]]
    assert rows == [
        ("connect", "limits", "-", "", False),
        ("hello", "hello", "-", "", False),
        ("sender", "rates", "-", "", False),
        ("sender", "room", "-", "", False),
        ("sender", "access", "550 5.7.1", f"{house}/data/access:2", True),
        ("recipient", "tarpit", "-", "", False),
        ("recipient", "rates", "-", "", False),
        ("recipient", "access", "550 5.7.1", f"{house}/data/access:4", False),
        ("recipient", "relaying", "-", "", False),
        ("recipient", "recipients", "550 5.1.1", "", False),
        ("message", "loops", "needs the", "", False),
    ]
    assert (answer["result"], answer["stage"], answer["reply"]) == ("refused", "access", "550 5.7.1 Access denied")
    assert hint == ""


@pytest.mark.parametrize(
    ("client", "recipient", "rule"),
    [
        pytest.param("192.168.1.9", "x@away.example", "relay_networks", id="network"),
        pytest.param("192.0.2.1", "x@friend.example", "relay_domains friend.example", id="domain"),
        pytest.param("192.0.2.1", "x@partner.example", "{}/data/access:6", id="list"),
    ],
)
def test_the_door_that_is_open_is_named(check, house, client, recipient, rule):
    rows = json.loads(check(client, "<>", recipient, "--json")[1])["rows"]
    assert [row["rule"] for row in rows if row["stage"] == "relaying"] == [rule.format(house)]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        pytest.param("192.0.2 a@b.example c@d.example", Exit.USAGE, "'192.0.2' is no IP address", id="no-address"),
        pytest.param("192.0.2.1 @ c@d.example", Exit.USAGE, "'@' has nothing before the @", id="no-sender"),
        pytest.param("192.0.2.1 a@b.example c@d.example --service pop3", Exit.USAGE, "'pop3' is not one of", id="no-service"),
        pytest.param("192.0.2.1 a@b.example c@d.example --login x@y.example", Exit.NOUSER, "there is no account x@y.example", id="nobody"),
    ],
)
def test_what_cannot_be_asked(check, words, code, told):
    ended, _, said = check(*words.split())
    assert ended == code
    assert told in said


def test_a_broken_access_list_is_a_broken_configuration(check):
    Path("data/access").write_text("Connect:10 MAYBE\n")
    code, _, said = check("192.0.2.1", "<>", "anna@blue.example")
    assert code == Exit.CONFIG
    assert "access:1:1: error: MAYBE is no value" in said


def test_nothing_is_made_beside_the_files(check, house):
    before = sorted(path.name for path in (house / "data").rglob("*"))
    check("192.0.2.1", "<>", "anna@blue.example")
    assert sorted(path.name for path in (house / "data").rglob("*")) == before


def test_what_has_to_wait_is_waited_for():
    reactor = SelectReactor()

    async def late() -> int:
        await tasks.sleep(reactor, 0)
        return 7

    assert finish(reactor, late()) == 7
