"""A tree is copied to a second host by rsync, and read there: the same UIDVALIDITY, UIDs, flags and dates (R62)."""

from __future__ import annotations

import contextlib
import smtplib

import imapclient
import pytest

from tests.interop.dovecot import difference, state_of
from tests.interop.house import IS_ROOT, NOBODY, House, Person, folder, run, running

pytestmark = pytest.mark.client("rsync")

ALICE = Person("alice")
INDEX = "twistmail-index.sqlite*"


@contextlib.contextmanager
def client_of(house):
    with imapclient.IMAPClient("127.0.0.1", house.port("imap"), ssl=False, timeout=20) as client:
        client.login(ALICE.address, ALICE.password)
        yield client


def send(house, *numbers):
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
        for number in numbers:
            smtp.sendmail("eve@red.test", [ALICE.address], f"Subject: {number}\r\n\r\nLetter {number}.\r\n")


def work(house):
    """What leaves traces everywhere."""
    send(house, *range(20))
    with client_of(house) as client:
        client.create_folder("Work/a.b")
        client.subscribe_folder("Work/a.b")
        client.select_folder("INBOX")
        client.add_flags([2, 3, 5], [b"\\Seen", b"label"])
        client.move([4, 5], "Work/a.b")
        client.delete_messages([7])
        client.expunge()


def copy(source, target, *options):
    owner = [f"--chown={NOBODY}:{NOBODY}"] if IS_ROOT else []
    run("rsync", "-a", "--delete", *owner, *options, f"{source.data}/mail/", f"{target.data}/mail/")


@pytest.mark.parametrize("options", [pytest.param((), id="with-the-index"), pytest.param((f"--exclude={INDEX}",), id="without-the-index")])
def test_the_copy_is_the_same_mailbox(options):
    with folder() as here, folder() as there:
        first, second = House(here), House(there)
        for house in (first, second):
            house.add(ALICE)
        with running(first):
            work(first)
            copy(first, second, *options)  # while it is served
            send(first, 100)
            with client_of(first) as client:
                client.select_folder("INBOX")
                client.remove_flags([2], [b"\\Seen"])
        with running(second):
            send(second, 200)  # which the next copy takes away again
        copy(first, second, *options)
        with running(first), running(second), client_of(first) as one, client_of(second) as other:
            assert difference(state_of(one), state_of(other)) == []
            assert len(state_of(other).mailboxes["INBOX"].messages) == 18
