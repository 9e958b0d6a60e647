from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace

import pytest
from twisted.internet.task import Clock

from tests.relay.peers import EHLO, HANG_UP, SILENCE, Net, Peer, finish, shows
from twistmail import tasks
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Deadline, Kind, Notify, Target, Wishes
from twistmail.mail.evidence import Clear
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.relay.client import Patience
from twistmail.relay.connect import open_route
from twistmail.relay.exchange import MOST_RECIPIENTS, Manners, Session
from twistmail.relay.route import Host, Login, Route, Tls, Transport
from twistmail.relay.transaction import deliver
from twistmail.wire.sasl.exchange import NeedsEvidence, Proven
from twistmail.wire.sasl.scram import Scram

ANN = Address("ann", "here.example")
HOST = Host("mx.far.test", "192.0.2.1", 25)
ROUTE = Route("far.test")
BODY = b"Subject: x\r\n\r\n.dot\r\nbye\r\n"
STARTTLS = EHLO.replace(b"250 ENH", b"250-STARTTLS\r\n250 ENH")
AUTH = EHLO.replace(b"250 ENH", b"250-AUTH PLAIN LOGIN\r\n250 ENH")


def targets(*names: str) -> tuple[Target, ...]:
    return tuple(Target(Kind.REMOTE, Address(name, "far.test"), Address(name, "far.test")) for name in names)


def item_for(to: tuple[Target, ...], **changes) -> Item:
    return replace(Item("i1", ANN, tuple(map(Errand, to)), 0.0, len(BODY) + 6, b"X: y\r\n", body="8BITMIME"), **changes)


class Relay:
    """A client, one server, and a clock."""

    def __init__(self, answers=None, route=ROUTE, host=HOST):
        self.clock, self.peer, self.route, self.host = Clock(), Peer(answers), route, host
        self.net = Net(self.clock)
        self.net.peers[host.address] = self.peer
        self.manners = Manners("us.example", shows(), Patience())

    def open(self, seconds=0.0):
        return finish(self.clock, open_route(self.route, (self.host,), self.net, self.manners), seconds)

    def deliver(self, to, seconds=0.0, session=None, content=BODY, **changes):
        session = session or self.open()
        assert isinstance(session, Session), session
        return finish(self.clock, deliver(session, item_for(to, **changes), to, Memory(content), tasks.Inline()), seconds)


def codes(outcomes):
    return [(o.result, o.status.code, o.status.enhanced) for o in outcomes]


TAKEN = (Result.RELAYED, 250, "2.0.0")


def test_a_message_arrives_with_its_prefix_and_its_dots():
    relay = Relay()
    to = targets("bob", "eve")
    outcomes = relay.deliver(to)
    assert codes(outcomes) == [TAKEN, TAKEN]
    assert [o.target for o in outcomes] == list(to)
    assert outcomes[0].host == "mx.far.test [192.0.2.1]"
    assert relay.peer.contents == [b"X: y\r\n" + BODY]
    assert relay.peer.said == [
        b"EHLO us.example", b"MAIL FROM:<ann@here.example> SIZE=31 BODY=8BITMIME", b"RCPT TO:<bob@far.test>",
        b"RCPT TO:<eve@far.test>", b"DATA"]


@pytest.mark.parametrize("ehlo", [pytest.param(EHLO, id="pipelined"), pytest.param(b"250 peer.example", id="one-by-one")])
def test_each_recipient_has_an_answer_of_his_own(ehlo):
    relay = Relay({b"EHLO": ehlo, b"RCPT TO:<no@far.test>": b"550-5.1.1 No\r\n550 5.1.1 such user",
                   b"RCPT TO:<busy@far.test>": b"450 Greylisted"})
    outcomes = relay.deliver(targets("yes", "no", "busy"))
    assert codes(outcomes) == [TAKEN, (Result.FAILED, 550, "5.1.1"), (Result.DEFERRED, 450, "4.0.0")]
    assert outcomes[1].status.text == "No\nsuch user"


@pytest.mark.parametrize(("answers", "expected"), [
    pytest.param({b"MAIL": b"550 5.7.1 Not you"}, (Result.FAILED, 550, "5.7.1"), id="sender-refused"),
    pytest.param({b"MAIL": b"451 4.3.0 Later"}, (Result.DEFERRED, 451, "4.3.0"), id="sender-deferred"),
    pytest.param({b"MAIL": b"250 Ok", b"RCPT": b"550 No"}, (Result.FAILED, 550, "5.0.0"), id="all-refused"),
    pytest.param({b"RCPT": b"552 Too many recipients"}, (Result.DEFERRED, 452, "4.5.3"), id="552-to-RCPT-is-temporary"),
    pytest.param({b"RCPT": b"552 5.2.2 Mailbox full"}, (Result.FAILED, 552, "5.2.2"), id="but-not-a-full-mailbox"),
    pytest.param({b"DATA": b"554 5.5.1 No"}, (Result.FAILED, 554, "5.5.1"), id="DATA-refused"),
    pytest.param({b"DATA": b"250 What"}, (Result.DEFERRED, 451, "4.5.0"), id="DATA-answered-with-nonsense"),
    pytest.param({b".": b"554 5.6.0 Virus"}, (Result.FAILED, 554, "5.6.0"), id="content-refused"),
    pytest.param({b".": b"452 4.3.1 Full"}, (Result.DEFERRED, 452, "4.3.1"), id="content-deferred"),
    pytest.param({b".": b"250 5.1.1 Odd"}, (Result.RELAYED, 250, "2.0.0"), id="an-enhanced-code-of-the-wrong-class-does-not-count"),
    pytest.param({b"MAIL": HANG_UP}, (Result.DEFERRED, 451, "4.4.2"), id="hangs-up-at-MAIL"),
    pytest.param({b"RCPT": b"421 4.3.2 Shutting down"}, (Result.DEFERRED, 421, "4.3.2"), id="421"),
    pytest.param({b"DATA": HANG_UP}, (Result.DEFERRED, 451, "4.4.2"), id="hangs-up-at-DATA"),
    pytest.param({b".": HANG_UP}, (Result.DEFERRED, 451, "4.4.2"), id="hangs-up-after-the-final-dot"),
    pytest.param({b"MAIL": b"\x16\x03\x01 garbage"}, (Result.DEFERRED, 451, "4.5.0"), id="garbage"),
    pytest.param({b"MAIL": b"250-a\r\n251 b"}, (Result.DEFERRED, 451, "4.5.0"), id="two-codes-in-one-reply"),
    pytest.param({b"MAIL": b"250-" + b"x" * 5000}, (Result.DEFERRED, 451, "4.5.0"), id="an-endless-line"),
    pytest.param({b"MAIL": b"\r\n".join([b"250-x"] * 500)}, (Result.DEFERRED, 451, "4.5.0"), id="an-endless-reply"),
])
def test_what_the_server_answers_is_the_outcome(answers, expected):
    assert codes(Relay(answers).deliver(targets("bob"))) == [expected]


@pytest.mark.parametrize(("verb", "seconds"), [
    pytest.param(b"MAIL", 301, id="MAIL-5-min"), pytest.param(b"RCPT", 301, id="RCPT-5-min"),
    pytest.param(b"DATA", 121, id="DATA-2-min"), pytest.param(b".", 601, id="final-dot-10-min"),
])
def test_silence_ends_after_what_rfc_5321_grants(verb, seconds):
    relay = Relay({verb: SILENCE})
    assert codes(relay.deliver(targets("bob"), seconds)) == [(Result.DEFERRED, 451, "4.4.2")]
    assert relay.peer.connections[0].aborted


def test_a_silence_that_is_short_enough_ends_nothing():
    relay = Relay({b".": SILENCE})
    with pytest.raises(AssertionError, match="not ended"):
        relay.deliver(targets("bob"), 599)


@pytest.mark.parametrize(("answers", "code"), [
    pytest.param({b"": b"554 5.7.1 Go away"}, 451, id="refused-for-good-is-tried-again"),
    pytest.param({b"": b"421 4.3.2 Busy"}, 421, id="busy"),
    pytest.param({b"": HANG_UP}, 451, id="hangs-up"),
    pytest.param({b"EHLO": b"421 4.3.2 Busy"}, 421, id="busy-at-EHLO"),
    pytest.param({b"EHLO": b"502 What", b"HELO": b"550 Who?"}, 451, id="HELO-refused"),
])
def test_a_server_that_does_not_let_us_in_is_a_temporary_matter(answers, code):
    status = Relay(answers).open()
    assert (status.code, status.is_temporary) == (code, True)
    assert "mx.far.test [192.0.2.1]" in status.text


def test_a_server_that_wants_content_for_nobody_gets_an_empty_one():
    """RFC 2920 §3.1: DATA was said before the answers to RCPT came."""
    relay = Relay({b"RCPT": b"550 5.1.1 No"})
    session = relay.open()
    assert codes(relay.deliver(targets("bob"), session=session)) == [(Result.FAILED, 550, "5.1.1")]
    assert relay.peer.contents == [b""]
    relay.peer.answers[b"RCPT"] = b"250 Ok"
    assert codes(relay.deliver(targets("eve"), session=session)) == [TAKEN]


def test_a_server_without_ehlo_is_greeted_with_helo():
    relay = Relay({b"EHLO": b"500 What?"})
    assert codes(relay.deliver(targets("bob"))) == [TAKEN]
    assert relay.peer.said[:3] == [b"EHLO us.example", b"HELO us.example", b"MAIL FROM:<ann@here.example>"]


@pytest.mark.parametrize(("body", "offered", "says"), [
    pytest.param("8BITMIME", True, True, id="8-bit-and-offered"),
    pytest.param("", True, True, id="unknown-and-offered"),
    pytest.param("7BIT", True, False, id="7-bit"),
    pytest.param("8BITMIME", False, False, id="not-offered"),
])
def test_body_is_declared_where_it_is_offered(body, offered, says):
    relay = Relay({b"EHLO": EHLO if offered else EHLO.replace(b"250-8BITMIME\r\n", b"")})
    assert codes(relay.deliver(targets("bob"), body=body)) == [TAKEN]
    assert (b"BODY=8BITMIME" in relay.peer.said[1]) == says


@pytest.mark.parametrize(("offered", "expected"), [
    pytest.param(True, (Result.RELAYED, 250, "2.0.0"), id="offered"),
    pytest.param(False, (Result.FAILED, 553, "5.6.7"), id="not-offered"),
])
def test_addresses_that_are_not_ascii_need_smtputf8(offered, expected):
    relay = Relay({b"EHLO": EHLO.replace(b"250 ENH", b"250-SMTPUTF8\r\n250 ENH") if offered else EHLO})
    assert codes(relay.deliver(targets("jörg"))) == [expected]
    assert any(b"SMTPUTF8" in line for line in relay.peer.said) == offered


def test_the_null_sender_is_written_so():
    relay = Relay()
    relay.deliver(targets("bob"), sender=None)
    assert relay.peer.said[1].startswith(b"MAIL FROM:<> ")


def test_many_recipients_are_divided_into_transactions():
    relay = Relay()
    to = targets(*(f"r{number}" for number in range(MOST_RECIPIENTS + 1)))
    assert codes(relay.deliver(to)) == [TAKEN] * len(to)
    assert len(relay.peer.contents) == 2


def test_a_transaction_that_failed_is_reset_before_the_next():
    relay = Relay({b"MAIL": [b"451 Later", b"250 Ok"], b"RCPT": [b"503 First MAIL", b"250 Ok"], b"DATA": [b"503 First RCPT", b"354 Go on"]})
    session = relay.open()
    relay.deliver(targets("bob"), session=session)
    assert codes(relay.deliver(targets("bob"), session=session)) == [TAKEN]
    assert relay.peer.said.count(b"RSET") == 1


# ----- what the sender wants, and what the server offers


def offering(*extensions: bytes, without: bytes = b"nothing") -> bytes:
    lines = [line for line in EHLO.split(b"\r\n")[:-1] if without not in line]
    return b"\r\n".join([*lines, *(b"250-" + one for one in extensions), b"250 ENHANCEDSTATUSCODES"])


EIGHT = "Subject: x\r\n\r\nGrüße\r\n".encode()
HEADED = "Subject: Grüße\r\n\r\nGrüße\r\n".encode()
PARTED = ("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; name=Grüße.txt\r\n\r\nx\r\n--b--\r\n").encode()
SIGNED = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xe4\r\n--b--\r\n"


def test_what_was_asked_for_is_passed_on():
    relay = Relay({b"EHLO": offering(b"DSN", b"DELIVERBY", b"MT-PRIORITY")})
    (to,) = targets("bob")
    errand = Errand(to, notify=frozenset({Notify.SUCCESS, Notify.NEVER}), orcpt="rfc822;bob+2Bx@far.test")
    wishes = Wishes(ret="HDRS", envid="QQ", priority=4, deadline=Deadline(relay.clock.seconds() + 600, returns=True))
    (outcome,) = relay.deliver((to,), errands=(errand,), wishes=wishes)
    assert outcome.passed_on
    assert relay.peer.said[1].endswith(b"BODY=8BITMIME RET=HDRS ENVID=QQ BY=600;R MT-PRIORITY=4")
    assert relay.peer.said[2] == b"RCPT TO:<bob@far.test> NOTIFY=NEVER,SUCCESS ORCPT=rfc822;bob+2Bx@far.test"


def test_a_server_without_DSN_is_told_nothing_and_we_report():
    relay = Relay()
    (to,) = targets("bob")
    errand = Errand(to, notify=frozenset({Notify.SUCCESS}), orcpt="rfc822;bob@far.test")
    (outcome,) = relay.deliver((to,), errands=(errand,), wishes=Wishes(ret="HDRS", envid="QQ"))
    assert not outcome.passed_on
    assert relay.peer.said[1:3] == [b"MAIL FROM:<ann@here.example> SIZE=31 BODY=8BITMIME", b"RCPT TO:<bob@far.test>"]


def test_a_failure_is_never_somebody_else_s_to_report():
    relay = Relay({b"EHLO": offering(b"DSN"), b"RCPT": b"550 5.1.1 No"})
    (to,) = targets("bob")
    (outcome,) = relay.deliver((to,), errands=(Errand(to, notify=frozenset({Notify.SUCCESS})),))
    assert not outcome.passed_on


def test_what_is_too_big_for_a_server_is_not_sent_to_it():
    relay = Relay({b"EHLO": EHLO.replace(b"SIZE 1000000", b"SIZE 30")})
    assert codes(relay.deliver(targets("bob"))) == [(Result.FAILED, 552, "5.3.4")]
    assert relay.peer.said == [b"EHLO us.example"]


def test_eight_bits_become_seven_for_a_server_that_takes_no_more():
    relay = Relay({b"EHLO": offering(without=b"8BITMIME")})
    assert codes(relay.deliver(targets("bob"), content=EIGHT)) == [TAKEN]
    assert relay.peer.said[1] == b"MAIL FROM:<ann@here.example> SIZE=149", "the size is another one"
    (content,) = relay.peer.contents
    assert content.startswith(b"X: y\r\nSubject: x\r\nMIME-Version: 1.0\r\n")
    assert content.endswith(b"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n")


def test_what_cannot_be_encoded_comes_back():
    relay = Relay({b"EHLO": offering(without=b"8BITMIME")})
    assert codes(relay.deliver(targets("bob"), content=SIGNED)) == [(Result.FAILED, 554, "5.6.3")]
    assert len(relay.peer.said) == 1
    assert codes(Relay().deliver(targets("bob"), content=SIGNED)) == [TAKEN]


@pytest.mark.parametrize(("content", "prefix", "passes"), [
    pytest.param(BODY, b"X: y\r\n", True, id="not-needed-after-all"),
    pytest.param(EIGHT, b"X: y\r\n", True, id="only-in-the-text"),
    pytest.param(HEADED, b"X: y\r\n", False, id="in-the-header"),
    pytest.param(PARTED, b"X: y\r\n", False, id="in-the-header-of-a-part"),
    pytest.param(BODY, "X: ä\r\n".encode(), False, id="in-what-we-have-put-before-it"),
])
def test_an_internationalized_message_goes_where_it_can_be_understood(content, prefix, passes):
    wishes = Wishes(utf8=True)
    offered = Relay({b"EHLO": offering(b"SMTPUTF8")})
    assert codes(offered.deliver(targets("bob"), content=content, prefix=prefix, wishes=wishes)) == [TAKEN]
    assert offered.peer.said[1].endswith(b"BODY=8BITMIME SMTPUTF8")
    other = Relay()
    assert codes(other.deliver(targets("bob"), content=content, prefix=prefix, wishes=wishes)) == [
        TAKEN if passes else (Result.FAILED, 553, "5.6.7")]
    assert not any(b"SMTPUTF8" in line for line in other.peer.said)


def test_a_server_says_how_many_recipients_it_takes_at_a_time():
    relay = Relay({b"EHLO": offering(b"LIMITS RCPTMAX=2")})
    assert codes(relay.deliver(targets("a", "b", "c", "d", "e"))) == [TAKEN] * 5
    assert len(relay.peer.contents) == 3


def test_a_session_is_spent_after_as_many_messages_as_the_server_wants():
    relay = Relay({b"EHLO": offering(b"LIMITS RCPTMAX=2 MAILMAX=2")})
    session = relay.open()
    outcomes = relay.deliver(targets("a", "b", "c", "d", "e"), session=session)
    assert [str(outcome.target.address) for outcome in outcomes] == ["a@far.test", "b@far.test", "c@far.test", "d@far.test"]
    assert session.is_spent


# ----- REQUIRETLS (RFC 8689 §4.2.1)

STRICT = replace(ROUTE, tls=Tls.VERIFIED, require_tls=True)
PROMISED = EHLO.replace(b"250 ENH", b"250-REQUIRETLS\r\n250 ENH")


@pytest.mark.parametrize(("answers", "status"), [
    pytest.param({}, (554, "5.7.10"), id="no-TLS-offered"),
    pytest.param({b"EHLO": STARTTLS, b"(handshake)": HANG_UP}, (554, "5.7.10"), id="no-TLS-agreed-upon"),
    pytest.param({b"EHLO": STARTTLS, b"STARTTLS": b"454 4.7.0 Later"}, (451, "4.7.5"), id="not-now"),
    pytest.param({b"EHLO": [STARTTLS, EHLO]}, (554, "5.7.30"), id="no-promise"),
    pytest.param({b"": b"421 4.3.2 Busy"}, (421, "4.3.2"), id="busy"),
])
def test_who_does_not_keep_it_encrypted_gets_nothing(answers, status):
    why = Relay(answers, STRICT).open()
    assert (why.code, why.enhanced) == status


def test_what_must_be_encrypted_is_sent_on_so():
    relay = Relay({b"EHLO": [STARTTLS, PROMISED]}, STRICT)
    assert codes(relay.deliver(targets("bob"), wishes=Wishes(require_tls=True))) == [TAKEN]
    shown = relay.peer.connections[0].tls
    assert (shown.host.name, shown.terms.want) == ("mx.far.test", Tls.VERIFIED)
    assert relay.peer.said[3].endswith(b" REQUIRETLS")


# ----- TLS and login


def test_starttls_is_used_where_it_is_offered_and_ehlo_is_said_again():
    relay = Relay({b"EHLO": [STARTTLS, EHLO]})
    session = relay.open()
    assert relay.peer.said == [b"EHLO us.example", b"STARTTLS", b"EHLO us.example"]
    shown = relay.peer.connections[0].tls
    assert (shown.host.name, shown.terms.want) == ("mx.far.test", Tls.OPPORTUNISTIC)
    assert "STARTTLS" not in session.extensions


def test_what_was_said_behind_the_go_ahead_for_tls_is_forgotten():
    relay = Relay({b"EHLO": [STARTTLS, EHLO], b"STARTTLS": b"220 Go\r\n250 injected"})
    assert codes(relay.deliver(targets("bob"))) == [TAKEN]


@pytest.mark.parametrize(("answers", "tls", "connections", "works"), [
    pytest.param({b"EHLO": STARTTLS, b"STARTTLS": b"454 Not now"}, Tls.OPPORTUNISTIC, 1, True, id="refused-goes-on-in-clear"),
    pytest.param({b"EHLO": STARTTLS, b"(handshake)": HANG_UP}, Tls.OPPORTUNISTIC, 2, True, id="broken-handshake-goes-again-in-clear"),
    pytest.param({b"EHLO": STARTTLS, b"(handshake)": HANG_UP}, Tls.REQUIRED, 1, False, id="broken-handshake-where-required"),
    pytest.param({b"EHLO": STARTTLS, b"STARTTLS": b"454 Not now"}, Tls.REQUIRED, 1, False, id="refused-where-required"),
    pytest.param({}, Tls.REQUIRED, 1, False, id="not-offered-where-required"),
    pytest.param({b"EHLO": STARTTLS}, Tls.OFF, 1, True, id="off"),
])
def test_what_becomes_of_tls_trouble(answers, tls, connections, works):
    relay = Relay(answers, replace(ROUTE, tls=tls))
    session = relay.open()
    assert isinstance(session, Session) == works
    assert len(relay.peer.connections) == connections
    if not works:
        assert session.is_temporary


@pytest.mark.parametrize(("ehlo", "lines"), [
    pytest.param(AUTH, [b"AUTH PLAIN AHVzZXIAcGFzcw=="], id="PLAIN"),
    pytest.param(AUTH.replace(b"AUTH PLAIN LOGIN", b"AUTH=LOGIN"), [b"AUTH LOGIN", b"dXNlcg==", b"cGFzcw=="], id="LOGIN"),
])
def test_we_log_in_at_the_smart_host_over_tls(ehlo, lines):
    relay = Relay(
        {b"EHLO": [STARTTLS, ehlo], b"AUTH": b"235 2.7.0 Welcome", b"AUTH LOGIN": b"334 VXNlcm5hbWU6",
         b"dXNlcg==": b"334 UGFzc3dvcmQ6", b"cGFzcw==": b"235 2.7.0 Welcome"}, replace(ROUTE, login=Login("user", "pass")))
    assert isinstance(relay.open(), Session)
    assert relay.peer.said[3:] == lines


@pytest.mark.parametrize(("answers", "said"), [
    pytest.param({b"EHLO": AUTH}, False, id="without-TLS-no-password-is-said"),
    pytest.param({b"EHLO": [STARTTLS, AUTH], b"AUTH": b"535 5.7.8 No"}, True, id="a-wrong-password-keeps-the-mail"),
    pytest.param({b"EHLO": [STARTTLS, EHLO]}, False, id="no-AUTH-offered"),
    pytest.param({b"EHLO": STARTTLS, b"(handshake)": HANG_UP}, False, id="never-in-clear"),
])
def test_a_login_that_does_not_work_is_temporary(answers, said):
    relay = Relay(answers, replace(ROUTE, login=Login("user", "pass")))
    status = relay.open()
    assert status.code in (451, 454)
    assert any(line.startswith(b"AUTH") for line in relay.peer.said) == said


def scram_server(password, spoil=lambda line: line):
    """Answers to AUTH SCRAM-SHA-256 of our own server's side, whose user is ann."""
    server = Scram("SCRAM-SHA-256", "theirs", {}, binding_offered=False)
    state = []

    def answer(line):
        data = b64decode(line.removeprefix(b"AUTH SCRAM-SHA-256 "))
        said = server.step(data) if data else None
        if isinstance(said, NeedsEvidence):
            said = server.given(Clear(password))
            said = server.given(said.work())
            return b"334 " + b64encode(said.data)
        if isinstance(said, Proven):
            state.append(said)
            return b"334 " + spoil(b64encode(said.final))
        return b"235 2.7.0 Welcome" if state and said is None else b"535 5.7.8 No"

    return answer


@pytest.mark.parametrize(("password", "spoil", "code"), [
    pytest.param("secret", lambda line: line, None, id="the-right-one"),
    pytest.param("other", lambda line: line, 454, id="a-wrong-one"),
    pytest.param("secret", lambda line: b64encode(b"v=" + b"A" * 44), 454, id="a-server-that-does-not-know-it"),
    pytest.param("secret", lambda line: b"???", 454, id="a-server-that-talks-nonsense"),
])
def test_by_scram_the_password_is_never_said(password, spoil, code):
    relay = Relay({b"EHLO": [STARTTLS, AUTH.replace(b"AUTH PLAIN", b"AUTH SCRAM-SHA-256 PLAIN")]},
                  replace(ROUTE, login=Login("ann", "secret")))
    answer, usual = scram_server(password, spoil), relay.peer.answer_to
    talking = []

    def answer_to(line):
        if line.startswith(b"AUTH "):
            talking.append(line)
        if not talking or line == b"*":
            talking.clear()
            return usual(line) if line != b"*" else b"501 5.7.0 Cancelled"
        return answer(line)

    relay.peer.answer_to = answer_to
    result = relay.open()
    assert (None if isinstance(result, Session) else result.code) == code
    said = [line.rpartition(b" ")[2] for line in relay.peer.said[3:] if line != b"*"]
    assert said
    assert b"secret" not in b"".join(map(b64decode, said))


def test_a_server_that_lets_us_in_without_a_proof_gets_no_mail():
    relay = Relay({b"EHLO": [STARTTLS, AUTH.replace(b"AUTH PLAIN", b"AUTH SCRAM-SHA-256")], b"AUTH": b"235 2.7.0 Come in"},
                  replace(ROUTE, login=Login("ann", "secret")))
    assert relay.open().text.endswith("somebody else")


def test_a_login_that_is_too_long_for_one_line_is_said_in_a_second_one():
    relay = Relay({b"EHLO": [STARTTLS, AUTH], b"AUTH": b"334 ", b64encode(b"\0ann\0" + b"x" * 500): b"235 2.7.0 Welcome"},
                  replace(ROUTE, login=Login("ann", "x" * 500)))
    assert isinstance(relay.open(), Session)
    assert b"AUTH PLAIN" in relay.peer.said


def test_a_login_without_an_end_ends():
    relay = Relay({b"EHLO": [STARTTLS, AUTH.replace(b"AUTH PLAIN LOGIN", b"AUTH LOGIN")], b"AUTH": b"334 dXNlcg==", b"YW5u": b"334 x",
                   b"c2VjcmV0": b"334 more?", b"*": b"501 5.7.0 Cancelled"}, replace(ROUTE, login=Login("ann", "secret")))
    assert relay.open().code == 454


# ----- LMTP


LMTP = replace(ROUTE, transport=Transport.LMTP, tls=Tls.OFF)


def test_an_lmtp_server_answers_for_each_recipient():
    relay = Relay({b"LHLO": EHLO, b".": b"250 2.0.0 Kept\r\n452 4.2.2 Full", b"RCPT TO:<b@far.test>": b"550 5.1.1 Nobody"}, LMTP)
    outcomes = relay.deliver(targets("a", "b", "c"))
    assert codes(outcomes) == [TAKEN, (Result.FAILED, 550, "5.1.1"), (Result.DEFERRED, 452, "4.2.2")]
    assert relay.peer.said[0] == b"LHLO us.example"


def test_an_lmtp_server_that_breaks_off_has_kept_what_it_has_answered_for():
    relay = Relay({b"LHLO": EHLO, b".": b"250 2.0.0 Kept"}, LMTP)
    outcomes = relay.deliver(targets("a", "b"), seconds=700.0)
    assert codes(outcomes) == [TAKEN, (Result.DEFERRED, 451, "4.4.2")]


def test_one_lmtp_connection_takes_several_messages():
    relay = Relay({b"LHLO": EHLO}, LMTP)
    session = relay.open()
    for _ in range(3):
        assert codes(relay.deliver(targets("a"), session=session)) == [TAKEN]
    assert b"RSET" not in relay.peer.said


def test_nobody_accepted_by_an_lmtp_server_that_wants_content_all_the_same():
    relay = Relay({b"LHLO": EHLO, b"RCPT": b"550 5.1.1 Nobody"}, LMTP)
    outcomes = relay.deliver(targets("a"))
    assert codes(outcomes) == [(Result.FAILED, 550, "5.1.1")]
    assert relay.peer.connections[0].aborted


def test_a_server_that_does_not_know_lhlo_is_no_lmtp_server():
    assert Relay({b"LHLO": b"500 5.5.1 What?"}, LMTP).open().code == 451


def test_implicit_tls_comes_before_the_greeting():
    relay = Relay(route=replace(ROUTE, implicit_tls=True))
    session = relay.open()
    assert session.connection.tls
    assert b"STARTTLS" not in relay.peer.said
