"""`twistmail mailbox pull`: mail from our own server and from Dovecot, with folders, flags and dates, and nothing twice (F082)."""

import contextlib
import datetime
import json
import socket
import sqlite3
import threading
from pathlib import Path

import imapclient
import pytest

from tests.interop.dovecot import Dovecot
from tests.interop.house import House, Person, folder
from twistmail.cli import mailbox_pull
from twistmail.cli.exits import Exit
from twistmail.cli.main import status
from twistmail.cli.opened import finished, flags_of, mailbox, opened
from twistmail.cli.stored import Storage
from twistmail.cli.terminal import Terminal
from twistmail.formats import remote
from twistmail.mail.mailbox import Column

DATE = datetime.datetime(2020, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
BIG = b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 90_000
LETTERS = {
    "INBOX": [(b"Subject: 1\r\n\r\none\r\n", [b"\\Seen"]), (b"Subject: 2\r\n\r\ntwo\r\n", [b"\\Flagged", b"$Work"]), (BIG, [])],
    "Gr\u00f6\u00dfe/deep": [(b"Subject: 3\r\n\r\nthree\r\n", [b"\\Answered", b"\\Draft"])],
    "empty": [],
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Where the mail goes: an account of its own, in the current directory."""
    monkeypatch.chdir(tmp_path)
    Path("config.ini").write_text("[server]\nhostname = mail.green.test\ndata_dir = data\n")
    Path("data").mkdir()
    return tmp_path


def fill(client):
    for name, letters in LETTERS.items():
        if name != "INBOX":
            client.create_folder(name)
        for octets, flags in letters:
            client.append(name, octets, flags, DATE)


def held(name):
    with opened(Storage(Terminal())) as store, mailbox(store, "anna@green.test", name) as box:
        uids = list(box.uids)
        dates = dict(finished(box.rows(uids, (Column.INTERNALDATE,))))
        bits = dict(zip(uids, box.bits, strict=True))
        contents = finished(box.read(uids))
        return [
            (b"".join(one.chunks()), {flag.encode() for flag in flags_of(bits[uid], box.keywords)}, dates[uid]) for uid, one in contents
        ]


def check():
    for name, letters in LETTERS.items():
        assert held(name) == [(octets, set(flags), DATE.timestamp()) for octets, flags in letters]


def run(capsys, line):
    capsys.readouterr()
    code = status(line.split())
    said = capsys.readouterr()
    return code, said.out, said.err


def pull(capsys, url, *options):
    code, out, err = run(capsys, f"mailbox pull anna@green.test {url} --new --json {' '.join(options)}")
    return code, json.loads(out.splitlines()[-1])["messages"] if out else err


@contextlib.contextmanager
def served(dovecot):
    """The address at which the next session is Dovecot's; it is logged in already."""
    started = []

    def serve():
        connection, _ = listener.accept()
        with connection:
            started.append(dovecot.start("imap", stdin=connection, stdout=connection))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"imap://alice@127.0.0.1:{listener.getsockname()[1]}"
        thread.join()
    started[0].wait(20)


@pytest.mark.client("dovecot")
def test_all_of_dovecot_s_mail_comes_over_once(home, capsys):
    with folder() as place:
        dovecot = Dovecot(place, place / "theirs")
        with dovecot.client() as client:
            fill(client)
        with served(dovecot) as url:
            assert pull(capsys, url) == (Exit.OK, 4)
        check()
        with dovecot.client() as client:
            client.append("INBOX", b"Subject: 4\r\n\r\nfour\r\n", (), DATE)
            client.append("INBOX", b"Subject: 4\r\n\r\nfour\r\n", (), DATE)
        with served(dovecot) as second:
            known_as(url, second)
            assert pull(capsys, second) == (Exit.OK, 2)
        assert len(held("INBOX")) == 5
        dovecot.check_log()


def known_as(old, new):
    """The second session has another port, and would be another server."""
    with contextlib.closing(sqlite3.connect("data/mail/green.test/anna/twistmail-imported")) as database, database:
        database.execute("UPDATE pulled SET source = ? WHERE source = ?", (new, old))


@pytest.fixture(scope="module")
def full():
    """Our own server, with alice's mailbox filled."""
    alice = Person("alice")
    with folder() as place:
        house = House(place)
        house.add(alice)
        house.start()
        try:
            with imapclient.IMAPClient("127.0.0.1", house.port("imap"), ssl=False) as client:
                client.login(alice.address, alice.password)
                fill(client)
            yield house, alice
        finally:
            house.stop()


def url_of(full):
    house, alice = full
    return f"imap://{alice.name}%40{alice.domain}@127.0.0.1:{house.port('imap')}"


@pytest.fixture
def typed(monkeypatch, full):
    """The password, as --password-stdin reads it."""
    monkeypatch.setattr("twistmail.cli.mailbox_pull._password", lambda user, *, stdin: full[1].password)


def pulled_again(capsys, full):
    return pull(capsys, url_of(full), "--cafile", str(full[0].authority))


def test_our_own_mail_comes_over_once(home, capsys, full, typed):
    assert pulled_again(capsys, full) == (Exit.OK, 4)
    check()
    assert pulled_again(capsys, full) == (Exit.OK, 0)
    assert run(capsys, f"mailbox pull anna@green.test {url_of(full)}/inbox --cafile {full[0].authority} --folder Old")[0] == Exit.OK
    assert len(held("Old")) == 3


class Killed(BaseException):
    """What nobody catches."""


@pytest.mark.parametrize("when", [1, 2, 3])
def test_a_pull_that_is_killed_again_and_again_doubles_nothing(home, capsys, full, typed, monkeypatch, when):
    monkeypatch.setattr(mailbox_pull, "MOST_MESSAGES", 1)
    really = mailbox_pull.append
    left = 0

    def append(box, messages):
        nonlocal left
        really(box, messages)
        left -= 1
        if left == 0:
            raise Killed

    monkeypatch.setattr(mailbox_pull, "append", append)
    for _ in range(4):
        left = when
        try:
            pulled_again(capsys, full)
        except Killed:
            continue
    left = 0
    assert pulled_again(capsys, full)[0] == Exit.OK
    check()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param("imaps://mail.example", "write imaps://USER@HOST", id="no-user"),
        pytest.param("http://a@mail.example", "write imaps://USER@HOST", id="not-imap"),
        pytest.param("imaps://a:secret@mail.example", "seen by everybody", id="password"),
    ],
)
def test_an_address_that_cannot_be_one_is_told(home, capsys, url, told):
    code, _, err = run(capsys, f"mailbox pull anna@green.test {url} --new")
    assert code == Exit.USAGE
    assert told in err


def test_nobody_listens_a_wrong_password_and_a_strange_certificate_are_told(home, capsys, full, monkeypatch):
    monkeypatch.setattr("twistmail.cli.mailbox_pull._password", lambda user, *, stdin: "wrong")
    assert run(capsys, f"mailbox pull anna@green.test {url_of(full)} --new --cafile {full[0].authority}")[0] == Exit.UNAVAILABLE
    code, _, err = run(capsys, f"mailbox pull anna@green.test {url_of(full)} --new")
    assert (code, "else --cafile" in err) == (Exit.UNAVAILABLE, True)
    assert run(capsys, "mailbox pull anna@green.test imap://a@127.0.0.1:1 --new")[0] == Exit.UNAVAILABLE
    assert remote.address("imaps://anna%40blue.example@mail.example/Work/2024").folder == "Work/2024"
