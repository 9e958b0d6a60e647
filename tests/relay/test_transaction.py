"""One message over a session: in how many packets, counted or dotted, and what is believed of what the server says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.relay.peers import EHLO, HANG_UP, SILENCE, finish
from tests.relay.test_exchange import BODY, STARTTLS, TAKEN, Relay, codes, item_for, offering, targets
from twistmail import tasks
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Deadline, Wishes
from twistmail.mail.outcome import Result
from twistmail.relay.route import Login, Route
from twistmail.relay.transaction import deliver

CHUNKING = offering(b"CHUNKING")
ONE_BY_ONE = b"250-peer.example\r\n250-CHUNKING\r\n250 SIZE 1000000"
FROM = b"MAIL FROM:<ann@here.example> SIZE=31 BODY=8BITMIME"
#: The prefix is X: y.
WHOLE = b"X: y\r\n" + BODY


class Big:
    """A content that is not small: it is read a piece at a time."""

    size = 500_000

    def __init__(self, data):
        self.data = data

    def chunks(self):
        yield from (self.data[at : at + 65536] for at in range(0, len(self.data), 65536))


# ----- in how many packets


def test_a_message_takes_two_packets():
    relay = Relay()
    session = relay.open()
    relay.peer.writes.clear()
    relay.deliver(targets("bob", "eve"), session=session)
    assert relay.peer.writes == [4, 1], "MAIL RCPT RCPT DATA, and the content with its end"


def test_a_counted_message_takes_two_packets():
    relay = Relay({b"EHLO": CHUNKING})
    session = relay.open()
    relay.peer.writes.clear()
    assert codes(relay.deliver(targets("bob", "eve"), session=session)) == [TAKEN] * 2
    assert relay.peer.writes == [3, 2], "MAIL RCPT RCPT, and BDAT with its octets"


def test_the_next_message_comes_right_behind_the_content():
    relay = Relay({b".": [SILENCE, b"250 2.0.0 Taken"]})
    session, results = relay.open(), []
    first, second = targets("bob"), targets("eve")

    def begin_next():
        tasks.shielded(deliver(session, item_for(second), second, Memory(BODY), tasks.Inline())).addBoth(results.append)

    tasks.shielded(deliver(session, item_for(first), first, Memory(BODY), tasks.Inline(), begin_next)).addBoth(results.append)
    for _ in range(10):
        relay.clock.advance(0)
    assert relay.peer.said[4:] == [FROM, b"RCPT TO:<eve@far.test>", b"DATA"], "without RSET, and before the answer to the first"
    side = relay.peer.connections[0]
    side.silent = False
    for line in (b"452 4.3.1 Full", b"250 Ok", b"250 Ok", b"354 Go on"):
        side.say(line)
    for _ in range(10):
        relay.clock.advance(0)
    assert [codes(outcomes) for outcomes in results] == [[(Result.DEFERRED, 452, "4.3.1")], [TAKEN]]
    assert relay.peer.contents == [WHOLE, WHOLE]


def test_a_server_that_is_asked_one_by_one_gets_one_message_at_a_time():
    relay, told = Relay({b"EHLO": ONE_BY_ONE}), []
    to = targets("bob")
    finish(relay.clock, deliver(relay.open(), item_for(to), to, Memory(BODY), tasks.Inline(), lambda: told.append(True)))
    assert told == []


def test_what_follows_a_counted_message_that_failed_begins_anew():
    """RFC 3030 §2: the state is not certain."""
    relay = Relay({b"EHLO": CHUNKING, b"BDAT": [b"552 5.3.4 Too big", b"250 Ok"]})
    session = relay.open()
    assert codes(relay.deliver(targets("bob"), session=session)) == [(Result.FAILED, 552, "5.3.4")]
    relay.peer.writes.clear()
    assert codes(relay.deliver(targets("bob"), session=session)) == [(Result.RELAYED, 250, "2.0.0")]
    assert relay.peer.said.count(b"RSET") == 1
    assert relay.peer.writes[0] == 3, "RSET costs no packet of its own"


def test_after_a_dotted_message_that_failed_the_next_one_just_begins():
    """RFC 5321 §4.1.1.4: its end clears all."""
    relay = Relay({b".": [b"451 4.3.0 Later", b"250 Ok"]})
    session = relay.open()
    relay.deliver(targets("bob"), session=session)
    relay.deliver(targets("bob"), session=session)
    assert b"RSET" not in relay.peer.said


# ----- counted


@pytest.mark.parametrize("content", [
    pytest.param(BODY, id="dots-at-line-starts"), pytest.param(b"a: b\r\n\r\n.\r\nQUIT\r\n", id="what-would-end-it"),
    pytest.param(b"Subject: x\r\n\r\nno line end", id="no-line-end-at-the-end"), pytest.param(b"", id="nothing"),
])
@pytest.mark.parametrize("ehlo", [pytest.param(CHUNKING, id="pipelined"), pytest.param(ONE_BY_ONE, id="one-by-one")])
def test_a_counted_content_arrives_to_the_octet(ehlo, content):
    relay = Relay({b"EHLO": ehlo})
    size = len(content) + 6
    assert codes(relay.deliver(targets("bob"), content=content, size=size)) == [TAKEN]
    assert relay.peer.contents == [b"X: y\r\n" + content]
    assert relay.peer.said[-1] == b"BDAT %d LAST" % size
    assert b"DATA" not in relay.peer.said


def test_a_big_counted_content_comes_in_pieces():
    relay, to = Relay({b"EHLO": CHUNKING}), targets("bob")
    content = Big((b"x" * 998 + b"\r\n") * 500)
    finish(relay.clock, deliver(relay.open(), item_for(to), to, content, tasks.Inline()))
    assert relay.peer.said[-1] == b"BDAT 500006 LAST"
    assert relay.peer.contents == [b"X: y\r\n" + content.data]


def test_a_counted_content_that_has_become_shorter_never_ends():
    relay, to = Relay({b"EHLO": CHUNKING}), targets("bob")
    with pytest.raises(OSError, match="499000 octets of the content are missing"):
        finish(relay.clock, deliver(relay.open(), item_for(to), to, Big(b"x" * 998 + b"\r\n"), tasks.Inline()))
    assert relay.peer.connections[0].octets == 499_000


def test_content_that_nobody_takes_is_not_sent_where_it_would_be_counted():
    relay = Relay({b"EHLO": CHUNKING, b"RCPT": b"550 5.1.1 No"})
    session = relay.open()
    assert codes(relay.deliver(targets("bob", "eve"), session=session)) == [(Result.FAILED, 550, "5.1.1")] * 2
    assert relay.peer.contents == []
    relay.peer.answers[b"RCPT"] = b"250 Ok"
    assert codes(relay.deliver(targets("bob"), session=session)) == [TAKEN]
    assert relay.peer.said[-4:] == [b"RSET", FROM, b"RCPT TO:<bob@far.test>", b"BDAT 31 LAST"]


def test_what_is_encoded_on_the_way_is_dotted_when_its_size_is_not_known():
    relay, to = Relay({b"EHLO": offering(b"CHUNKING", without=b"8BITMIME")}), targets("bob")
    content = Big("Subject: x\r\n\r\nGrüße\r\n".encode())
    assert codes(finish(relay.clock, deliver(relay.open(), item_for(to), to, content, tasks.Inline()))) == [TAKEN]
    assert relay.peer.said[1:] == [b"MAIL FROM:<ann@here.example>", b"RCPT TO:<bob@far.test>", b"DATA"]


# ----- what is believed


@pytest.mark.parametrize("cut", [pytest.param(b"250 2.0.0 Tak", id="one-line"), pytest.param(b"250-2.0.0 Taken\r\n250-qu", id="several")])
@pytest.mark.parametrize("ehlo", [pytest.param(EHLO, id="dotted"), pytest.param(CHUNKING, id="counted")])
def test_who_has_begun_to_say_that_he_has_it_does_not_get_it_twice(ehlo, cut):
    relay = Relay({b"EHLO": ehlo})
    session = relay.open()
    side = relay.peer.connections[0]

    def breaks():
        side.clock.callLater(0, side.connection.dataReceived, cut)
        return HANG_UP

    relay.peer.answers |= {b".": breaks, b"BDAT": breaks}
    side.hang_up = lambda: side.clock.callLater(0, side.connection.connectionLost)
    (outcome,) = relay.deliver(targets("bob"), session=session)
    assert (outcome.result, outcome.status.code) == (Result.RELAYED, 250)


def test_a_broken_connection_behind_the_content_is_told_as_what_it_is():
    (outcome,) = Relay({b".": HANG_UP}).deliver(targets("bob"))
    assert (outcome.result, outcome.status.enhanced) == (Result.DEFERRED, "4.4.2")
    assert outcome.status.text == "The other side got all of the message and closed the connection without an answer"


def test_answers_that_come_before_what_they_answer_count_for_nothing():
    relay = Relay({b"MAIL": b"250 Ok\r\n250 Ok\r\n354 Go on\r\n250 Taken"})
    (outcome,) = relay.deliver(targets("bob"))
    assert (outcome.result, outcome.status.enhanced) == (Result.DEFERRED, "4.5.0")
    assert relay.peer.connections[0].aborted


@pytest.mark.parametrize(("said", "expected"), [
    pytest.param(b"552 5.3.4 Too big for us", (Result.FAILED, 552, "5.3.4"), id="refused-for-good"),
    pytest.param(b"452 4.3.1 Disk full", (Result.DEFERRED, 452, "4.3.1"), id="refused-for-now"),
    pytest.param(b"421 4.3.2 Going down", (Result.DEFERRED, 421, "4.3.2"), id="421"),
    pytest.param(b"250 2.0.0 Taken", (Result.DEFERRED, 451, "4.5.0"), id="nobody-can-have-taken-it-yet"),
])
@pytest.mark.parametrize("ehlo", [pytest.param(EHLO, id="dotted"), pytest.param(CHUNKING, id="counted")])
def test_what_a_server_says_in_the_middle_of_a_content(ehlo, said, expected):
    relay, to = Relay({b"EHLO": ehlo}), targets("bob")
    session = relay.open()
    side = relay.peer.connections[0]

    class Interrupted(Big):
        looks = 0

        def chunks(self):
            self.looks += 1
            yield b"Subject: x\r\n"
            if self.looks > 1:
                side.connection.dataReceived(said + b"\r\n")
            yield b"\r\n"

    outcomes = finish(relay.clock, deliver(session, item_for(to), to, Interrupted(b""), tasks.Inline()))
    assert codes(outcomes) == [expected]
    assert side.aborted


def test_a_server_that_is_slow_at_every_step_is_left_in_the_end():
    """Each reply comes in time, and there are a hundred."""
    relay, to = Relay({b"EHLO": b"250 peer.example"}), targets(*(f"r{number}" for number in range(100)))
    session, results = relay.open(), []
    side = relay.peer.connections[0]
    side.say = lambda answer: relay.clock.callLater(200, side._deliver, answer + b"\r\n")
    tasks.shielded(deliver(session, item_for(to), to, Memory(BODY), tasks.Inline())).addBoth(results.append)
    for _ in range(17):
        relay.clock.advance(200)
        assert results == []
    relay.clock.advance(201)
    assert codes(results[0]) == [(Result.DEFERRED, 451, "4.4.2")] * 100
    assert side.aborted


# ----- recipients


@pytest.mark.parametrize("refusal", [
    pytest.param(b"452 4.5.3 Too many recipients", id="452-4.5.3"), pytest.param(b"452 Too many", id="452"),
    pytest.param(b"552 Too many recipients", id="552"),
])
@pytest.mark.parametrize("ehlo", [
    pytest.param(EHLO, id="pipelined"), pytest.param(CHUNKING, id="counted"), pytest.param(ONE_BY_ONE, id="one-by-one"),
])  # fmt: skip
def test_who_were_too_many_come_next(ehlo, refusal):
    relay = Relay({b"EHLO": ehlo})
    session, counted = relay.open(), []
    relay.peer.answers[b"MAIL"] = lambda: counted.clear() or b"250 Ok"
    relay.peer.answers[b"RCPT"] = lambda: counted.append(1) or (b"250 Ok" if len(counted) <= 2 else refusal)
    to = targets("a", "b", "c", "d", "e")
    outcomes = relay.deliver(to, session=session)
    assert codes(outcomes) == [TAKEN] * 5
    assert [outcome.target for outcome in outcomes] == list(to)
    assert len(relay.peer.contents) == 3
    assert session.most_recipients == 2


def test_who_are_too_many_each_time_wait():
    relay = Relay({b"RCPT TO:<b@far.test>": b"452 4.5.3 Too many recipients"})
    assert codes(relay.deliver(targets("a", "b"))) == [TAKEN, (Result.DEFERRED, 452, "4.5.3")]
    assert relay.peer.contents == [WHOLE, b""]


def test_a_server_that_takes_one_at_a_time_does_not_keep_us_for_ever():
    relay = Relay()
    session, counted = relay.open(), []
    relay.peer.answers[b"MAIL"] = lambda: counted.clear() or b"250 Ok"
    relay.peer.answers[b"RCPT"] = lambda: counted.append(1) or (b"250 Ok" if len(counted) <= 1 else b"452 4.5.3 One")
    outcomes = relay.deliver(targets(*(f"r{number}" for number in range(60))), session=session)
    assert [outcome.result for outcome in outcomes] == [Result.RELAYED] * 60, "once it is known, one is what it gets"


# ----- what is said with MAIL


@pytest.mark.parametrize(("login", "auth", "said"), [
    pytest.param(True, "ann@here.example", b"AUTH=ann@here.example", id="it-believes-us"),
    pytest.param(True, "e=mc2@here.example", b"AUTH=e+3Dmc2@here.example", id="in-xtext"),
    pytest.param(True, "<>", b"AUTH=<>", id="nobody-knows"),
    pytest.param(True, "", b"AUTH=<>", id="nobody-has-said"),
    pytest.param(False, "ann@here.example", None, id="it-does-not-know-us"),
])
def test_who_submitted_it_is_said_where_we_have_logged_in(login, auth, said):
    ehlo = offering(b"AUTH PLAIN")
    route = replace(Route("far.test"), login=Login("user", "pass") if login else None)
    relay = Relay({b"EHLO": [STARTTLS, ehlo], b"AUTH": b"235 2.7.0 Welcome"}, route)
    assert codes(relay.deliver(targets("bob"), wishes=Wishes(auth=auth))) == [TAKEN]
    (mail,) = [line for line in relay.peer.said if line.startswith(b"MAIL")]
    assert mail == (FROM + b" " + said if said else FROM)


@pytest.mark.parametrize("offers", [True, False])
def test_an_advertisement_says_so_to_servers_that_want_to_know(offers):
    relay = Relay({b"EHLO": offering(b"NO-SOLICITING net.example:ADV" if offers else b"X")})
    content = b"Solicitation: net.example:ADV\r\n" + BODY
    assert codes(relay.deliver(targets("bob"), content=content)) == [TAKEN]
    assert (b" SOLICIT=net.example:ADV" in relay.peer.said[1]) == offers


def test_a_session_counts_what_it_did_not_have_to_say():
    relay = Relay({b"EHLO": offering(b"SIZE 10")})
    session = relay.open()
    wishes = Wishes(deadline=Deadline(1.0, returns=True))
    assert [o.result for o in relay.deliver(targets("bob"), session=session, wishes=wishes)] == [Result.FAILED]
    assert session.items == 1
    assert session.connection.is_usable
