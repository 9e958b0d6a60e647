"""R47: the route table as sendmail and Postfix write it, line by line."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.mail.status import Status
from twistmail.relay.route import Route, Tls, Transport, parse_via
from twistmail.relay.table import Entry, keys, parse
from twistmail.watched import Broken

ERROR = Transport.ERROR


def refusal(code: int, enhanced: str, text: str) -> Route:
    return Route("", use_mx=False, port=0, transport=ERROR, answer=Status(code, enhanced, text))


@pytest.mark.parametrize(("text", "expected"), [
    pytest.param("smtp:[10.0.0.2]:2525", Route("10.0.0.2", use_mx=False, port=2525), id="Postfix-smtp"),
    pytest.param("smtp:mx.part.test", Route("mx.part.test"), id="by-MX-of-another-domain"),
    pytest.param("esmtp:[Mx.Part.Test]", Route("mx.part.test", use_mx=False), id="sendmail-esmtp"),
    pytest.param("relay:mx.part.test:26", Route("mx.part.test", port=26), id="sendmail-relay"),
    pytest.param("relay:587", Route("relay", port=587), id="a-server-called-relay"),
    pytest.param(":[10.0.0.2]", Route("10.0.0.2", use_mx=False), id="Postfix-next-hop-only"),
    pytest.param("smtp:", Route(""), id="the-domains-own-servers"),
    pytest.param("smtps:relay.test", Route("relay.test", port=465, implicit_tls=True), id="smtps"),
    pytest.param("smtp://[2001:db8::1]:26", Route("2001:db8::1", use_mx=False, port=26), id="URL-with-IPv6"),
    pytest.param("lmtp:[10.0.0.3]", Route("10.0.0.3", use_mx=False, port=24, transport=Transport.LMTP), id="lmtp"),
    pytest.param("lmtp:inet:store.test:2400", Route("store.test", use_mx=False, port=2400, transport=Transport.LMTP), id="lmtp-inet"),
    pytest.param("lmtp:unix:/run/Store.sock", Route("unix:/run/Store.sock", use_mx=False, port=0, tls=Tls.OFF, transport=Transport.LMTP),
                 id="lmtp-by-UNIX-socket"),
    pytest.param("lmtp:/run/s", Route("unix:/run/s", use_mx=False, port=0, tls=Tls.OFF, transport=Transport.LMTP), id="lmtp-path"),
    pytest.param("local:fred", Route("fred", use_mx=False, port=0, transport=Transport.LOCAL), id="local"),
    pytest.param("local:", Route("", use_mx=False, port=0, transport=Transport.LOCAL), id="local-by-the-same-name"),
    pytest.param("pipe:tickets", Route("tickets", use_mx=False, port=0, transport=Transport.PIPE), id="pipe"),
    pytest.param("discard:", Route("", use_mx=False, port=0, transport=Transport.DISCARD), id="discard"),
    pytest.param("discard:silently", Route("", use_mx=False, port=0, transport=Transport.DISCARD), id="discard-with-a-word"),
    pytest.param("error:5.1.6 moved to x", refusal(550, "5.1.6", "moved to x"), id="error-with-enhanced-code"),
    pytest.param("error:5.1.6:551 moved", refusal(551, "5.1.6", "moved"), id="sendmail-with-both-codes"),
    pytest.param("error:551 5.1.6 moved", refusal(551, "5.1.6", "moved"), id="a-whole-reply"),
    pytest.param("error:554 gone", refusal(554, "5.0.0", "gone"), id="a-basic-code"),
    pytest.param('error:nouser "no such user"', refusal(550, "5.1.1", "no such user"), id="sendmail-keyword"),
    pytest.param("error:tempfail later", refusal(450, "4.3.0", "later"), id="sendmail-tempfail"),
    pytest.param("error:mailbox closed", refusal(550, "5.0.0", "mailbox closed"), id="words-only"),
    pytest.param("error:4.4.1 away", refusal(450, "4.4.1", "away"), id="a-temporary-one"),
    pytest.param("retry:away", refusal(450, "4.0.0", "away"), id="Postfix-retry"),
    pytest.param("error:", refusal(550, "5.0.0", "Mail for that address is not taken"), id="no-words"),
    pytest.param("error:5.1.6 two\r\nlines\x07", refusal(550, "5.1.6", "two  lines "), id="no-controls-in-a-reply"),
])
def test_where_mail_goes_is_read_as_others_write_it(text, expected):
    assert parse_via(text) == expected


@pytest.mark.parametrize("text", [
    "", "smtp://", "lmtp:", "lmtp:unix:run/x", "lmtp://x", "pipe:", "pipe:/bin/sh -c x", "pipe:a b", "local:a b", "local://x", "uucp:x",
    "smtp:[10.0.0.2", "smtp:a:b:c", "error:5.1.1:450 no", "error://x", "smtp:[h]:0", "smtp:user@host",
])
def test_what_goes_nowhere_is_refused_in_two_lines(text):
    with pytest.raises(ValueError) as error:
        parse_via(text)
    assert str(error.value)


@pytest.mark.parametrize("text", [
    "relay.test", "[relay.test]", "[relay.test]:587", "relay.test:587", "[2001:db8::1]:26", "lmtp:[s.test]", "lmtp:[s.test]:2400",
    "lmtp:unix:/run/s", "local:fred", "pipe:tickets", "discard:",
])
def test_a_route_is_written_as_it_is_read(text):
    assert str(parse_via(text)) == text


TABLE = """\
# the neighbours
Partner.test\tsmtp:[10.0.0.2]:2525
.part.test    smtp:[10.0.0.3]

Info@Shop.test  local:anna
old.test      error:5.1.6 moved
   to new.test
  # a comment in between
   on Monday
kept.test     hold:
later.test    HOLD:smtp:[10.0.0.4]
bücher.test   discard:
*             smtp:[relay.test]:587
gone.test     discard
usual.test    :
"""


def test_a_whole_table():
    table = parse(TABLE)
    assert table == {
        "partner.test": Entry("partner.test", parse_via("[10.0.0.2]:2525"), 2),
        ".part.test": Entry(".part.test", parse_via("[10.0.0.3]"), 3),
        "info@shop.test": Entry("info@shop.test", parse_via("local:anna"), 5),
        "old.test": Entry("old.test", parse_via("error:5.1.6 moved to new.test on Monday"), 6),
        "kept.test": Entry("kept.test", parse_via("smtp:"), 10, held=True),
        "later.test": Entry("later.test", parse_via("[10.0.0.4]"), 11, held=True),
        "xn--bcher-kva.test": Entry("xn--bcher-kva.test", parse_via("discard:"), 12),
        "*": Entry("*", parse_via("[relay.test]:587"), 13),
        "gone.test": Entry("gone.test", parse_via("discard:"), 14),
        "usual.test": Entry("usual.test", parse_via("smtp:"), 15),
    }


@pytest.mark.parametrize(("text", "line", "why"), [
    pytest.param("far.test", 1, "goes nowhere", id="no-right-side"),
    pytest.param("\nfar.test uucp:x", 2, "no mail server", id="an-unknown-transport"),
    pytest.param("a.test smtp:[h]\na.test smtp:[i]", 2, "stands in line 1", id="twice"),
    pytest.param("A@a.test local:x\na@a.test local:y", 2, "stands in line 1", id="one-address-in-two-spellings"),
    pytest.param("a.test slow", 1, "no transport", id="a-word-that-is-no-transport"),
    pytest.param("..test smtp:[h]", 1, "not a domain", id="an-empty-label"),
    pytest.param("ann@ smtp:[h]", 1, "domain", id="no-domain"),
    pytest.param("ann@a.test hold:", 1, "whole domains", id="hold-for-one-address"),
    pytest.param("a.test hold:discard:", 1, "nobody who could call", id="hold-what-nobody-calls-for"),
    pytest.param("a.test smtp:[h]:99999", 1, "no port", id="port"),
])
def test_a_mistake_is_told_with_its_line(text, line, why):
    with pytest.raises(Broken) as broken:
        parse(text)
    assert broken.value.problems[0][0] == line
    assert why in broken.value.problems[0][1]


def test_at_most_twenty_mistakes_are_told():
    with pytest.raises(Broken) as broken:
        parse("\n".join(f"d{n}.test" for n in range(1000)))
    assert len(broken.value.problems) == 20


def test_the_most_specific_name_comes_first():
    assert list(keys("a.b.test")) == ["a.b.test", ".b.test", ".test", "*"]
    assert list(keys("[192.0.2.1]")) == ["[192.0.2.1]", "*"]


@given(st.text(max_size=200))
def test_any_text_is_a_table_or_has_mistakes(text):
    table, problems = {}, ()
    try:
        table = parse(text)
    except Broken as broken:
        problems = broken.problems
    assert all(line > 0 and why for line, why in problems)
    assert all(entry.key == key for key, entry in table.items())


def test_a_large_table_takes_linear_time():
    def seconds(count):
        text = "\n".join(f"d{n}.test smtp:[10.0.0.{n % 250}]" for n in range(count))
        begun = time.process_time()
        parse(text)
        return time.process_time() - begun

    assert takes_linear_time(seconds, 500)
