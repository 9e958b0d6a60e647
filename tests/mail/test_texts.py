"""The texts of big parts come in pieces; joined they are what decoding all at once gives."""

from __future__ import annotations

import base64
import binascii
import codecs
import random

import pytest

from twistmail.mail import mime, texts, words

RANDOM = random.Random(7)
PROSE = "".join(RANDOM.choice(["Gr\u00fc\u00dfe ", "\u00fcber = alles ", "word ", "\r\n"]) for _ in range(40_000))


def part(octets: bytes, charset: str, encoding: str) -> bytes:
    return f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + octets


def in_lines(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("octets", "charset", "encoding"),
    [
        pytest.param(PROSE.encode(), "utf-8", "8bit", id="utf-8"),
        pytest.param(PROSE.encode("latin-1"), "iso-8859-1", "8bit", id="latin-1"),
        pytest.param(PROSE.encode(), "nobody-knows", "8bit", id="unknown-and-utf-8"),
        pytest.param(PROSE.encode() + b"\xff", "nobody-knows", "8bit", id="unknown-and-not-utf-8-at-the-very-end"),
        pytest.param(binascii.b2a_qp(PROSE.encode(), istext=False).replace(b"=\n", b"=\r\n"), "utf-8", "quoted-printable", id="quoted"),
        pytest.param(in_lines(PROSE.encode()), "utf-8", "base64", id="base64-in-lines"),
        pytest.param(base64.b64encode(PROSE.encode()), "utf-8", "base64", id="base64-in-one-line"),
        pytest.param(in_lines(PROSE.encode("utf-16")), "utf-16", "base64", id="utf-16"),
        pytest.param(in_lines(PROSE.encode("utf-7")), "utf-7", "base64", id="utf-7"),
        pytest.param(("\u65e5\u672c\u8a9e " * 50_000).encode("iso-2022-jp"), "iso-2022-jp", "7bit", id="shifted"),
        pytest.param(("\u65e5\u672c\u8a9e" * 50_000).encode("gb18030"), "gb18030", "8bit", id="two-and-four-octets"),
        pytest.param(b"".join(RANDOM.randbytes(70) + b"\r\n" for _ in range(2000)), "utf-8", "8bit", id="noise"),
    ],
)
def test_pieces_joined_are_the_whole(octets: bytes, charset: str, encoding: str) -> None:
    message = part(octets, charset, encoding)
    (pieces,) = map(list, texts.texts_of(message))
    whole = words.decode(texts.undone(octets, encoding.encode()), charset)
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= texts.PIECE
    assert "".join(pieces) == whole
    assert list(mime.text_of(message)) == [whole]


def test_every_charset_can_be_decoded_in_pieces() -> None:
    for codec in sorted(set(words._CODECS.values())):
        octets = "plain words\r\n".encode(codec, "ignore") * 7000
        (pieces,) = map(list, texts.texts_of(part(octets, codec, "8bit")))
        assert "".join(pieces)[:5] in words.decode(octets, codec)
        assert codecs.getincrementaldecoder(codec)


def test_no_half_of_a_character_comes_through() -> None:
    message = b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-x"
    assert "".join("".join(pieces) for pieces in texts.texts_of(message)) == "\ufffdx"


def test_an_endless_shift_is_not_decoded_again_and_again() -> None:
    octets = b"+" + b"AGEAYQ" * 500_000
    (pieces,) = map(list, texts.texts_of(part(octets, "utf-7", "8bit")))
    assert max(map(len, pieces)) <= 2 * texts.PIECE


def test_an_escape_is_not_cut_in_two() -> None:
    octets = b"x" * (texts.PIECE - 1) + b"=41" + b"y" * texts.PIECE
    (pieces,) = map(list, texts.texts_of(part(octets, "utf-8", "quoted-printable")))
    assert "".join(pieces) == "x" * (texts.PIECE - 1) + "A" + "y" * texts.PIECE
