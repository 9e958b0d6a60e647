"""What a server offers, and what of that we use."""

from __future__ import annotations

import pytest

from tests.relay.test_exchange import AUTH, EHLO, STARTTLS, TAKEN, Relay, codes, offering, targets
from twistmail.relay.exchange import Session
from twistmail.relay.offers import AVOID, AVOIDABLE, avoided_at, offered
from twistmail.relay.route import Host
from twistmail.wire.smtp.client import Reply

HOST = Host("MX.broken.test", "192.0.2.7", 25)
read, write = AVOID.kind.read, AVOID.kind.write


@pytest.mark.parametrize(("lines", "found"), [
    pytest.param((b"hello",), {}, id="nothing"),
    pytest.param((b"hello", b"size 1000", b"Pipelining"), {"SIZE": "1000", "PIPELINING": ""}, id="in-upper-case"),
    pytest.param((b"hello", b"AUTH PLAIN", b"AUTH=LOGIN"), {"AUTH": "PLAIN LOGIN"}, id="AUTH-in-two-spellings"),
    pytest.param((b"CHUNKING", b"DSN"), {"DSN": ""}, id="the-first-line-is-a-greeting"),
    pytest.param((b"hello", b"\xff\xfe 1"), {"\ufffd\ufffd": "1"}, id="no-ASCII"),
])  # fmt: skip
def test_what_a_server_offers(lines, found):
    assert offered(Reply(250, lines)) == found


@pytest.mark.parametrize(("text", "host", "found"), [
    pytest.param("", HOST, set(), id="nothing"),
    pytest.param("chunking", HOST, {"CHUNKING"}, id="everywhere"),
    pytest.param("mx.broken.test=CHUNKING", HOST, {"CHUNKING"}, id="by-its-name"),
    pytest.param("192.0.2.7=DSN SIZE [192.0.2.7]=PIPELINING", HOST, {"DSN", "SIZE", "PIPELINING"}, id="by-its-address"),
    pytest.param("[2001:db8::7]=DSN", Host("mx", "2001:db8::7", 25), {"DSN"}, id="IPv6"),
    pytest.param("mx.other.test=CHUNKING", HOST, set(), id="of-another-server"),
])  # fmt: skip
def test_what_is_avoided_where(text, host, found):
    assert avoided_at(host, read(text)) == found
    assert read(write(read(text))) == read(text)


@pytest.mark.parametrize(("text", "told"), [
    pytest.param("CHUNKIN", "did you mean CHUNKING?", id="misspelled"),
    pytest.param("STARTTLS", "whether mail is encrypted says tls", id="the-encryption"),
    pytest.param("mx=REQUIRETLS", "whether mail is encrypted says tls", id="the-encryption-of-one"),
    pytest.param("=CHUNKING", "write PIPELINING, CHUNKING", id="of-nobody"),
    pytest.param("mx.test=", "write PIPELINING, CHUNKING", id="nothing-of-somebody"),
])  # fmt: skip
def test_what_cannot_be_avoided(text, told):
    with pytest.raises(ValueError, match=r"\n") as wrong:
        read(text)
    assert told in str(wrong.value)


@pytest.mark.parametrize("keyword", AVOIDABLE)
def test_mail_arrives_without(keyword):
    everything = offering(b"CHUNKING", b"SMTPUTF8", b"DSN", b"DELIVERBY", b"MT-PRIORITY", b"LIMITS RCPTMAX=10")
    relay = Relay({b"EHLO": everything})
    relay.manners = type(relay.manners)("us.example", None, relay.manners.patience, avoided=read(f"mx.far.test={keyword}"))
    session = relay.open()
    assert isinstance(session, Session)
    assert keyword not in session.extensions
    assert codes(relay.deliver(targets("bob"), session=session)) == [TAKEN]


def test_it_is_avoided_also_behind_the_encryption():
    relay = Relay({b"EHLO": [STARTTLS, AUTH]})
    relay.manners = type(relay.manners)("us.example", relay.manners.tls_options, avoided=read("PIPELINING"))
    assert "AUTH" in (found := relay.open().extensions)
    assert "PIPELINING" not in found
    assert b"PIPELINING" in EHLO
