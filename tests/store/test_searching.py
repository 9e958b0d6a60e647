"""The search that reads: in pieces, and what it keeps for the index."""

from __future__ import annotations

import pytest

from twistmail.mail import texts
from twistmail.store import searching
from twistmail.store.searching import MOST_KEPT, SEPARATOR, Texts, holds, sought, texts_of

BIG = texts.PIECE + 1000


def message(body: str, *fields: str) -> bytes:
    return ("\r\n".join(fields or ("Subject: s",)) + "\r\n\r\n").encode() + body.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("before", [0, 1, texts.PIECE - 6, texts.PIECE - 3, texts.PIECE, 2 * texts.PIECE - 4])
@pytest.mark.parametrize("line", ["", "\r\n" * 10])
def test_what_stands_across_two_pieces_is_found(before: int, line: str) -> None:
    content = message("x" * before + "NeEdLe" + line + "y" * BIG)
    assert holds(content, "needle", headers=False)
    assert holds(content, "needle" + line + "yyy", headers=False)
    assert not holds(content, "needles", headers=False)


def test_texts_are_searched_one_by_one() -> None:
    two = 'Content-Type: multipart/mixed; boundary="b"'
    content = message("--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", two)
    assert texts_of(content) == Texts(header=two.casefold(), body=f"one{SEPARATOR}two", whole=True)
    assert not holds(content, "onetwo", headers=False)


def test_a_message_without_text_holds_not_even_nothing() -> None:
    picture = message("AAAA", "Content-Type: image/png")
    assert texts_of(picture).body is None
    assert not holds(picture, "", headers=False)
    assert holds(picture, "", headers=True)
    assert holds(message(""), "", headers=False)


def test_of_a_long_text_the_beginning_is_kept() -> None:
    kept = texts_of(message("x" * MOST_KEPT + "needle"))
    assert not kept.whole
    assert kept.body == "x" * MOST_KEPT


def test_what_sqlite_cannot_hold_is_replaced_in_texts_and_needles_alike() -> None:
    assert texts_of(message("a\0b\ufdd0c\uffff")).body == "a\ufffdb\ufffdc\ufffd"
    assert sought("A\0B", headers=True) == searching.Sought("a\0b", True, "a\ufffdb", False)
    assert sought("\ud800", headers=True).plain == "\ufffd"
    assert sought("Gr\u00fc\u00dfe", headers=False) == searching.Sought("gru\u0308sse", False, "gru\u0308sse", True)
