"""Address lists: RFC 5322 examples, what people really send, and what nobody should."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.mail.addresses import MOST_ADDRESSES, ListedAddress, addresses

END = (None, None, None, None)


def group(name: bytes) -> tuple[None, None, bytes, None]:
    return None, None, name, None


@pytest.mark.parametrize(("value", "found"), [
    pytest.param(b"fred@x.example", [(None, None, b"fred", b"x.example")], id="bare"),
    pytest.param(b"Fred <fred@x.example>", [(b"Fred", None, b"fred", b"x.example")], id="with-a-name"),
    pytest.param(b"  Fred   B.\tFoo  <f@x> ", [(b"Fred B. Foo", None, b"f", b"x")], id="blanks-in-the-name"),
    pytest.param(b'"Foo, Fred" <f@x>, g@y', [(b"Foo, Fred", None, b"f", b"x"), (None, None, b"g", b"y")], id="comma-in-quotes"),
    pytest.param(b'"Giant; \\"Big\\" Box" <g@x>', [(b'Giant; "Big" Box', None, b"g", b"x")], id="escapes"),
    pytest.param(b"=?utf-8?q?J=C3=B6?= <j@x>", [(b"=?utf-8?q?J=C3=B6?=", None, b"j", b"x")], id="encoded-word-is-kept"),
    pytest.param(b"j@x (Joe (the) Plumber)", [(b"Joe (the) Plumber", None, b"j", b"x")], id="comment-as-name"),
    pytest.param(b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", [(b"Pete", None, b"pete", b"silly.test")],
                 id="rfc5322-a5-comments"),
    pytest.param(b"A Group:Ed Jones <joe@where.test>,john@one.test;",
                 [group(b"A Group"), (b"Ed Jones", None, b"joe", b"where.test"),
                  (None, None, b"john", b"one.test"), END], id="rfc5322-a13-group"),
    pytest.param(b"Undisclosed recipients:;", [group(b"Undisclosed recipients"), END], id="empty-group"),
    pytest.param(b"g: a@b", [group(b"g"), (None, None, b"a", b"b"), END], id="unfinished-group"),
    pytest.param(b"a@b, g:;, c@d", [(None, None, b"a", b"b"), group(b"g"), END, (None, None, b"c", b"d")], id="group-among-others"),
    pytest.param(b"<@a.test,@b.test:c@d.test>, e@f", [(None, b"@a.test,@b.test", b"c", b"d.test"), (None, None, b"e", b"f")], id="route"),
    pytest.param(b"q@[192.0.2.1]", [(None, None, b"q", b"[192.0.2.1]")], id="literal"),
    pytest.param(b'"a b"@c', [(None, None, b"a b", b"c")], id="quoted-local-part"),
    pytest.param(b"a . b @ c . d", [(None, None, b"a.b", b"c.d")], id="blanks-beside-dots"),
    pytest.param(b"\xc3\xa9t\xc3\xa9 <a@b>", [(b"\xc3\xa9t\xc3\xa9", None, b"a", b"b")], id="eight-bit-name"),
    pytest.param(b"Fred\r\n <f@x>,\r\n\tg@y", [(b"Fred", None, b"f", b"x"), (None, None, b"g", b"y")], id="folded"),
    pytest.param(b",, a@b ,,", [(None, None, b"a", b"b")], id="empty-entries"),
    pytest.param(b"fred", [(None, None, b"fred", b"")], id="no-domain"),
    pytest.param(b"Fred Foo", [(b"Fred Foo", None, b"", b"")], id="only-a-name"),
    pytest.param(b"a@b c@d", [(None, None, b"a", b"b")], id="missing-comma"),
    pytest.param(b"Joe <a@b", [(b"Joe", None, b"a", b"b")], id="angle-not-closed"),
    pytest.param(b"<>", [(None, None, b"", b"")], id="empty-angle"),
    pytest.param(b'"never ends <a@b>', [(None, None, b"never ends <a@b>", b"")], id="quote-not-closed"),
    pytest.param(b"(never ends a@b", [], id="comment-not-closed"),
    pytest.param(b"", [], id="nothing"),
])  # fmt: skip
def test_addresses(value: bytes, found: list[tuple[bytes | None, ...]]) -> None:
    assert [tuple(entry) for entry in addresses(value)] == found


@pytest.mark.parametrize("piece", [b"a@b, ", b"(x) a@b, ", b"g:a@b;, ", b"<a@b "])
def test_a_list_has_a_limit(piece: bytes) -> None:
    assert len(addresses(piece * 50_000)) <= MOST_ADDRESSES + 1


@pytest.mark.parametrize("piece", [b"(", b"<", b'"', b"\\", b"@", b":", b"a ", b"<@a,", b"a.", b"<:", b'"\\', b"=?"])
def test_junk_takes_linear_time(piece: bytes) -> None:
    def seconds(count: int) -> float:
        began = time.thread_time()
        addresses(piece * count)
        return time.thread_time() - began

    assert takes_linear_time(seconds, 5_000)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"a", b"b.c", *(b"%c" % octet for octet in b'@<>,;:"\\()[ \xff\0'), b"\r\n "])))
def test_nothing_raises(pieces: list[bytes]) -> None:
    for entry in addresses(b"".join(pieces)):
        assert isinstance(entry, ListedAddress)
