"""fetchmail brings mail from one mailbox of ours to our own port 25: what was delivered here before is no loop (row R76)."""

import email
import smtplib

import pytest

pytestmark = pytest.mark.client("fetchmail")

RC = """\
poll localhost service {port} protocol {protocol} user "{user}" password "{password}"
    ssl sslcertck sslcertfile {authority} fetchall nokeep
    smtphost "127.0.0.1/{mx}" smtpname "{recipient}"
"""
NO_MAIL = 1


@pytest.fixture
def bring(house, client, place):
    """bring(person, recipient): fetchmail takes all that *person* has, and gives it to our port 25 for *recipient*."""

    def poll(person, recipient, protocol="pop3", expect=0):
        rc = place / "rc"
        who = {"user": person.address, "password": person.password, "authority": house.authority, "mx": house.port("mx")}
        rc.write_text(RC.format(port=house.port(protocol, tls=True), protocol=protocol.upper(), recipient=recipient, **who))
        rc.chmod(0o600)
        files = ["-f", rc, "--pidfile", place / "pid", "-i", place / "ids"]
        return client("fetchmail", "--nodetach", "--nosyslog", *files, expect=expect)

    return poll


def letters(house, person, count=3):
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
        for number in range(count):
            smtp.sendmail("eve@red.test", [person.address], f"From: eve@red.test\r\nSubject: number {number}\r\n\r\nletter {number}\r\n")


def subjects(house, person):
    return sorted(email.message_from_bytes(message)["Subject"] for message in house.stored(person))


def delivered_to(house, person):
    return [email.message_from_bytes(message).get_all("Delivered-To") for message in house.stored(person)]


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_what_is_fetched_from_one_mailbox_and_given_to_port_25_for_another_is_there_once(house, bring, guest, other, protocol):
    letters(house, guest)
    bring(guest, other.address, protocol)
    assert house.stored(guest) == []
    assert subjects(house, other) == ["number 0", "number 1", "number 2"]
    assert delivered_to(house, other) == [[other.address, guest.address]] * 3
    bring(guest, other.address, protocol, expect=NO_MAIL)


def test_mail_that_was_delivered_to_the_very_same_address_is_taken_again(house, bring, guest):
    letters(house, guest, 2)
    bring(guest, guest.address)
    assert subjects(house, guest) == ["number 0", "number 1"]
    assert delivered_to(house, guest) == [[guest.address] * 2] * 2


def test_whoever_brings_it_in_circles_ends_by_a_refusal_and_not_by_a_flood(house, bring, guest):
    letters(house, guest, 1)
    bring(guest, guest.address)
    said = bring(guest, guest.address, expect=None)
    assert "554 5.4.6" in said.stdout + said.stderr
    assert all(len(names) <= 2 for names in delivered_to(house, guest))


def test_a_recipient_whom_nobody_knows_costs_no_other_message(house, bring, guest, other):
    letters(house, guest, 1)
    bring(guest, f"nobody@{guest.address.rpartition('@')[2]}", expect=None)
    letters(house, guest, 1)
    bring(guest, other.address, expect=None)
    assert "number 0" in subjects(house, other)
