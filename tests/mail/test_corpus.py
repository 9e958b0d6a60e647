"""What holds for every mail of the corpus, whatever Dovecot says of it (that is tests/interop/test_corpus.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.corpus.all import MAILS
from tests.corpus.asking import read
from twistmail.mail import mime, paged
from twistmail.mail.content import Memory
from twistmail.mail.parts import scan

each = pytest.mark.parametrize("message", [pytest.param(message, id=name) for name, message in MAILS.items()])


@each
def test_the_answers_can_be_read_by_a_client(message: bytes) -> None:
    found = mime.describe(message)
    response = b"* 1 FETCH (ENVELOPE %b BODY %b BODYSTRUCTURE %b)\r\n" % (found.envelope, found.body, found.bodystructure)
    items = read(response)
    assert list(items) == ["ENVELOPE", "BODY", "BODYSTRUCTURE"]
    assert len(items["ENVELOPE"]) == 10
    assert b"\0" not in response
    assert b"\r" not in response.replace(b"\r\n", b"") or b"{" in response


@each
def test_a_window_shows_the_same_as_memory(monkeypatch: pytest.MonkeyPatch, message: bytes) -> None:
    monkeypatch.setattr(paged, "WINDOW", 512)
    assert mime.describe(paged.Paged(Memory(message)))[1:] == mime.describe(message)[1:]


@each
def test_parts_lie_within_each_other_and_in_order(message: bytes) -> None:
    root = scan(message)
    assert (root.start, root.end) == (0, len(message))
    for part in root.walk():
        assert part.start <= part.body <= part.end
        at = part.body
        for child in part.children:
            assert at <= child.start <= child.end <= max(part.end, child.start)
            assert child.depth == part.depth + 1
            at = child.end


@each
def test_a_section_is_the_octets_between_its_offsets(message: bytes) -> None:
    root = scan(message)
    for numbers in _numbers(message):
        part = mime.find(root, numbers)
        assert part is not None
        assert mime.section(message, numbers) == message[part.body : part.end]
        assert mime.section(message, numbers, "MIME") == message[part.start : part.body]
    assert mime.section(message, ()) == message
    assert mime.section(message, (), "HEADER") + mime.section(message, (), "TEXT") == message  # type: ignore[operator]


def _numbers(message: bytes) -> Iterator[tuple[int, ...]]:
    """The numbers of the parts of the first two levels."""
    root = scan(message)
    for number in range(1, 1 + (len(root.children) if root.is_multipart else 0)):
        yield (number,)
        child = root.children[number - 1]
        if child.is_multipart:
            yield from ((number, below) for below in range(1, 1 + len(child.children)))
