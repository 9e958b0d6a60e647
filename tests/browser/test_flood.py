"""A class: thirty browsers with open streams at once, over real sockets."""

from __future__ import annotations

import re
import socket

from tests.browser.house import PATIENCE

BROWSERS = 30


def test_thirty_browsers_hold_streams_at_once_and_each_hears_what_happens(classroom):
    port = int(classroom.url.rpartition(":")[2])
    held = []
    for number in range(BROWSERS):
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
        connection.sendall(f"GET /events?kinds=mail HTTP/1.1\r\nHost: localhost\r\nCookie: browser={number:022}\r\n\r\n".encode())
        held.append(connection)
    for connection in held:
        heard(connection, b"retry: 1000")
    classroom.send("alice@blue.test", "bob@blue.test", "To the whole class")
    numbers = [
        re.search(rb"id: (\d+)\nevent: mail\ndata: .*To the whole class", heard(connection, b"To the whole class"))[1]
        for connection in held
    ]
    assert len(set(numbers)) == 1
    for connection in held:
        connection.close()


def heard(connection: socket.socket, words: bytes) -> bytes:
    octets = b""
    while words not in octets:
        octets += (more := connection.recv(65536))
        assert more, octets
    return octets
