"""R01: a message is followed from its writer to its reader, over the journals of two servers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail import facts, hops
from twistmail.facts import Accepted, Connected, Expanded, Fact, LoggedIn, Queued, Read, Removed, ServersFound, Stored
from twistmail.journal import DAY, Journal
from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.ids import EPOCH
from twistmail.mail.outcome import Outcome, Postponed, Result
from twistmail.mail.status import Status

NOON = float(EPOCH + 2510 * DAY + DAY // 2)
ALICE, CAROL, INFO = Address("alice", "blue.test"), Address("carol", "green.test"), Address("info", "green.test")
MESSAGE_ID = "<1@laptop>"
OVER_THERE = Target(Kind.REMOTE, INFO, INFO)
IN_HER_BOX = Target(Kind.MAILBOX, CAROL, INFO, "carol@green.test")
BLUE = [
    (0.0, "c0", Connected("submission", "192.0.2.1", 4001)),
    (0.1, "c0", LoggedIn("alice@blue.test", "PLAIN")),
    (0.2, "6k3fa2-9akq", Accepted("c0", "submission", ALICE, (INFO,), 412, "alice@blue.test", MESSAGE_ID, "Lunch?")),
    (0.3, "6k3fa2-9akq", Queued(1)),
    (0.4, "6k3fa2-9akq", ServersFound("green.test", True, ("mx.green.test [192.0.2.20]",), 0.012)),
    (0.5, "6k3fa2-9akq", Outcome(OVER_THERE, Result.DEFERRED, Status(451, "4.3.2", "Try again later"), "mx.green.test [192.0.2.20]")),
    (0.5, "6k3fa2-9akq", Postponed(NOON + 60)),
    (1.5, "6k3fa2-9akq", Outcome(OVER_THERE, Result.RELAYED, Status(250, "2.0.0", "Accepted as 6k3fa3-0001"), "mx.green.test [192.0.2.20]",
                                 secured="TLSv1.3")),
    (1.6, "6k3fa2-9akq", Removed("done")),
    (2.0, "6k3fa2-other", Accepted("c0", "submission", ALICE, (INFO,), 412, "alice@blue.test", "<2@laptop>", "Not this one")),
]
GREEN = [
    (1.0, "c7", Connected("mx", "192.0.2.10", 54321)),
    (1.1, "6k3fa3-0001", Accepted("c7", "mx", ALICE, (INFO,), 600, "", MESSAGE_ID, "Lunch?")),
    (1.1, "6k3fa3-0001", Expanded(INFO, (IN_HER_BOX,))),
    (1.2, "6k3fa3-0001", Stored("carol@green.test", "INBOX", 7, "new/1.eml")),
    (1.3, "6k3fa3-0001", Outcome(IN_HER_BOX, Result.DELIVERED, Status(250, "2.0.0", "Delivered to the mailbox"), "mailbox carol")),
    (5.0, "c8", Connected("imap", "192.0.2.9", 4002)),
    (6.0, "c8", Read("imap", "carol@green.test", "INBOX", "1:3,6:9")),
    (6.5, "c8", Read("imap", "carol@green.test", "INBOX", "8")),
    (6.6, "c8", Read("imap", "dave@green.test", "INBOX", "7")),
    (6.7, "c8", Read("imap", "carol@green.test", "Sent", "7")),
]
WAY = [
    ("MUA -> MSA", "blue", "6k3fa2-9akq", "192.0.2.1:4001"),
    ("MSA -> queue", "blue", "6k3fa2-9akq", ""),
    ("MX look-up", "blue", "6k3fa2-9akq", ""),
    ("MTA -> MTA", "blue", "6k3fa2-9akq", "mx.green.test [192.0.2.20]"),
    ("MTA -> MTA", "green", "6k3fa3-0001", "192.0.2.10:54321"),
    ("aliases", "green", "6k3fa3-0001", ""),
    ("MTA -> MDA", "green", "6k3fa3-0001", "mailbox carol"),
    ("MDA -> store", "green", "6k3fa3-0001", "mailbox carol@green.test"),
    ("MAA -> MUA", "green", "c8", "192.0.2.9:4002"),
]


def kept(folder: Path, told) -> Path:
    journal = Journal(folder, 90 * DAY)
    for at, about, what in told:
        journal.note(Fact(NOON + at, about, what))
    journal.write()
    return folder


@pytest.fixture
def towns(tmp_path):
    return {"blue": kept(tmp_path / "blue", BLUE), "green": kept(tmp_path / "green", GREEN)}


def way(towns, message_id=MESSAGE_ID, names=("blue", "green")):
    return hops.hops({name: hops.told_of(towns[name], message_id) for name in names})


@pytest.mark.parametrize("message_id", ["<1@laptop>", "1@laptop", " <1@laptop>"])
def test_each_hop_has_a_line_in_its_order(towns, message_id):
    assert [(hop.name, hop.server, hop.id, hop.peer) for hop in way(towns, message_id)] == WAY


def test_it_does_not_matter_whose_journal_is_read_first(towns):
    assert way(towns, names=("green", "blue")) == way(towns)


def test_one_server_alone_tells_its_own_part_to_the_end(towns):
    alone = way(towns, names=("blue",))
    assert [hop.name for hop in alone] == ["MUA -> MSA", "MSA -> queue", "MX look-up", "MTA -> MTA", "MTA -> MTA"]
    assert "451 4.3.2 Try again later" in alone[3].text
    assert "Accepted as 6k3fa3-0001" in alone[4].text


@pytest.mark.parametrize(("place", "words"), [
    (0, "from alice@blue.test to info@green.test, 412 octets (submission, alice@blue.test by PLAIN)"),
    (2, "green.test: mx.green.test [192.0.2.20], 12 ms"),
    (5, "info@green.test leads to carol@green.test"),
    (7, "INBOX, UID 7, new/1.eml"),
    (8, "carol@green.test has fetched INBOX, UID 1:3,6:9, by imap"),
])  # fmt: skip
def test_a_hop_says_what_has_happened(towns, place, words):
    assert way(towns)[place].text == words


@pytest.mark.parametrize("message_id", ["<3@laptop>", "", "<>", "@", "<1@laptop", "1@LAPTOP"])
def test_nothing_is_known_of_others(towns, message_id):
    assert bool(way(towns, message_id)) is (message_id == "<1@laptop")


@pytest.mark.parametrize(("what", "words"), [
    pytest.param(facts.Fated("HOLD", "access: /etc/access:3"), "held: access: /etc/access:3", id="held"),
    pytest.param(ServersFound("gone.test", True, (), 0.0, Status(550, "5.1.2", "No")), "gone.test: 550 5.1.2 No, 0 ms", id="no-server"),
    pytest.param(ServersFound("hub.test", False, ("hub.test [192.0.2.3]",), 0.0),
                 "hub.test: hub.test [192.0.2.3] (its addresses; no MX was asked for), 0 ms", id="smart-host"),
])  # fmt: skip
def test_what_else_can_happen_on_the_way(tmp_path, what, words):
    folder = kept(tmp_path, [*BLUE[:3], (0.3, "6k3fa2-9akq", what)])
    assert hops.hops({"blue": hops.told_of(folder, MESSAGE_ID)})[-1].text == words


@given(st.text("0123456789,:ab", max_size=40), st.lists(st.integers(0, 200), max_size=5))
def test_any_text_may_stand_where_uids_should(text, uids):
    hops.is_read({"uids": text}, uids)
    assert all(isinstance(low, int) and isinstance(high, int) for low, high in hops.ranges_in(text))


def test_what_the_journal_has_cut_off_is_not_taken_for_a_number():
    text = ",".join(str(number) for number in range(1000, 1600, 2))[:1000]
    assert hops.is_read({"uids": text}, [1000])
    assert max(high for _, high in hops.ranges_in(text)) == 1398
