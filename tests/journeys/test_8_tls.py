"""A connection becomes private: handshakes with the real assembly, and what a client's certificate is good for."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.defer import Deferred

from tests.journeys.encrypted import Caller
from tests.journeys.house import ADDRESS, House, plain
from tests.tls.authority import Authority, pem
from tests.tls.shaking import client
from twistmail.facts import Accepted, Closed, LoggedIn, LoginFailed, TlsFailed, TlsStarted

ANN = "ann@blue.test"
LETTER = b"Subject: hello\r\n\r\nhow are you\r\n.\r\n"
#: OpenSSL looks at the clock itself.
AUTHORITY = Authority("Blue", time.time())
IMPLICIT = "[submission]\nlisten = tls:port=0:interface=127.0.0.1\n"


@pytest.fixture
def trusting(build, tmp_path: Path) -> House:
    """A house that believes in clients of an authority."""
    (tmp_path / "clients.pem").write_bytes(pem(AUTHORITY.certificate))
    house: House = build(f"[tls]\nclient_ca = {tmp_path / 'clients.pem'}\n[user:off@blue.test]\npassword = x\nenabled = no\n")
    return house


def called(house: House, service: str, identity: Any = None, **rest: Any) -> Caller:
    """A connection to *service* that has shaken hands after STARTTLS."""
    caller = Caller(house, service)
    caller.say({"imap": "t STARTTLS", "pop3": "STLS"}.get(service, "EHLO pc.test\r\nSTARTTLS"))
    caller.start_tls(client(identity=identity, **rest))
    return caller


def person(address: str, common_name: str = "Somebody") -> Any:
    return AUTHORITY.person(common_name, *filter(None, [address]))


def spelled(authzid: str) -> str:
    return base64.b64encode(authzid.encode()).decode() or "="


# ----- the handshake


def test_what_was_agreed_on_is_told_and_stands_in_the_message(house: House) -> None:
    caller = called(house, "mx", name="MX.blue.test")
    (told,) = house.told(TlsStarted)
    assert (told.tls.version, told.tls.cipher, told.tls.bits) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)
    assert (told.tls.server_name, told.tls.client, told.tls.client_fault) == ("MX.blue.test", "", "")
    for line in ("EHLO peer.far.test", "MAIL FROM:<eve@far.test>", f"RCPT TO:<{ANN}>", "DATA"):
        assert caller.say(line)[-1][0] in "23"
    assert caller.feed(LETTER)[-1].startswith("250 2.0.0")
    (message,) = house.mail("ann")
    received = " ".join(message["Received"].split())
    assert "with ESMTPS (version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256) id" in received
    assert f"for <{ANN}> tls TLS_AES_256_GCM_SHA384;" in received


def test_the_first_words_may_come_with_the_last_of_the_handshake(house: House) -> None:
    caller = Caller(house, "mx")
    caller.say("EHLO pc.test\r\nSTARTTLS")
    assert any("250-PIPELINING" in line for line in caller.start_tls(client(), b"EHLO pc.test\r\n"))


@pytest.mark.parametrize(("service", "words"), [
    pytest.param("mx", b"STARTTLS\r\nMAIL FROM:<eve@far.test>\r\n", id="smtp"),
    pytest.param("submission", b"STARTTLS\r\nE", id="an-octet"),
    pytest.param("imap", b"a STARTTLS\r\nb LOGIN ann {13}\r\n", id="imap"),
    pytest.param("pop3", b"STLS\r\nUSER ann\r\n", id="pop3"),
])
def test_what_was_said_in_clear_behind_starttls_closes_the_connection(house: House, service: str, words: bytes) -> None:
    """CVE-2011-0411: else the server would obey a command after the handshake that somebody has put in before."""
    caller = Caller(house, service)
    if service in ("mx", "submission"):
        caller.say("EHLO pc.test")
    caller.deliver(words)
    assert caller.transport.closed
    (closed,) = house.told(Closed)
    assert closed.why == ("data behind STARTTLS" if service == "pop3" else "quit")  # the wires of IMAP and SMTP see to it themselves
    assert house.told(TlsStarted, TlsFailed) == []


def test_even_a_handshake_behind_starttls_is_nothing_to_wait_with(house: House) -> None:
    impatient = client()
    with pytest.raises(SSL.WantReadError):
        impatient.do_handshake()
    caller = Caller(house, "mx")
    caller.say("EHLO pc.test")
    caller.deliver(b"STARTTLS\r\n" + impatient.bio_read(65536))
    assert caller.transport.closed
    assert house.told(TlsStarted, TlsFailed) == []


@pytest.mark.parametrize(("peer", "why"), [
    pytest.param({"alpn": (b"h2", b"http/1.1")}, "b'h2 http/1.1' cannot be spoken here", id="a-browser"),
    pytest.param({"most": SSL.TLS1_1_VERSION, "ciphers": b"ALL:@SECLEVEL=0"}, "unsupported protocol", id="an-old-one"),
    pytest.param({"most": SSL.TLS1_2_VERSION, "ciphers": b"AES128-GCM-SHA256"}, "no shared cipher", id="a-weak-one"),
])
def test_why_a_handshake_has_failed_is_told(house: House, peer: dict[str, Any], why: str) -> None:
    caller = Caller(house, "mx")
    caller.say("EHLO pc.test\r\nSTARTTLS")
    with pytest.raises(SSL.Error):
        caller.start_tls(client(**peer))
    caller.leave()
    assert [failed.why for failed in house.told(TlsFailed)] == [why]
    assert [closed.why for closed in house.told(Closed)] == ["TLS failed"]


@pytest.mark.parametrize("words", [
    pytest.param(b"GET / HTTP/1.1\r\nHost: mx.blue.test\r\n\r\n", id="http"),
    pytest.param(b"EHLO pc.test\r\n", id="smtp-in-clear"),
    pytest.param(b"\x16\x03\x01\xff\xff" + b"\x01" * 70_000, id="a-huge-hello"),
    pytest.param(bytes(range(256)) * 100, id="anything"),
])
def test_what_is_no_handshake_ends_the_connection(build, words: bytes) -> None:
    house = build(IMPLICIT)
    caller = Caller(house, "submission")
    caller.deliver(words)
    caller.leave(only_if_closed=True)
    assert [bool(failed.why) for failed in house.told(TlsFailed)] == [True]
    assert [closed.why for closed in house.told(Closed)] == ["TLS failed"]


@pytest.mark.parametrize("octets", [pytest.param(0, id="silence"), pytest.param(100, id="half-a-hello")])
def test_a_handshake_that_does_not_end_is_ended(build, octets: int) -> None:
    house = build(IMPLICIT)
    slow = client()
    with pytest.raises(SSL.WantReadError):
        slow.do_handshake()
    caller = Caller(house, "submission")
    for at in range(octets):  # an octet a second does not help
        caller.deliver(slow.bio_read(1))
        if at < 25:
            house.pass_time(1)
    assert not caller.transport.closed
    house.pass_time(31)
    assert caller.transport.closed
    caller.leave()
    assert [closed.why for closed in house.told(Closed)] == ["timed out"]


@pytest.mark.parametrize("service", ["submission", "imap", "pop3"])
def test_who_has_too_many_connections_costs_no_handshake(build, service: str) -> None:
    """Each handshake is a millisecond of ours, and an address can ask for thousands a second."""
    house = build(f"[{service}]\nlisten = tls:port=0:interface=127.0.0.1\nmax_connections_per_ip = 2\n")
    callers = [Caller(house, service) for _ in range(4)]
    assert [(len(caller.transport.contexts), caller.transport.closed) for caller in callers] == [(1, False)] * 2 + [(0, True)] * 2
    assert all(not caller.transport.value() for caller in callers)
    for caller in callers:
        caller.leave()
    assert [closed.why for closed in house.told(Closed)] == ["refused"] * 2 + ["peer gone"] * 2
    greeting = Caller(house, service).start_tls(client())
    assert greeting[0].startswith(("220 ", "* OK", "+OK"))


def test_a_hello_that_comes_while_the_door_is_still_asked_about_is_kept(build, monkeypatch: pytest.MonkeyPatch) -> None:
    house = build(IMPLICIT)
    asked: Deferred[bool] = Deferred()

    async def slowly(session: Any) -> bool:
        return await asked

    monkeypatch.setattr("twistmail.servers.smtp.session.SmtpSession.admit", slowly)
    caller = Caller(house, "submission")
    early = client()
    with pytest.raises(SSL.WantReadError):
        early.do_handshake()
    caller.deliver(early.bio_read(65536))
    assert caller.transport.producerState == "paused"
    asked.callback(True)
    assert caller.start_tls(early)[0].startswith("220 ")


def test_a_peer_that_leaves_in_the_midst_of_it_has_not_failed(build) -> None:
    house = build(IMPLICIT)
    Caller(house, "submission").leave()
    assert house.told(TlsFailed) == []
    assert [closed.why for closed in house.told(Closed)] == ["peer gone"]


# ----- certificates of clients


def test_a_certificate_lets_its_owner_write_without_a_password(trusting: House) -> None:
    caller = called(trusting, "submission", person(ANN))
    assert any(line[4:] == "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN EXTERNAL" for line in caller.say("EHLO pc.test"))
    assert caller.say("AUTH EXTERNAL =")[-1].startswith("235 2.7.0")
    assert trusting.told(LoggedIn) == [LoggedIn(ANN, "EXTERNAL", "submission", ADDRESS)]
    assert trusting.told(TlsStarted)[0].tls.client == ANN
    for line in (f"MAIL FROM:<{ANN}>", "RCPT TO:<bob@blue.test>", "DATA"):
        assert caller.say(line)[-1][0] in "23"
    assert caller.feed(LETTER)[-1].startswith("250 2.0.0")
    assert trusting.told(Accepted)[0].account == ANN
    (message,) = trusting.mail("bob")
    assert "with ESMTPSA (version=TLSv1.3" in " ".join(message["Received"].split())
    assert ANN not in message["Received"]


def test_it_does_not_let_him_write_as_another(trusting: House) -> None:
    caller = called(trusting, "submission", person(ANN))
    caller.say("EHLO pc.test")
    caller.say("AUTH EXTERNAL =")
    assert caller.say("MAIL FROM:<bob@blue.test>")[-1].startswith("550 5.7.1")


@pytest.mark.parametrize(("identity", "authzid", "offered", "answer"), [
    pytest.param(person("", "ann"), "", True, "235", id="by-the-common-name"),
    pytest.param(person(ANN), ANN, True, "235", id="who-says-so-himself"),
    pytest.param(person(ANN), "bob@blue.test", True, "535 5.7.8", id="for-another"),
    pytest.param(person("eve@blue.test"), "", False, "535 5.7.8", id="no-account"),
    pytest.param(person("off@blue.test"), "", False, "535 5.7.8", id="a-disabled-account"),
    pytest.param(person("flintstone@blue.test"), "", False, "535 5.7.8", id="an-alias-is-no-account"),
    pytest.param(Authority("Red", time.time()).person("Ann", ANN), "", False, "504 5.5.4", id="another-authority"),
    pytest.param(None, "", False, "504 5.5.4", id="no-certificate"),
])
def test_whom_a_certificate_lets_in(trusting: House, identity: Any, authzid: str, offered: bool, answer: str) -> None:
    caller = called(trusting, "submission", identity)
    assert any("EXTERNAL" in line for line in caller.say("EHLO pc.test")) is offered
    caller.say("AUTH EXTERNAL " + spelled(authzid))
    trusting.pass_time(30, step=1)
    caller.heard()
    assert trusting.told(LoggedIn) == ([LoggedIn(ANN, "EXTERNAL", "submission", ADDRESS)] if answer == "235" else [])
    assert [failed.mechanism for failed in trusting.told(LoginFailed)] == (["EXTERNAL"] if answer.startswith("535") else [])
    assert any(line.startswith(answer) for line in caller.transcript)


def test_why_a_certificate_is_not_believed_is_told(trusting: House) -> None:
    called(trusting, "mx", Authority("Red", time.time()).person("Ann", ANN))
    (told,) = trusting.told(TlsStarted)
    assert (told.tls.client, told.tls.client_fault) == ("", "its authority is not one of ours")


def test_external_in_clear_is_not_heard(trusting: House) -> None:
    caller = Caller(trusting, "submission")
    caller.say("EHLO pc.test")
    assert caller.say("AUTH EXTERNAL =")[-1].startswith("530 5.7.0")


def test_imap_takes_the_certificate(trusting: House) -> None:
    caller = called(trusting, "imap", person(ANN))
    assert "AUTH=EXTERNAL" in caller.say("a CAPABILITY")[0]
    assert caller.say("b AUTHENTICATE EXTERNAL " + spelled("bob@blue.test")) == []
    trusting.pass_time(30, step=1)
    assert caller.say("c NOOP")[0].startswith("b NO [AUTHENTICATIONFAILED]")
    assert caller.say("d AUTHENTICATE EXTERNAL")[-1].startswith("+")
    assert caller.say("")[-1].startswith("d OK")
    assert caller.say("e SELECT INBOX")[-1].startswith("e OK")
    caller = called(trusting, "imap")
    assert "AUTH=EXTERNAL" not in caller.say("a CAPABILITY")[0]
    assert caller.say("b AUTHENTICATE EXTERNAL =")[-1].startswith("b NO")


def test_pop3_takes_the_certificate(trusting: House) -> None:
    caller = called(trusting, "pop3", person(ANN))
    assert "SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN EXTERNAL" in caller.say("CAPA")
    assert caller.say("AUTH EXTERNAL =")[-1].startswith("+OK")
    assert caller.say("STAT")[-1] == "+OK 0 0"
    caller = called(trusting, "pop3")
    assert caller.say("AUTH EXTERNAL =")[-1].startswith("-ERR")


def test_without_an_authority_a_password_is_asked_for(house: House) -> None:
    caller = called(house, "submission", person(ANN))
    assert any(line[4:] == "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" for line in caller.say("EHLO pc.test"))
    assert caller.say("AUTH EXTERNAL =")[-1].startswith("504 5.5.4")
    assert caller.say(f"AUTH PLAIN {plain('ann')}")[-1].startswith("235 2.7.0")


# ----- new certificates


def test_a_certificate_that_is_put_there_while_we_run_is_used_for_the_next_handshake(house: House) -> None:
    old = called(house, "mx")
    chain, key = AUTHORITY.issue("mx.blue.test")
    folder = house.config.file(house.config["tls"].directory)
    folder.mkdir(exist_ok=True)
    (folder / "mx.pem").write_bytes(key + chain)
    house.run(house.foundation.threads.run(house.parts.contexts.look))
    new = called(house, "mx")
    issuers = [caller.client.get_peer_certificate(as_cryptography=True).issuer for caller in (old, new)]
    assert [issuer == AUTHORITY.name for issuer in issuers] == [False, True]
    assert old.say("NOOP")[-1].startswith("250")
