"""A big message in a file is read and encoded a piece at a time; see test_exchange for what servers get."""

from __future__ import annotations

import tracemalloc
from email import message_from_bytes

from tests.helpers import result_of
from twistmail import tasks
from twistmail.disk import FileContent
from twistmail.mail.content import Memory
from twistmail.mail.item import Item
from twistmail.relay.fitting import Fitted, SevenBit, fit

ITEM = Item("i1", None, (), 0.0, 0, body="8BITMIME")
TEXT = b"Content-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\n\r\n"


class Counting(tasks.Inline):
    """Threads that tell how often they were asked."""

    def __init__(self):
        self.asked = 0

    async def run(self, function, *args, **keywords):
        self.asked += 1
        return await super().run(function, *args, **keywords)


def test_nobody_looks_into_a_message_that_the_server_takes_as_it_is(tmp_path):
    threads, content = Counting(), FileContent(tmp_path / "missing", 0, 5)
    fitted = result_of(fit(ITEM, content, {"8BITMIME": ""}, threads, utf8_envelope=False))
    assert fitted == Fitted(content, ("BODY=8BITMIME",))
    assert threads.asked == 0


def test_a_message_in_a_file_is_encoded_as_it_is_sent(tmp_path):
    body = "Grüße, und noch mehr davon\r\n".encode() * 200_000
    path = tmp_path / "content"
    path.write_bytes(TEXT + body)
    threads = Counting()
    fitted = result_of(fit(ITEM, FileContent(path), {}, threads, utf8_envelope=False))
    assert isinstance(fitted.content, SevenBit)
    assert (fitted.is_same, fitted.parameters, threads.asked) == (False, (), 2)
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
    assert result_of(fit(ITEM, content, {}, Counting(), utf8_envelope=False)) == Fitted(content)
