"""URLs of messages: what they mean, and what none is."""

from __future__ import annotations

from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.mail.imapurl import BadUrl, Grant, MessageUrl, Server, is_proven, parse, token

HERE = Server("joe", "example.com")
TOKEN = "91354a473744909de610943775f92038"


@pytest.mark.parametrize(("text", "meant"), [
    pytest.param("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER", MessageUrl("Drafts", 20, 385759045, "HEADER"), id="rfc-4469"),
    pytest.param("/Drafts/;UID=3002", MessageUrl("Drafts", 3002), id="rfc-8508"),
    pytest.param("/a/b/;UID=1/;SECTION=1.2.MIME/;PARTIAL=5.7", MessageUrl("a/b", 1, None, "1.2.MIME", 5, 7), id="part-of-a-part"),
    pytest.param("/x/;UID=1/;PARTIAL=5", MessageUrl("x", 1, offset=5), id="from-there-to-the-end"),
    pytest.param(";UID=1", MessageUrl("at/base", 1), id="in-the-selected-mailbox"),
    pytest.param("/;UID=1", MessageUrl("at/base", 1), id="in-the-selected-mailbox-with-a-slash"),
    pytest.param("other/;UID=1", MessageUrl("at/other", 1), id="beside-the-selected-mailbox"),
    pytest.param("/other;uidvalidity=3/;uid=1", MessageUrl("other", 1, 3), id="names-in-any-case"),
    pytest.param("/Entw%C3%BCrfe%2Fx/;UID=1/;SECTION=HEADER.FIELDS%20(FROM)",
                 MessageUrl("Entw\u00fcrfe/x", 1, None, "HEADER.FIELDS (FROM)"), id="escaped"),
    pytest.param("imap://joe@example.com/INBOX/;uid=20", MessageUrl("INBOX", 20, server=HERE), id="server"),
    pytest.param("IMAP://joe%40b;AUTH=*@EXAMPLE.com:1143/INBOX/;uid=20",
                 MessageUrl("INBOX", 20, server=Server("joe@b", "example.com", 1143)), id="user-mechanism-and-port"),
    pytest.param("imap://[2001:db8::1]/x/;uid=20", MessageUrl("x", 20, server=Server("", "[2001:db8::1]")), id="address"),
    pytest.param("imap://joe@example.com/INBOX/;uid=20;section=1.2;urlauth=submit+fred",
                 MessageUrl("INBOX", 20, None, "1.2", server=HERE, grant=Grant(
                     "submit+fred", None, "imap://joe@example.com/INBOX/;uid=20;section=1.2;urlauth=submit+fred")), id="rump-of-rfc-4467"),
    pytest.param(f"imap://joe@example.com/INBOX/;uid=20;expire=2026-11-21T03:20:00Z;urlauth=authuser:internal:{TOKEN.upper()}",
                 MessageUrl("INBOX", 20, server=HERE, grant=Grant(
                     "authuser", 1795231200.0, "imap://joe@example.com/INBOX/;uid=20;expire=2026-11-21T03:20:00Z;urlauth=authuser",
                     "INTERNAL", TOKEN)), id="with-a-token"),
])  # fmt: skip
def test_what_a_url_means(text, meant):
    assert parse(text, "at/base") == meant


@pytest.mark.parametrize("text", [
    pytest.param("", id="nothing"),
    pytest.param(";UID=1", id="no-mailbox-selected"),
    pytest.param("/x", id="mailbox"),
    pytest.param("/x?TEXT%20a", id="search"),
    pytest.param("/x/;UID=0", id="uid-0"),
    pytest.param("/x/;UID=99999999999", id="uid-too-large"),
    pytest.param("/x/;UID=1/;SECTION=", id="empty-section"),
    pytest.param("/x/;UID=1/;PARTIAL=1.0", id="no-octets"),
    pytest.param("/x/;UID=1/;PARTIAL=1.2.3", id="more-than-a-range"),
    pytest.param("/x/;UID=1/;PARTIAL=1/;SECTION=1", id="wrong-order"),
    pytest.param("/x/;UID=1 ", id="space"),
    pytest.param("/x\u00fc/;UID=1", id="8-bit"),
    pytest.param("/x%/;UID=1", id="half-an-escape"),
    pytest.param("/x%ff/;UID=1", id="escape-of-no-utf8"),
    pytest.param("//example.com/x/;UID=1", id="no-scheme"),
    pytest.param("imap:/x/;UID=1", id="no-server"),
    pytest.param("imap://example.com", id="server-only"),
    pytest.param("http://example.com/x/;UID=1", id="another-scheme"),
    pytest.param("/x/;UID=1;URLAUTH=", id="leave-for-nobody"),
    pytest.param("/x/;UID=1;URLAUTH=anonymous:INTERNAL", id="half-a-verifier"),
    pytest.param("/x/;UID=1;URLAUTH=anonymous:INTERNAL:abc", id="short-token"),
    pytest.param("/x/;UID=1;EXPIRE=tomorrow;URLAUTH=anonymous", id="no-time"),
    pytest.param("/x/;UID=1;EXPIRE=2026-13-21T03:20:00Z;URLAUTH=anonymous", id="no-such-month"),
    pytest.param("/" + "x" * 9000 + "/;UID=1", id="too-long"),
])  # fmt: skip
def test_what_means_no_message(text):
    with pytest.raises(BadUrl):
        parse(text)


@given(st.text("imap:/;=?@UID1SECTONRLAHx%4.", max_size=60))
def test_no_text_does_harm(text):
    try:
        assert parse(text).uid
    except BadUrl:
        pass


def test_a_token_proves_one_url_and_one_key():
    rump = "imap://joe@example.com/x/;UID=1;URLAUTH=anonymous"
    grant = parse(f"{rump}:internal:{token(rump, b'key')}").grant
    assert grant.rump == rump
    assert is_proven(grant, b"key")
    assert not is_proven(grant, b"other key")
    assert not is_proven(parse(f"{rump}x:internal:{token(rump, b'key')}").grant, b"key")
    assert not is_proven(parse(f"{rump}:other:{token(rump, b'key')}").grant, b"key")


@pytest.mark.parametrize("piece", ["/", ";UID=1", "x", ":a", "%41", ";EXPIRE=1"])
def test_reading_takes_linear_time(piece, monkeypatch):
    monkeypatch.setattr("twistmail.mail.imapurl.LONGEST", 1 << 30)

    def seconds(count):
        before = thread_time()
        for text in (piece * count, "/x/;UID=1;URLAUTH=" + piece * count, "/x/;UID=1;EXPIRE=" + piece * count):
            try:
                parse(text)
            except BadUrl:
                pass
        return thread_time() - before

    assert takes_linear_time(seconds, 2000)
