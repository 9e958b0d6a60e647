"""A big message in a file is read and encoded a piece at a time; see test_exchange for what servers get."""

from __future__ import annotations

import tracemalloc
from email import message_from_bytes

import pytest

from tests.helpers import result_of
from twistmail import tasks
from twistmail.disk import FileContent
from twistmail.mail.content import Memory
from twistmail.mail.item import Item
from twistmail.relay.fitting import GROWN, SMALL, Fitted, SevenBit, fit, in_memory

ITEM = Item("i1", None, (), 0.0, 0, body="8BITMIME")
TEXT = b"Content-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\n\r\n"


class Counting(tasks.Inline):
    """Threads that tell how often they were asked."""

    def __init__(self):
        self.asked = 0

    async def run(self, function, *args, **keywords):
        self.asked += 1
        return await super().run(function, *args, **keywords)


def test_a_message_that_the_server_takes_as_it_is_stays_where_it_is(tmp_path):
    """It is looked through once, for long lines."""
    path = tmp_path / "content"
    path.write_bytes(TEXT)
    threads, content = Counting(), FileContent(path)
    fitted = result_of(fit(ITEM, content, {"8BITMIME": ""}, threads, utf8_envelope=False))
    assert fitted == Fitted(content, len(TEXT), ("BODY=8BITMIME",))
    assert threads.asked == 1


def test_what_is_small_is_read_at_once_and_what_is_big_stays_in_its_file(tmp_path):
    path, threads = tmp_path / "content", Counting()
    path.write_bytes(TEXT)
    assert result_of(in_memory(FileContent(path), threads)).data == TEXT
    assert threads.asked == 1
    path.write_bytes(b"x" * (SMALL + 1))
    content = FileContent(path)
    assert result_of(in_memory(content, threads)) is content


def test_a_content_that_has_become_shorter_is_not_sent(tmp_path):
    path = tmp_path / "content"
    path.write_bytes(TEXT)
    with pytest.raises(OSError, match="3 octets of the content are missing"):
        result_of(in_memory(FileContent(path, 0, len(TEXT) + 3), Counting()))


@pytest.mark.parametrize(("offered", "encoding"), [
    pytest.param({"8BITMIME": ""}, "quoted-printable", id="8-bit"),
    pytest.param({}, "quoted-printable", id="7-bit"),
])
def test_a_line_that_is_too_long_for_other_servers_is_encoded(offered, encoding):
    body = b"short\r\n" + b"word " * 400 + b"\r\n"
    fitted = result_of(fit(ITEM, Memory(TEXT + body), offered, Counting(), utf8_envelope=False))
    message = message_from_bytes(fitted.content.data)
    assert message["Content-Transfer-Encoding"] == encoding
    assert message.get_payload(decode=True) == body
    assert fitted.size == len(fitted.content.data)


def test_what_is_too_big_once_it_is_encoded_is_not_sent():
    content = Memory(TEXT + "ä".encode() * 1000 + b"\r\n")
    why = result_of(fit(ITEM, content, {"SIZE": str(content.size)}, Counting(), utf8_envelope=False))
    assert why == GROWN


def test_a_message_in_a_file_is_encoded_as_it_is_sent(tmp_path):
    body = "Grüße, und noch mehr davon\r\n".encode() * 200_000
    path = tmp_path / "content"
    path.write_bytes(TEXT + body)
    threads = Counting()
    fitted = result_of(fit(ITEM, FileContent(path), {}, threads, utf8_envelope=False))
    assert isinstance(fitted.content, SevenBit)
    assert (fitted.size, fitted.parameters, threads.asked) == (None, (), 2)
    tracemalloc.start()
    size = sum(map(len, fitted.content.chunks()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4.5e6 < len(body) < size
    seven = b"".join(fitted.content.chunks())
    assert len(seven) == size
    assert seven.isascii()
    assert message_from_bytes(seven).get_payload(decode=True) == body
    assert fitted.content.beginning(100) == seven[:100]


def test_what_has_seven_bits_already_is_left_alone():
    content = Memory(TEXT + b"hello\r\n")
    assert result_of(fit(ITEM, content, {}, Counting(), utf8_envelope=False)) == Fitted(content, content.size)
