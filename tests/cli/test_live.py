"""The command and a real server, with a package from elsewhere in it: everything over sockets, nothing beyond loopback."""

import imaplib
import json
import os
import smtplib
import subprocess
import sys
import threading

import pytest

from tests.packaging.made import ROOT, build, install

SAMPLE = ROOT / "tests" / "plugins" / "sample_plugin"
CONFIG = """\
[server]
hostname = mail.blue.example
data_dir = data
[domains]
local = blue.example club.example
[dns]
use = none
[mx]
listen = tcp:0:interface=127.0.0.1
pop_before_smtp = 20m
stages = limits unwelcome hello senders relaying recipients loops
[aliases]
source = config staff
[users]
source = sqlite club
[club]
members = gwen@club.example
[staff]
members = anna bert
[unwelcome]
senders = spam@away.example
[imap]
listen = tcp:0:interface=127.0.0.1
tls = offered
"""
SERVE = """
import sys
from pathlib import Path
from twistmail.foreground import run
users = {"anna@blue.example": "long-password", "bert@blue.example": "long-password"}
sys.exit(run(Path("config.ini"), users=users, ready=lambda ports: print(ports["mx"][0], ports["imap"][0], flush=True)))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A running server: (its folder, the port of [mx], a function that runs the command)."""
    folder = tmp_path_factory.mktemp("live")
    (wheel,) = build(SAMPLE, folder / "dist", "--wheel")
    install(folder / "site", wheel)
    (folder / "config.ini").write_text(CONFIG)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{folder / 'site'}"}
    server = subprocess.Popen([sys.executable, "-c", SERVE], cwd=folder, env=environ, text=True, stdout=subprocess.PIPE)

    def command(line: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", "from twistmail.cli.main import run; run()", *line.split()]
        return subprocess.run(words, cwd=folder, env=environ, text=True, capture_output=True, timeout=60, check=False)

    try:
        ports = server.stdout.readline().split()
        assert len(ports) == 2, "the server did not start"
        (folder / "imap.port").write_text(ports[1])
        yield folder, int(ports[0]), command
        command("stop --yes")
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_an_alias_source_from_elsewhere_works_when_the_configuration_names_it(house):
    folder, port, command = house
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.sendmail("friend@away.example", ["staff@blue.example"], "Subject: to all\r\n\r\nhello\r\n")
    for name in ("anna", "bert"):
        assert len(list((folder / "data" / "mail" / "blue.example" / name / "new").iterdir())) == 1
    tree = json.loads(command("alias resolve staff@blue.example --json").stdout)
    assert [(child["address"], child["what"]) for child in tree["children"]] == [
        ("anna@blue.example", "mailbox"),
        ("bert@blue.example", "mailbox"),
    ]


def test_the_tables_of_the_running_server_are_asked(house):
    _, _, command = house
    listed = [json.loads(line)["table"] for line in command("table list --json").stdout.splitlines()]
    assert listed == ["users:sqlite", "users:club", "aliases:config", "aliases:staff"]
    said = json.loads(command("table query club gwen@club.example --json").stdout)
    assert (said["found"], said["account"], said["password"]) == (True, "gwen@club.example", "checked by the source")
    assert json.loads(command("table query staff staff@blue.example --json").stdout)["targets"] == ["anna", "bert"]
    assert json.loads(command("table query users anna --json").stdout)["source"] == "users:sqlite"
    assert command("table query aliases nobody").returncode == 1
    assert "did you mean club?" in command("table query clubb x").stderr


def test_a_policy_stage_from_elsewhere_works_when_the_configuration_names_it(house):
    _, port, command = house
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.ehlo()
        assert client.mail("spam@away.example") == (550, b"5.7.1 You are not welcome here")
    refused = json.loads(command("trace find --refused --from spam@ --json").stdout.splitlines()[-1])
    assert refused["stage"] == "unwelcome"


def test_the_story_of_a_message_is_known_at_once(house):
    _, port, command = house
    sent = command(f"send --to anna@blue.example --from friend@away.example --server 127.0.0.1:{port} --subject unmistakable")
    assert (sent.returncode, "S: 250 2.0.0 Accepted as" in sent.stdout) == (0, True)
    found = json.loads(command("trace find --subject unmistakable --json").stdout)
    story = command(f"trace show {found['id']}").stdout
    assert "accepted    mx: from friend@away.example to anna@blue.example" in story
    assert "delivered   anna@blue.example: 250" in story


def test_a_recipient_who_is_refused_is_told_as_such(house):
    _, port, command = house
    sent = command(f"send --to nobody@blue.example --server 127.0.0.1:{port}")
    assert (sent.returncode, "every recipient was refused" in sent.stderr) == (1, True)


def test_status_and_sessions_are_those_of_the_server(house):
    _, port, command = house
    with smtplib.SMTP("127.0.0.1", port, timeout=30):
        sessions = [json.loads(line) for line in command("session --json").stdout.splitlines()]
        status = json.loads(command("status --json").stdout)
    assert [session["service"] for session in sessions] == ["mx"]
    assert {service["name"]: service["connections"] for service in status["services"]} == {"mx": 1, "imap": 0}
    assert (status["hostname"], status["queue"]["count"]) == ("mail.blue.example", 0)


def test_a_reload_applies_what_is_right_and_keeps_everything_on_a_mistake(house):
    folder, _, command = house
    (folder / "config.ini").write_text(CONFIG + "idle_timeout = 31m\n")
    done = command("reload")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "imap.idle_timeout: 30m -> 31m")
    (folder / "config.ini").write_text(CONFIG + "idle_timeout = 32\n")
    refused = command("reload")
    assert refused.returncode == 78
    assert "32 is not a length of time" in refused.stderr
    (folder / "config.ini").write_text(CONFIG + "idle_timeout = 31m\n")
    assert "no setting has changed" in command("reload").stdout


def test_verify_and_backup_beside_a_server_that_takes_mail(house):
    folder, port, command = house
    sent, stopped, errors = [], threading.Event(), []

    def load():
        try:
            while not stopped.is_set():
                with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
                    client.sendmail("friend@away.example", ["anna@blue.example"], f"Subject: {len(sent)}\r\n\r\n{'x' * 3000}\r\n")
                sent.append(len(sent))
        except BaseException as error:
            errors.append(error)
            raise

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(2):
            checked = command("verify --deep")
            assert (checked.returncode, checked.stdout) == (0, ""), checked.stderr
            made = command("backup create --quiet")
            assert made.returncode == 0, made.stderr
    finally:
        stopped.set()
        thread.join()
    assert errors == []
    assert command("backup verify").returncode == 0

    def messages(name):
        return [path.read_bytes() for path in (folder / "data/mail/blue.example" / name).glob("[nc][eu][wr]/*")]

    restored = command("backup restore latest anna --as carl@blue.example --json")
    assert restored.returncode == 0, restored.stderr
    told = json.loads(restored.stdout)
    assert told["present"] == 0
    assert 0 < told["restored"] <= len(sent) + 1
    assert len(messages("carl")) == told["restored"]
    assert set(messages("carl")) <= set(messages("anna")), "every message is whole"
    assert command("verify carl").returncode == 0


def test_the_running_server_is_asked_what_its_stages_would_say(house):
    _, _, command = house
    answer = json.loads(command("policy check 192.0.2.1 spam@away.example anna@blue.example --json").stdout)
    assert (answer["result"], answer["stage"]) == ("refused", "unwelcome")
    ended = command("policy check 192.0.2.1 <> staff@blue.example")
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[-1] == "accepted; it goes to anna@blue.example, bert@blue.example"
    assert "does not run" not in ended.stderr
    assert "is no IP address" in command("policy check x <> anna@blue.example").stderr


def test_who_has_just_read_his_mail_is_listed(house):
    folder, port, command = house
    nobody = command("popauth")
    assert (nobody.stdout, "no address is open" in nobody.stderr) == ("", True)
    with imaplib.IMAP4("127.0.0.1", int((folder / "imap.port").read_text())) as client:
        client.login("anna", "long-password")
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.ehlo()
        client.mail("anna@blue.example")
        assert client.rcpt("far@away.example")[0] == 250
    (one,) = [json.loads(line) for line in command("popauth --json").stdout.splitlines()]
    assert (one["address"], one["account"], one["service"]) == ("127.0.0.1", "anna@blue.example", "imap")
    assert 1100 < one["left_s"] <= 1200
    answer = json.loads(command("policy check 127.0.0.1 anna@blue.example far@away.example --json").stdout)
    assert [row["rule"] for row in answer["rows"] if row["stage"] == "relaying"] == ["pop_before_smtp (anna@blue.example)"]
    assert "127.0.0.1  anna@blue.example  imap" in command("popauth").stdout


def test_a_source_of_accounts_from_elsewhere_has_mailboxes_and_lets_people_in(house):
    folder, port, _ = house
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.sendmail("friend@away.example", ["gwen@club.example"], "Subject: to Gwen\r\n\r\nhello\r\n")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("friend@away.example", ["hugo@club.example"], "Subject: to nobody\r\n\r\nhello\r\n")
    with imaplib.IMAP4("127.0.0.1", int((folder / "imap.port").read_text())) as client:
        with pytest.raises(imaplib.IMAP4.error):
            client.login("gwen@club.example", "gwen likes nobody")
        client.login("gwen@club.example", "gwen likes the club")
        assert client.select("INBOX")[1] == [b"1"]


def test_the_running_server_tells_what_would_become_of_a_long_message(house):
    folder, _, command = house
    (folder / "long").write_bytes(b"Subject: long\n\n" + b"0123456789\n" * 20_000)
    done = command("explain --from spam@away.example --to anna@blue.example long")
    assert "refused by unwelcome" in done.stdout
    done = command("explain --from eve@away.example --to anna@blue.example long --json")
    answer = json.loads(done.stdout)
    assert (done.returncode, done.stderr, answer["result"], answer["running"], answer["message"]) == (0, "", "accepted", True, 220_015)
    assert answer["deliveries"][0]["where"] == "the mailbox of anna@blue.example, INBOX"
