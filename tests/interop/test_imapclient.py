"""IMAPClient, the library that programs use: strict about what it parses, and it waits in IDLE."""

import smtplib
import ssl

import pytest

imapclient = pytest.importorskip("imapclient")

SENDER = "eve@red.test"
MESSAGE = """\
Subject: news
From: Eve <eve@red.test>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x

hello
--x
Content-Type: image/png

PNG
--x--
"""


@pytest.fixture
def imap(house, guest):
    trust = ssl.create_default_context(cafile=house.authority)
    with imapclient.IMAPClient("localhost", house.port("imap", tls=True), ssl_context=trust) as client:
        client.login(guest.address, guest.password)
        yield client


@pytest.fixture
def send(house, guest):
    def one():
        with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
            smtp.sendmail(SENDER, [guest.address], MESSAGE)

    return one


def test_mail_arrives_in_idle_at_once(imap, send):
    imap.select_folder("INBOX")
    imap.idle()
    send()
    heard = imap.idle_check(timeout=5)
    assert (1, b"EXISTS") in heard
    imap.idle_done()
    assert imap.search("UNSEEN") == [1]


def test_what_another_connection_does_is_heard_in_idle(house, imap, guest, send):
    send()
    imap.select_folder("INBOX")
    imap.idle()
    with imapclient.IMAPClient("localhost", house.port("imap"), ssl=False) as second:
        second.login(guest.address, guest.password)
        second.select_folder("INBOX")
        second.add_flags([1], [imapclient.FLAGGED])
        (number, what, said) = next(line for line in imap.idle_check(timeout=5) if line[1] == b"FETCH")
        assert (number, what) == (1, b"FETCH")
        assert imapclient.FLAGGED in said[said.index(b"FLAGS") + 1]
        second.delete_messages([1])
        second.expunge()
    heard = []
    while (1, b"EXPUNGE") not in heard:
        more = imap.idle_check(timeout=5)
        assert more, heard
        heard += more
    imap.idle_done()


def test_envelope_structure_and_sections(imap, send):
    send()
    imap.select_folder("INBOX")
    (found,) = imap.fetch([1], ["ENVELOPE", "BODYSTRUCTURE", "RFC822.SIZE", "INTERNALDATE", "FLAGS", "BODY.PEEK[1]"]).values()
    assert found[b"ENVELOPE"].subject == b"news"
    assert str(found[b"ENVELOPE"].from_[0]) == "Eve <eve@red.test>"
    assert found[b"BODYSTRUCTURE"].is_multipart
    assert found[b"BODY[1]"] == b"hello"
    assert imapclient.SEEN not in found[b"FLAGS"]


def test_folders_are_made_renamed_subscribed_and_removed(imap):
    special = {flag for flags, _, _ in imap.list_folders() for flag in flags}
    assert {b"\\Sent", b"\\Drafts", b"\\Trash", b"\\Junk", b"\\Archive"} <= special
    imap.create_folder("Rechnungen für März")
    imap.rename_folder("Rechnungen für März", "Счета")
    imap.subscribe_folder("Счета")
    assert "Счета" in [name for _, _, name in imap.list_sub_folders()]
    imap.delete_folder("Счета")
    assert "Счета" not in [name for _, _, name in imap.list_folders()]


def test_capabilities_that_clients_look_for(imap):
    for name in (b"IDLE", b"UIDPLUS", b"MOVE", b"NAMESPACE", b"SPECIAL-USE", b"ID", b"ENABLE", b"UNSELECT"):
        assert imap.has_capability(name), name
    assert imap.id_({"name": "IMAPClient"})
