"""Python's own imaplib and the real server: what one user grants another holds after a kill, and ends at once."""

import imaplib

import pytest

from tests.interop.house import House, Person, folder, running

ANN, BOB = Person("ann"), Person("bob")
LETTER = b"Subject: plans\r\n\r\nA line about herons.\r\n"
THERE = f'"Other users/{ANN.address}/Plans"'


@pytest.fixture
def house():
    more = "[sharing]\nenabled = yes\n[role:info@blue.test]\nmembers = ann bob\n"
    with folder() as place, running(House(place, more=more)) as made:
        made.add(ANN, BOB)
        yield made


def login(house, person):
    client = imaplib.IMAP4("127.0.0.1", house.port("imap"))
    client.login(person.address, person.password)
    return client


def test_what_was_granted_outlives_a_kill_and_ends_at_once(house):
    ann = login(house, ANN)
    assert b" ACL RIGHTS=texk LIST-MYRIGHTS" in ann.capability()[1][0]
    assert ann.namespace() == ("OK", [b'(("" "/")) (("Other users/" "/")) (("Shared/" "/"))'])
    assert ann.create("Plans")[0] == "OK"
    assert ann.setacl("Plans", BOB.address, "lrs")[0] == "OK"
    assert ann.append("Plans", "", '"17-Jul-1996 02:44:25 +0000"', LETTER)[0] == "OK"
    house.kill()
    house.start()
    ann, bob = login(house, ANN), login(house, BOB)
    assert ann.getacl("Plans") == ("OK", [f"Plans {ANN.address} lrswipkxteacd {BOB.address} lrs".encode()])
    assert bob.myrights(THERE) == ("OK", [f"{THERE} lrs".encode()])
    assert bob.select(THERE) == ("OK", [b"1"])
    assert bob.fetch("1", "(BODY[])")[1][0][1] == LETTER
    assert bob.copy("1", "Shared/info@blue.test/INBOX")[0] == "OK"
    assert bob.store("1", "+FLAGS", "\\Deleted")[0] == "NO"
    assert ann.select("Shared/info@blue.test/INBOX") == ("OK", [b"1"])
    assert ann.fetch("1", "(FLAGS INTERNALDATE)")[1][0].startswith(b'1 (FLAGS (\\Seen \\Recent) INTERNALDATE "17-Jul-1996')
    assert ann.deleteacl("Plans", BOB.address)[0] == "OK"
    with pytest.raises(imaplib.IMAP4.abort):
        bob.noop()
