"""fetchmail, the oldest client that polls, takes mail from us by POP3 and by IMAP."""

import mailbox
import smtplib

import pytest

pytestmark = pytest.mark.client("fetchmail")

RC = """\
poll localhost service {port} protocol {protocol} {server_options} user "{user}" password "{password}"
    ssl sslcertck sslcertfile {authority} {options}
    mda "cat >> {place}/got; echo >> {place}/got"
"""


@pytest.fixture
def fetchmail(house, client, place, guest):
    def poll(service, options, server_options="", expect=0):
        rc = place / "rc"
        who = {"user": guest.address, "password": guest.password, "authority": house.authority, "place": place}
        rc.write_text(
            RC.format(port=house.port(service, tls=True), protocol=service.upper(), options=options, server_options=server_options, **who)
        )
        rc.chmod(0o600)
        files = ["-f", rc, "--pidfile", place / "pid", "-i", place / "ids"]
        return client("fetchmail", "--nodetach", "--nosyslog", *files, expect=expect)

    return poll


@pytest.fixture
def letters(house, guest):
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
        for number in range(5):
            smtp.sendmail("eve@red.test", [guest.address], f"Subject: number {number}\r\n\r\nletter {number}\r\n..dots\r\n")


def got(place):
    return sorted(line for line in (place / "got").read_text().split("\n") if line.startswith(("Subject", "letter")))


EXPECTED = sorted([f"Subject: number {number}" for number in range(5)] + [f"letter {number}" for number in range(5)])
NO_MAIL = 1


@pytest.mark.parametrize("service", ["pop3", "imap"])
@pytest.mark.usefixtures("letters")
def test_everything_is_fetched_once_and_removed(house, fetchmail, place, guest, service):
    fetchmail(service, "fetchall nokeep")
    assert got(place) == EXPECTED
    assert house.stored(guest) == []
    fetchmail(service, "fetchall nokeep", expect=NO_MAIL)


@pytest.mark.usefixtures("letters")
def test_pop3_with_uidl_keeps_and_remembers(house, fetchmail, place, guest):
    fetchmail("pop3", "keep", "uidl")
    assert got(place) == EXPECTED
    assert len(house.stored(guest)) == 5
    fetchmail("pop3", "keep", "uidl", expect=NO_MAIL)
    assert got(place) == EXPECTED


@pytest.mark.usefixtures("letters")
def test_imap_marks_what_is_kept_as_seen(house, fetchmail, place, guest):
    fetchmail("imap", "keep")
    assert len(mailbox.Maildir(house.maildir(guest), create=False)) == 5
    fetchmail("imap", "keep", expect=NO_MAIL)
    assert got(place) == EXPECTED
