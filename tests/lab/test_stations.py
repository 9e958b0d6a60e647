"""What the six stations show, at each moment of a letter's way."""

from __future__ import annotations

import pytest

from tests.lab.told import LATER, READ, SENT, SUBMITTED, TAKEN, A, G, accepted, events, outcome
from twistmail.lab.journey import Journey
from twistmail.lab.journey_making import build, mood_of, subject_of
from twistmail.lab.journeys import Journeys
from twistmail.lab.letter_head import Head, head_of, rows
from twistmail.lab.ring import Ring
from twistmail.lab.stations import current, stations, summary

REFUSED = [
    ("blue", "mail", A, "", outcome("failed", "550 5.1.1 No such mailbox")),
    ("blue", "queue", A, "", {"state": "returned", "report": "6k3fa4-0005", "addresses": ["info@green.test"], "success": False, "why": ""}),
    ("blue", "mail", A, "", {"state": "removed", "why": "done"}),
]
PARTLY = [told for told in SENT if told[4].get("state") != "removed"]
HERE = [
    ("blue", "mail", A, "c1", accepted("submission", "alice@blue.test", ["bob@blue.test"], account="alice@blue.test")),
    ("blue", "store", A, "", {"account": "bob@blue.test", "mailbox": "INBOX", "uid": 1, "file": "new/1"}),
    ("blue", "mail", A, "", outcome("delivered", "250 2.0.0 Delivered", "mailbox", "bob@blue.test", "mailbox bob@blue.test")),
]
FULL = [HERE[0], ("blue", "mail", A, "", outcome("deferred", "452 4.2.2 Full", "mailbox", "bob@blue.test", "mailbox bob@blue.test"))]
STRANGER = [("green", "mail", A, "c1", accepted("mx", "eve@far.test", ["carol@green.test"]))]


def the(told) -> Journey:
    journeys = Journeys(Ring(lambda: 0.0))
    for event in events(told):
        journeys.note(event)
    found = journeys.of(A)
    assert found is not None
    return found


@pytest.mark.parametrize(("told", "states", "now", "words"), [
    pytest.param(SUBMITTED, "done done waiting|not yet|not yet|not yet", 3, "on its way", id="queued"),
    pytest.param(SUBMITTED + LATER, "done done waiting|waiting|not yet|not yet", 3,
                 "waits in the queue of blue: 451 4.4.1 No connection", id="waits"),
    pytest.param(SUBMITTED + LATER + SENT + TAKEN, "done done done|done|done|not yet", 5, "delivered to carol, dave", id="delivered"),
    pytest.param(SUBMITTED + SENT + TAKEN + READ, "done done done|done|done|done", 6, "read by carol", id="read"),
    pytest.param(SUBMITTED + REFUSED, "done done trouble|trouble|not yet|not yet", 3, "came back to its sender", id="refused"),
    pytest.param(SUBMITTED + PARTLY + TAKEN + REFUSED, "done done trouble|trouble|done|not yet", 3,
                 "delivered to carol, dave; for info@green.test it came back to its sender", id="refused-for-one-of-them"),
    pytest.param(HERE, "done done passed by|passed by|done|not yet", 5, "delivered to bob", id="the-same-office"),
    pytest.param(FULL, "done done not yet|not yet|waiting|not yet", 5, "on its way", id="full"),
    pytest.param(STRANGER, "done passed by|not yet|not yet|not yet|not yet", 1, "on its way", id="from-a-stranger"),
])  # fmt: skip
def test_where_a_letter_is(told, states, now, words):
    journey = the(told)
    six = stations(journey)
    wanted = states.replace("passed by", "passed_by").replace("not yet", "not_yet").replace("|", " ").split()
    assert [one.state.replace(" ", "_") for one in six] == wanted
    assert (current(six), summary(journey)[1]) == (now, words)


CALLING = [("blue", "net", A, "", {"from": "blue", "to": "green", "what": "connecting", "address": "192.0.2.20"})]
SILENCE = [("blue", "net", A, "", {"from": "blue", "to": "green", "what": "no answer"}), *LATER[-2:]]
FROM_A_SLOW_LINE = [*CALLING, *SENT[:4]]


@pytest.mark.parametrize(("told", "who", "line", "gives_up", "words"), [
    pytest.param(SUBMITTED + LATER[:3] + CALLING, "mx.green.test", "is being called by blue, has not answered yet", 30.0,
                 "blue is calling mx.green.test", id="nobody-answers-yet"),
    pytest.param(SUBMITTED + LATER[:3] + FROM_A_SLOW_LINE, "mx.green.test", "is connected with blue: they speak", 0.0,
                 "blue speaks with mx.green.test", id="a-slow-line"),
    pytest.param(SUBMITTED + LATER[:3] + SENT[:4], "mx.green.test", "is connected with blue: they speak", 0.0,
                 "blue speaks with mx.green.test", id="on-a-connection-that-was-open"),
])  # fmt: skip
def test_while_another_office_is_called_the_mx_says_so(told, who, line, gives_up, words):
    mx = stations(the(told))[3]
    assert (mx.state, mx.who, mx.lines[0]) == ("waiting", who, line)
    assert mx.due == (mx.at + gives_up if gives_up else 0.0)
    assert summary(the(told))[1] == words


def test_no_next_try_is_counted_down_while_one_is_under_way():
    journey = the(SUBMITTED + LATER + CALLING)
    queue, mx = stations(journey)[2:4]
    assert (journey.next, queue.due, queue.lines) == (0.0, 0.0, ("1 try failed", "under way"))
    assert mx.lines[1] == "the last time: 451 4.4.1 No connection"


def test_a_call_that_nobody_answers_ends():
    assert stations(the(SUBMITTED + LATER[:3] + CALLING + SILENCE))[3].lines == ("451 4.4.1 No connection",)


@pytest.mark.parametrize(("told", "who"), [
    pytest.param([], "the server of green.test", id="nobody-has-looked-it-up"),
    pytest.param(LATER[2:3], "mx.green.test", id="found"),
    pytest.param([("blue", "queue", A, "", {"state": "servers", "next_hop": "green.test", "servers": [], "status": "556 5.1.10 None"})],
                 "no server found for green.test", id="there-is-none"),
])  # fmt: skip
def test_whom_an_attempt_was_for(told, who):
    unreached = ("blue", "mail", A, "", outcome("deferred", "451 4.4.1 No connection", host=""))
    assert stations(the([*SUBMITTED, *told, unreached]))[3].who == who


def test_what_waits_behind_another_letter_says_what_the_queue_says():
    assert stations(the(SUBMITTED), {A: "nobody gets through to green.test"})[2].lines == ("nobody gets through to green.test",)
    assert stations(the(SUBMITTED))[2].lines == ("under way",)


def test_what_was_given_up_waits_no_more():
    given_up = [("blue", "queue", A, "", {"state": "given up", "status": "451 4.4.1 No connection"}), *REFUSED[1:]]
    assert [one.state for one in stations(the(SUBMITTED + LATER + given_up))][2:4] == ["trouble", "trouble"]


def test_a_first_server_that_was_asked_in_vain_is_told_beside_the_second():
    two = {"state": "servers", "next_hop": "green.test", "servers": ["down.green.test [192.0.2.99]", "mx.green.test [192.0.2.20]"]}
    unreached = {"from": "blue", "to": "192.0.2.99", "what": "out of reach"}
    journey = the([*SUBMITTED, ("blue", "queue", A, "", two), ("blue", "net", A, "", unreached), *CALLING, *SENT])
    assert "asked in vain before: down.green.test, out of reach" in stations(journey)[3].lines
    assert stations(the(SUBMITTED + LATER + SENT))[3].lines == ("250 2.0.0 Accepted as " + G, "not encrypted")


def test_the_next_try_is_counted_down_at_the_queue():
    journey = the(SUBMITTED + LATER)
    assert (stations(journey)[2].due, journey.next) == (1005.0, 1005.0)
    assert the(SUBMITTED + LATER + SENT).next == 0.0


def test_mail_is_pushed_to_the_mailbox_and_pulled_from_it():
    assert [one.arrow for one in stations(the(HERE))] == ["", "push", "push", "push", "push", "pull"]


def test_each_station_is_explained_in_one_sentence_with_the_rfc():
    assert all(one.explained.endswith(".") and one.explained.count(". ") == 0 and one.rfc.startswith("RFC ") for one in stations(the(HERE)))


def test_of_a_letter_that_is_being_told_nothing_is_said_to_differ():
    journeys = Journeys(Ring(lambda: 0.0))
    for event in events(SUBMITTED):
        journeys.note(event)
    early = journeys.of(A, until=journeys.of(A).moments[0])
    assert [one.state for one in stations(early)][:2] == ["done", "waiting"]
    assert [(row.said, row.why) for row in rows(early.first, Head())] == [(("(not said yet)",), "")] * 2


def test_nothing_is_known_of_nothing():
    six = stations(build(("blue", "x"), (), {}))
    assert len(six) == 6


HEADER = (b"Received: from mx.blue.test (mx.blue.test [192.0.2.10])\r\n\tby mx.green.test with ESMTPS\r\n\tid 6k3fa3-0002; now\r\n"
          b"Received: from laptop\r\n\tby mx.blue.test with ESMTPSA id 6k3fa2-0001; now\r\n"
          b"From: Alice <alice@blue.test>\r\nTo: Info <INFO@green.test>\r\n\r\n")  # fmt: skip


def test_each_received_line_is_linked_to_the_office_that_has_written_it():
    head = head_of(HEADER, the(SUBMITTED + SENT + TAKEN))
    assert [(trace.by, trace.office) for trace in head.traces] == [("mx.green.test", "green"), ("mx.blue.test", "blue")]


@pytest.mark.parametrize(("header", "differ"), [
    pytest.param(HEADER, [False, False], id="the-same"),
    pytest.param(HEADER.replace(b"alice@", b"boss@"), [True, False], id="another-author"),
    pytest.param(HEADER.replace(b"INFO@", b"all@"), [False, True], id="other-recipients"),
    pytest.param(HEADER.replace(b"To: Info", b"Cc: x@y.test,"), [False, True], id="one-more"),
    pytest.param(HEADER.replace(b"\r\n\r\n", b"\r\nReply-To: else@far.test\r\n\r\n"), [False, False, True], id="answers-elsewhere"),
    pytest.param(HEADER.replace(b"\r\n\r\n", b"\r\nReply-To: alice@blue.test\r\n\r\n"), [False, False, False], id="answers-as-usual"),
    pytest.param(b"\r\n", [False, False], id="no-head-at-all"),
    pytest.param(b"From: =?utf-8?q?alice=40blue=2Etest?= <eve@far.test>\r\nTo: info@green.test\r\n\r\n", [True, False], id="in-the-name"),
])  # fmt: skip
def test_where_envelope_and_head_differ_it_is_said(header, differ):
    journey = the(SUBMITTED)
    assert [bool(row.why) for row in rows(journey.first, head_of(header, journey))] == differ


@pytest.mark.parametrize(("written", "read"), [
    pytest.param("Lunch?", "Lunch?", id="plain"),
    pytest.param("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Gr\u00fc\u00dfe", id="encoded"),
    pytest.param("=?nonsense?q?x?=", "x", id="in-no-charset"),
    pytest.param("a\udcffb", "a?b", id="half-a-character"),
])  # fmt: skip
def test_a_subject_is_shown_as_people_read_it(written, read):
    assert subject_of(written) == read


def test_a_subject_that_turns_round_what_follows_is_not_believed():
    assert "\u202e" not in subject_of("\u202egnp.exe")


def test_a_megabyte_of_header_is_cut():
    head = head_of(b"X-A: " + b"x" * 100 + b"\r\nSubject: " + b"y" * 1_000_000, the(SUBMITTED))
    assert max(len(value) for _, value in head.fields) <= 2000
    assert head_of(b"X: y\r\n" * 100_000 + b"\r\n", the(SUBMITTED)).more > 1000
    assert Head().values("from") == ()


@pytest.mark.parametrize(("said", "mood"), [
    ("250 2.0.0 NO problem", ""), ("451 4.3.2 later", "later"), ("550-5.1.1 no", "refused"), ("-ERR no", "refused"),
    ("a1 NO [X] no", "refused"),
    ("a1 BAD what", "refused"), ("* OK NO", ""), ("+OK", ""), ("", ""), ("5", ""),
])  # fmt: skip
def test_what_an_answer_means_for_who_hears_it(said, mood):
    assert mood_of(said) == mood
