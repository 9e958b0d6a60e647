"""Mail that comes while a client opens its mailbox, and before it is idle, has been told as soon as it is (R67)."""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import threading
import time
from random import Random

import pytest

#: Times that a client comes; a message arrives at some moment of the first milliseconds.
ROUNDS = 15
SOON = 5.0
EXISTS = re.compile(rb"^\* (\d+) EXISTS\r$", re.MULTILINE)


def deliver(house, guest, subject):
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
        smtp.sendmail("eve@red.test", [guest.address], f"Subject: {subject}\r\n\r\nwords\r\n")


def told(client, wanted):
    """How many messages the client has heard of in the end, when it is idle: *wanted*, or what it was after some seconds."""
    heard, end = b"", time.monotonic() + SOON
    client.settimeout(0.2)
    while time.monotonic() < end:
        with contextlib.suppress(TimeoutError):
            heard += client.recv(65536)
        found = EXISTS.findall(heard)
        if b"+ idling" in heard and found and int(found[-1]) == wanted:
            break
    return int(found[-1])


@pytest.mark.parametrize("seed", [1, 2])
def test_no_message_falls_between_opening_and_idling(house, guest, seed):
    random = Random(seed)
    opening = [f"a LOGIN {guest.address} {guest.password}", "b SELECT INBOX", "c UID FETCH 1:* (FLAGS)", "d IDLE"]
    for number in range(1, ROUNDS + 1):
        delay = random.uniform(0, 0.03)
        courier = threading.Timer(delay, deliver, (house, guest, number))
        with socket.create_connection(("127.0.0.1", house.port("imap"))) as client:
            courier.start()
            for line in opening:
                client.sendall(line.encode() + b"\r\n")
                time.sleep(random.uniform(0, 0.008))
            assert told(client, number) == number, f"after {delay:.4f} s"
        courier.join()
