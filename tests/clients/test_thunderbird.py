"""Thunderbird, the program itself: an account over TLS, folders, letters, flags, copies, the Trash, and news while it is idle."""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl

import imapclient
import pytest

from tests.clients.thunderbird import thunderbird
from tests.interop.house import House, Person, eventually, folder, running

pytestmark = pytest.mark.needs({"thunderbird": "thunderbird"})

ALICE = Person("alice")
CERTIFICATE = re.compile("-BEGIN CERTIFICATE-+([^-]+)-")
#: What a new account has, and what Thunderbird takes it for.
USUAL = {"INBOX": "Inbox", "Sent": "Sent", "Drafts": "Drafts", "Trash": "Trash", "Junk": "Junk", "Archive": "Archive"}


@pytest.fixture
def house():
    with folder() as place, running(House(place, tls="required")) as house:
        house.add(ALICE)
        yield house


@pytest.fixture
def bird(house):
    """A Thunderbird that knows alice's account and the server's certificate."""
    with thunderbird() as bird:
        port = house.port("imap", tls=True)
        bird.do("trust", port, CERTIFICATE.search(house.authority.read_text())[1].replace("\n", ""))
        bird.do("add_account", ALICE.address, ALICE.password, port)
        eventually(lambda: bird.do("folders") == USUAL, "Thunderbird knows every folder and its use")
        yield bird


def letter(subject: str) -> bytes:
    return (
        f"Subject: {subject}\r\nFrom: Eve <eve@red.test>\r\nTo: {ALICE.address}\r\n\r\nThis is {subject}.\r\n.. and two dots.\r\n".encode()
    )


def send(house, subject):
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
        smtp.sendmail("eve@red.test", [ALICE.address], letter(subject))


def on_disk(house, where=".") -> dict[str, str]:
    """Every letter of a folder by its subject: the flags of its file's name."""
    found = {}
    for path in sorted((house.maildir(ALICE) / where).glob("[nc][eu][wr]/*")):
        with contextlib.suppress(FileNotFoundError):  # it has just got another name
            (subject,) = re.findall("^Subject: (.*)$", path.read_text(), re.MULTILINE)
            assert subject not in found, f"twice in {where}: {subject}"
            found[subject] = path.name.partition(":2,")[2]
    return found


def show(bird, name, *subjects):
    """Open a folder until it is as it should be: Thunderbird forgets an order to open what it is still busy with."""
    for patience in (3, 3, 10):
        bird.do("open", name)
        with contextlib.suppress(AssertionError):
            return eventually(lambda: bird.do("subjects", name) == sorted(subjects), "", patience)
    raise AssertionError(f"Thunderbird shows {bird.do('subjects', name)} in {name}")


def test_reading_marking_copying_and_deleting(house, bird):
    for subject in ("first", "second", "third"):
        send(house, subject)
    show(bird, "INBOX", "first", "second", "third")
    assert bird.do("source", "INBOX", "first").encode("latin-1").endswith(letter("first"))
    assert bird.do("flags", "INBOX", "first") == {"read": False, "flagged": False}

    bird.do("mark", "INBOX", "first")
    eventually(lambda: on_disk(house) == {"first": "FS", "second": "", "third": ""}, "the server keeps the flags")
    assert bird.do("flags", "INBOX", "first") == {"read": True, "flagged": True}

    bird.do("create", "Papers")
    eventually(lambda: bird.do("folders") == USUAL | {"Papers": ""}, "Thunderbird has made a folder")
    bird.do("copy", "INBOX", "second", "Papers")
    eventually(lambda: on_disk(house, ".Papers") == {"second": ""}, "the copy lies in its folder")
    show(bird, "Papers", "second")

    bird.do("remove", "INBOX", "third")
    eventually(lambda: list(on_disk(house, ".Trash")) == ["third"], "the deleted letter lies in the Trash")
    eventually(lambda: bird.do("subjects", "INBOX") == ["first", "second"], "Thunderbird shows it no longer")
    show(bird, "Trash", "third")
    (kept,) = house.stored(ALICE, ".Trash")
    assert kept.endswith(letter("third").replace(b"\r\n", b"\n"))


def test_news_are_heard_while_idle(house, bird):
    send(house, "old")
    show(bird, "INBOX", "old")
    eventually(lambda: bird.is_idle("INBOX"), "Thunderbird is idle")
    send(house, "new")
    eventually(lambda: bird.do("subjects", "INBOX") == ["new", "old"], "IDLE tells of the new letter")

    trust = ssl.create_default_context(cafile=house.authority)
    with imapclient.IMAPClient("localhost", house.port("imap", tls=True), ssl_context=trust) as second:
        second.login(ALICE.address, ALICE.password)
        second.select_folder("INBOX")
        second.add_flags(second.search("SUBJECT new"), [imapclient.SEEN, imapclient.FLAGGED])
        eventually(lambda: bird.do("flags", "INBOX", "new") == {"read": True, "flagged": True}, "IDLE tells of flags")
        second.delete_messages(second.search("SUBJECT old"))
        second.expunge()
        eventually(lambda: bird.do("subjects", "INBOX") == ["new"], "IDLE tells what is gone")
    assert on_disk(house) == {"new": "FS"}
