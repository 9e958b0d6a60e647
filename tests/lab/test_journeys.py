"""Which events belong to which message, whoever tells his part first."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lab.told import OUT, READ, SENT, SUBMITTED, TAKEN, WHOLE, A, G, accepted, events, line, outcome
from twistmail.lab.journeys import MOST_JOURNEYS, Journeys
from twistmail.lab.ring import Ring
from twistmail.lists.copies import copy_id
from twistmail.mail.address import Address


def heard(told):
    journeys = Journeys(Ring(lambda: 0.0))
    for event in events(told):
        journeys.note(event)
    return journeys


def the(told):
    journeys = heard(told)
    assert len(journeys.latest(10)) == 1
    return journeys.latest(1)[0]


def told_by(journey):
    """What a journey says, without the numbers of its events."""
    return (
        journey.legs,
        [
            (one.key, one.kind, one.peer, one.end, one.tls, [(line.side, line.text) for line in one.lines])
            for one in sorted(journey.dialogues, key=lambda one: one.key)
        ],
        sorted(journey.questions, key=str),
    )


def test_a_letter_to_another_office_is_one_journey_with_two_legs():
    journey = the(WHOLE)
    assert (journey.key, [leg.node for leg in journey.legs]) == (A, [("blue", A), ("green", G)])
    blue, green = journey.legs
    assert (blue.service, blue.account, blue.mechanism, blue.tls, blue.program, blue.peer) == (
        "submission",
        "alice@blue.test",
        "PLAIN",
        "TLSv1.3",
        "laptop",
        "127.0.0.1:4001",
    )
    assert [(one.number, one.state) for one in blue.attempts] == [(1, "deferred"), (2, "relayed")]
    assert (blue.state, blue.next, green.parent, green.peer) == ("done", 0.0, blue.node, "blue")
    assert [(copy.account, copy.uid, [one.service for one in copy.readings]) for copy in journey.copies] == [
        ("carol@green.test", 7, ["imap"]),
        ("dave@green.test", 3, []),
    ]
    assert [(one.name, one.targets) for one in green.aliases] == [("info@green.test", ("carol@green.test", "dave@green.test"))]
    assert [(one.office, one.name) for one in journey.questions] == [("blue", "green.test"), ("green", "10.2.0.192.in-addr.arpa")]


def test_each_dialogue_is_shown_once_as_the_one_who_connected_heard_it():
    journey = the(WHOLE)
    assert [(one.title, one.kind) for one in journey.dialogues] == [
        ("alice to blue, submission", "in"),
        ("blue to green", "out"),
        ("carol reads by IMAP", "reading"),
    ]
    assert [line.mood for line in journey.dialogues[1].lines] == [""] * 5


def test_where_one_side_has_not_heard_the_answer_both_are_shown():
    """Cut after the dot: green has taken it, and blue does not know."""
    cut = list(SENT[:-3])
    journey = the(SUBMITTED + cut + TAKEN)
    assert [(one.title, one.kind) for one in journey.dialogues] == [
        ("alice to blue, submission", "in"),
        ("blue to green", "out"),
        ("blue to green, mx", "in"),
    ]
    assert [leg.office for leg in journey.legs] == ["blue", "green"]


@settings(max_examples=100)
@given(st.data())
def test_it_does_not_matter_which_office_tells_first(data):
    blue, green = list(SUBMITTED + SENT), list(TAKEN + READ)
    told = []
    while blue or green:
        told.append((blue if blue and (not green or data.draw(st.booleans())) else green).pop(0))
    assert told_by(the(told)) == told_by(the(SUBMITTED + SENT + TAKEN + READ))


@pytest.mark.parametrize("key", [A, G, A[:9], "6k3fa3"])
def test_a_journey_is_found_by_each_of_its_ids_and_by_their_beginnings(key):
    assert heard(WHOLE).of(key).key == A


@pytest.mark.parametrize("key", ["", "x", A + "x", "6k3fa"])
def test_what_fits_none_or_several_is_not_found(key):
    other = ("red", "mail", "6k3fa9-0009", "c9", accepted("mx", "", ["x@red.test"]))
    assert heard([*WHOLE, other]).of(key) is None


def test_any_moment_can_be_seen_again():
    journeys = heard(WHOLE)
    whole = journeys.of(A)
    assert journeys.of(A, until=whole.moments[-1]) == whole
    states = [journeys.of(A, until=number).first.state for number in whole.moments]
    assert [state for state, _ in groupby(states)] == ["coming", "taken", "queued", "waiting", "done"]


def test_two_letters_on_one_connection_are_two_journeys():
    second, there = "6k3fa2-0003", "6k3fa3-0004"
    more = [
        ("blue", "mail", second, "c1", accepted("submission", "alice@blue.test", ["dave@green.test"], "<2@laptop>")),
        ("blue", "queue", second, "", {"state": "queued", "pending": 1}),
        ("blue", "line", second, OUT, line("C", "MAIL FROM:<alice@blue.test>")),
        ("blue", "line", second, OUT, line("S", f"250 2.0.0 Accepted as {there}")),
        ("green", "line", "c2", "c2", line("C", "MAIL FROM:<alice@blue.test>")),
        ("green", "mail", there, "c2", accepted("mx", "alice@blue.test", ["dave@green.test"], "<2@laptop>")),
        ("green", "line", "c2", "c2", line("S", f"250 2.0.0 Accepted as {there}")),
    ]
    journeys = heard(SUBMITTED + SENT + TAKEN + more)
    assert [leg.node for leg in journeys.of(second).legs] == [("blue", second), ("green", there)]
    assert [leg.node for leg in journeys.of(A).legs] == [("blue", A), ("green", G)]
    assert [journey.key for journey in journeys.latest(5)] == [second, A]
    assert [[one.kind for one in journeys.of(key).dialogues] for key in (A, second)] == [["in", "out"]] * 2  # green has heard the same


def test_a_report_knows_what_it_is_about():
    report = "6k3fa4-0005"
    more = [
        ("blue", "mail", A, "", outcome("failed", "550 5.1.1 No such mailbox")),
        ("blue", "queue", A, "", {"state": "returned", "report": report, "addresses": ["info@green.test"], "success": False, "why": ""}),
        ("blue", "mail", report, "", outcome("delivered", "250 2.0.0 Delivered", "mailbox", "alice@blue.test", "mailbox alice@blue.test")),
        ("blue", "store", report, "", {"account": "alice@blue.test", "mailbox": "INBOX", "uid": 1, "file": "new/1"}),
    ]
    journeys = heard(SUBMITTED + more)
    assert (journeys.of(report).about, journeys.of(report).first.is_report, journeys.of(A).first.reports) == (A, True, (report,))


def test_what_a_list_sends_to_its_members_belongs_to_the_post():
    copy = copy_id(A, Address("info", "green.test"))
    more = [("blue", "queue", copy, "", {"state": "queued", "pending": 3})]
    journeys = heard(SUBMITTED + more)
    assert [leg.node for leg in journeys.of(copy).legs] == [("blue", A), ("blue", copy)]
    assert journeys.of(copy).legs[1].parent == ("blue", A)


def test_what_is_older_than_the_last_hundreds_is_forgotten():
    one = ("red", "mail", "", "c1", accepted("mx", "", ["x@red.test"]))
    many = [(*one[:2], f"6k3fa2-{number:04}", *one[3:]) for number in range(MOST_JOURNEYS + 50)]
    journeys = heard(many)
    assert len(journeys.latest(1000)) == MOST_JOURNEYS
    assert journeys.of("6k3fa2-0000") is None
    journeys.forget()
    assert journeys.latest(5) == []


ODD = st.fixed_dictionaries({}, optional={
    "state": st.sampled_from(["accepted", "queued", "waiting", "removed", "opened", "returned", "servers", "x"]),
    "uid": st.integers(0, 9), "uids": st.text("0123456789:,", max_size=9), "peer": st.text(max_size=20),
    "from": st.sampled_from(["blue", ""]),
    "report": st.text(max_size=5), "text": st.text(max_size=30), "side": st.sampled_from(["C", "S"]), "question": st.text(max_size=20),
    "recipients": st.just(["@", "not an address"]), "port": st.integers(0, 9),
})  # fmt: skip
TOLD = st.tuples(st.sampled_from(["blue", "green"]), st.sampled_from(["mail", "queue", "alias", "store", "line", "dns", "read", "net",
                 "connection", "auth", "tls", "check"]), st.sampled_from(["", "a", "b", "6k3fa2-00000000"]),
                 st.sampled_from(["", "c1", "blue>green:4"]), ODD)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(TOLD, max_size=30))
def test_whatever_is_told_there_are_journeys_and_each_item_is_in_one(told):
    journeys = heard(told)
    latest = journeys.latest(100)
    nodes = [leg.node for journey in latest for leg in journey.legs]
    assert len(nodes) == len(set(nodes))


def test_of_a_connection_on_which_several_letters_came_each_has_its_own_lines():
    def say(side, text):
        return ("blue", "line", "c1", "c1", line(side, text))

    told = [
        *SUBMITTED[:5], say("C", "MAIL FROM:<alice@blue.test>"), SUBMITTED[5], say("S", "250 one"),
        say("C", "mail from:<alice@blue.test>"),
        ("blue", "mail", "6k3fa2-0009", "c1", accepted("submission", "alice@blue.test", ["x@y.test"])),
        say("S", "250 two"), say("C", "QUIT"), *SUBMITTED[8:],
    ]  # fmt: skip
    journeys = heard(told)
    for key, own, other in ((A, "250 one", "250 two"), ("6k3fa2-0009", "250 two", "250 one")):
        (dialogue,) = journeys.of(key).dialogues
        said = [one.text for one in dialogue.lines]
        assert said[:2] == ["220 mx.blue.test ESMTP", "EHLO laptop"]
        assert own in said
        assert other not in said
        assert dialogue.end == "quit"


def test_before_it_is_accepted_a_letter_is_being_told():
    journeys = heard(SUBMITTED)
    early = journeys.of(A, until=journeys.of(A).moments[1])
    assert (early.first.state, early.first.service, early.first.is_report) == ("coming", "submission", False)
    assert [one.title for one in early.dialogues] == ["client to blue, submission"]


def test_what_is_sent_on_to_a_third_office_is_a_further_leg():
    on, third = "green>red:60000", "6k3fa5-0006"
    more = [
        ("green", "queue", G, "", {"state": "queued", "pending": 1}),
        ("green", "line", G, on, line("C", "MAIL FROM:<alice@blue.test>")),
        ("red", "connection", "c9", "c9", {"state": "opened", "service": "mx", "peer": "192.0.2.20:60000", "port": 60000, "from": "green"}),
        ("red", "mail", third, "c9", accepted("mx", "alice@blue.test", ["mallory@red.test"])),
        ("red", "store", third, "", {"account": "mallory@red.test", "mailbox": "INBOX", "uid": 1, "file": "new/3"}),
    ]
    journey = the(SUBMITTED + SENT + TAKEN + more)
    assert [(leg.office, leg.parent) for leg in journey.legs] == [("blue", None), ("green", ("blue", A)), ("red", ("green", G))]
    assert [copy.account for copy in journey.copies][-1] == "mallory@red.test"
    assert [leg.office for leg in journey.children(journey.legs[1])] == ["red"]


def test_two_offices_that_send_it_to_each_other_are_one_journey_with_an_end():
    """A circle of forwards: the loop is broken by the offices; here every round is a leg of its own."""
    told = list(SUBMITTED + SENT + TAKEN)
    before, here = G, "green"
    for number in range(6):
        there, identifier, name = (
            ("blue", "green")[number % 2],
            f"6k3fb0-{number:04}",
            f"{here}>{('blue', 'green')[number % 2]}:{61000 + number}",
        )
        told += [
            (here, "line", before, name, line("C", "MAIL FROM:<alice@blue.test>")),
            (there, "connection", f"d{number}", f"d{number}", {"state": "opened", "service": "mx", "port": 61000 + number, "from": here}),
            (there, "mail", identifier, f"d{number}", accepted("mx", "alice@blue.test", ["info@green.test"])),
        ]
        before, here = identifier, there
    journey = the(told)
    assert [leg.office for leg in journey.legs] == ["blue", "green"] * 4
