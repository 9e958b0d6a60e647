"""The queue's verbs: lists, filters, orders, dumps, and that a hundred thousand messages hold nobody up (F030, R37)."""

from __future__ import annotations

import base64
import email
import errno

import pytest

from tests.helpers import heard
from tests.steering.town import BODY, NOW, Town, item
from twistmail import tasks
from twistmail.control import Refusal, spoken
from twistmail.mail.address import parse
from twistmail.mail.envelope import Kind
from twistmail.mail.outcome import Outcome, Result
from twistmail.mail.status import Status
from twistmail.memory.courier import TAKEN
from twistmail.rows import STATES
from twistmail.steering.desk import ROWS, SLICE

LATER = Status(451, "4.3.2", "Try again in an hour")


@pytest.fixture
def town(tmp_path):
    """Three that wait: one untried, one deferred, one held."""
    town = Town(tmp_path, {parse("info@green.example"): LATER})
    deferred = item("6k3fa3-bbbb", "x@red.example", sender=None, age=7200, attempts=2)
    status = Outcome(deferred.errands[0].target, Result.DEFERRED, Status(450, "4.2.2", "Mailbox FULL"), "mx.red.example")
    held = item("6k3fa4-cccc", "y@Green.example", "z@red.example", age=60, account="bert@blue.example")
    return town.holding(item("6k3fa2-aaaa"), deferred.after(status), held.on_hold(True, "body worm:3"))


def test_a_list_comes_in_parts_with_the_whole_count_at_its_end(tmp_path):
    town = Town(tmp_path).holding(*(item(f"i{number:04}", size=10) for number in range(SLICE + ROWS + 1)))
    parts, result = town.hear("queue.list")
    assert result == {"rows": [], "count": SLICE + ROWS + 1, "size": 10 * (SLICE + ROWS + 1)}
    assert max(map(len, parts)) == ROWS
    assert [row["id"] for part in parts for row in part] == [f"i{number:04}" for number in range(SLICE + ROWS + 1)]


def test_so_many_are_shown_and_all_are_counted(town):
    parts, result = town.hear("queue.list", most=1)
    assert ([row["id"] for part in parts for row in part], result["count"]) == (["6k3fa2-aaaa"], 3)


def test_between_two_slices_everybody_else_has_a_turn(tmp_path):
    """Also while orders are given; and what has come or gone meanwhile is no trouble."""
    town = Town(tmp_path).holding(*(item(f"i{number:05}") for number in range(3 * SLICE)))
    for verb, asked in (("queue.list", {"domain": "nowhere.example"}), ("queue.stats", {}), ("queue.hold", {"all": True})):
        turns = []
        answer = town.desk.verbs()[verb](asked)
        town.clock.callLater(0, turns.append, True)
        waiting = tasks.shielded(_result_of(answer, town))
        assert (waiting.called, turns) == (False, [])
        town.clock.advance(0)
        assert turns == [True]
        for _ in range(100):
            town.clock.advance(0)
        assert waiting.called


async def _result_of(answer, town):
    async def tell(part):
        return True

    return await spoken(answer, tell)


@pytest.mark.parametrize(("asked", "ids"), [
    pytest.param({}, "abc", id="nothing"),
    pytest.param({"ids": ["6k3fa2", "6k3fa4-cccc"]}, "ac", id="ids-or-beginnings"),
    pytest.param({"from": "ALICE"}, "ac", id="part-of-the-sender"),
    pytest.param({"from": "<>"}, "b", id="no-sender"),
    pytest.param({"to": "X@red"}, "b", id="part-of-a-recipient"),
    pytest.param({"domain": "GREEN.example"}, "ac", id="domain"),
    pytest.param({"domain": "reen.example"}, "", id="domains-are-whole"),
    pytest.param({"older_than": 3600}, "ab", id="age"),
    pytest.param({"held": True}, "c", id="held"),
    pytest.param({"state": "held"}, "c", id="state-held"),
    pytest.param({"state": "new"}, "a", id="state-new"),
    pytest.param({"state": "deferred"}, "b", id="state-deferred"),
    pytest.param({"state": "active"}, "", id="state-active"),
    pytest.param({"reason": "mailbox full"}, "b", id="last-answer"),
    pytest.param({"reason": "WORM"}, "c", id="why-it-is-held"),
    pytest.param({"reason": "4.2.2"}, "b", id="enhanced-code"),
    pytest.param({"account": "bert@blue.example"}, "c", id="account"),
    pytest.param({"place": ""}, "abc", id="any-place"),
    pytest.param({"place": "nowhere"}, "", id="no-such-place"),
    pytest.param({"from": "alice", "state": "deferred"}, "", id="all-must-fit"),
])
def test_a_filter_picks_what_fits_all_of_it(town, asked, ids):
    assert "".join(one[-1] for one in town.ids(**asked)) == ids
    assert town.ask("queue.list", **asked)["count"] == len(ids)


@pytest.mark.parametrize("asked", [
    {"ids": "x"}, {"ids": [5]}, {"ids": [""]}, {"from": 5}, {"older_than": "1h"}, {"held": "yes"}, {"most": "x"}, {"most": -1},
    {"state": "asleep"}, {"reason": []}, {"place": 1}, {"ids": ["x"] * 10_001},
])  # fmt: skip
def test_a_filter_that_makes_no_sense_is_refused(town, asked):
    with pytest.raises(Refusal) as refusal:
        town.ask("queue.list", **asked)
    assert refusal.value.exit_code == 64


def test_a_row_tells_state_and_next_try_and_last_answers(town):
    untried, deferred, held = town.rows()
    assert [row["state"] for row in (untried, deferred, held)] == ["new", "deferred", "held"]
    assert (untried["next_s"], untried["next"], untried["age_s"]) == (600, "2026-11-18T11:16:40Z", 3600)
    assert (held["next_s"], held["next"], held["held_for"], held["account"]) == (None, "", "body worm:3", "bert@blue.example")
    (to,) = deferred["to"]
    assert (to["code"], to["enhanced"], to["text"], to["host"]) == ("450", "4.2.2", "Mailbox FULL", "mx.red.example")
    assert to["state"] == "deferred"


def test_an_attempt_that_runs_makes_a_message_active(town):
    stops = town.couriers[Kind.REMOTE]
    states = []

    async def carry(one, targets, content):
        states.append(town.desk.view().state(one))
        return tuple(Outcome(target, Result.RELAYED, TAKEN) for target in targets)

    stops.carry = carry
    town.ask("queue.flush", ids=["6k3fa2"])
    assert states == ["active"]
    assert set(states) < set(STATES)


# ----- orders


@pytest.mark.parametrize("verb", ["queue.flush", "queue.hold", "queue.release", "queue.bounce", "queue.delete"])
def test_an_empty_filter_changes_nothing_unless_all_is_said(town, verb):
    with pytest.raises(Refusal, match="which messages"):
        town.ask(verb)
    assert town.ask(verb, ids=["nothing-fits"]) == {"count": 0}
    assert len(town.queue.items()) == 3


def test_a_message_is_given_up_with_words_for_its_sender(town):
    assert town.ask("queue.bounce", ids=["6k3fa2"], words="  that firm\r\nhas\x1b closed ") == {"count": 1}
    (to, message) = town.couriers[Kind.MAILBOX].carried[-1][1][0], town.couriers[Kind.MAILBOX].carried[-1][2]
    assert str(to.address) == "alice@blue.example"
    text = " ".join(email.message_from_bytes(message).get_payload(0).get_payload().split())
    assert "given up on the message: that firm has closed" in text
    assert [one.id for one in town.queue.items()] == ["6k3fa3-bbbb", "6k3fa4-cccc"]


def test_a_hold_has_a_reason_of_at_most_a_line(town):
    town.ask("queue.hold", ids=["6k3fa2"], words="x" * 500)
    assert town.rows(ids=["6k3fa2"])[0]["held_for"] == "x" * 200
    with pytest.raises(Refusal):
        town.ask("queue.hold", ids=["6k3fa2"], words=5)


def test_a_message_gets_a_route_of_its_own_and_loses_it_again(town):
    assert town.ask("queue.route", ids=["6k3fa4"], via="[10.0.0.2]:2525") == {"count": 1}
    assert town.rows(ids=["6k3fa4"])[0]["via"] == "[10.0.0.2]:2525"
    assert town.ask("queue.route", ids=["6k3fa4"], via="") == {"count": 1}
    assert town.rows(ids=["6k3fa4"])[0]["via"] == ""


@pytest.mark.parametrize("via", [None, 5, "[10.0.0.2]:99999", "a b:c:d", "[broken"])
def test_a_route_that_is_none_changes_nothing(town, via):
    with pytest.raises(Refusal) as refusal:
        town.ask("queue.route", all=True, via=via)
    assert refusal.value.exit_code == 64
    assert {one.via for one in town.queue.items()} == {""}


def test_everything_is_deleted_where_all_is_said(town):
    assert town.ask("queue.delete", all=True) == {"count": 3}
    assert town.queue.items() == ()


def test_what_the_disk_refuses_is_told_and_nothing_is_lost(town, monkeypatch):
    async def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(town.queue, "hold", refuse)
    with pytest.raises(Refusal, match="No space left on device") as refusal:
        town.ask("queue.hold", all=True)
    assert refusal.value.exit_code == 75
    assert len(town.queue.items()) == 3


# ----- one message


def test_a_message_is_dumped_as_it_is(tmp_path):
    town = Town(tmp_path).holding(item("6k3fa2-aaaa", prefix=b"Received: x\r\n"))
    parts, result = town.hear("queue.dump", id="6k3f")
    assert b"".join(map(base64.b64decode, parts)) == b"Received: x\r\n" + BODY
    assert result == {"id": "6k3fa2-aaaa", "size": len(BODY) + 13}


@pytest.mark.parametrize(("asked", "code", "said"), [
    pytest.param({}, 64, "which message", id="none"),
    pytest.param({"id": 5}, 64, "which message", id="no-text"),
    pytest.param({"id": "6k3"}, 64, "fits 3 messages", id="several"),
    pytest.param({"id": "zz"}, 67, "no message zz is in the queue", id="unknown"),
])
def test_what_cannot_be_dumped(town, asked, code, said):
    with pytest.raises(Refusal, match=said) as refusal:
        town.ask("queue.dump", **asked)
    assert refusal.value.exit_code == code


def test_a_message_that_leaves_while_it_is_dumped_is_told_as_such(town):
    def gone():
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        yield b""

    town.queue.content = lambda _: type("Content", (), {"chunks": lambda self: gone()})()
    with pytest.raises(Refusal, match="cannot be read"):
        town.ask("queue.dump", id="6k3fa2")


# ----- how old, and where to


def test_the_ages_add_up_to_the_queue(town):
    shape = town.ask("queue.stats")
    assert (shape["count"], sum(shape["total"]), sum(shape["states"].values())) == (3, 3, 3)
    assert shape["states"] == {"active": 0, "held": 1, "new": 1, "deferred": 1}
    assert shape["oldest_s"] == 7200
    assert {line["name"]: line["count"] for line in shape["rows"]} == {"green.example": 2, "red.example": 2}
    green = next(line for line in shape["rows"] if line["name"] == "green.example")
    assert green["ages"] == [1, 0, 0, 0, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(("by", "names"), [
    pytest.param("sender", {"blue.example", "<>"}, id="sender"),
    pytest.param("domain", {"green.example", "red.example"}, id="domain"),
    pytest.param("place", {"(here)"}, id="place"),
])
def test_a_chart_by(town, by, names):
    assert {line["name"] for line in town.ask("queue.stats", by=by)["rows"]} == names


def test_a_chart_of_a_part_of_the_queue_with_few_lines(town):
    shape = town.ask("queue.stats", most=1, state="held")
    assert (shape["count"], len(shape["rows"]), shape["others"]) == (1, 1, 1)


def test_an_empty_queue_has_a_chart_too(tmp_path):
    shape = Town(tmp_path).holding().ask("queue.stats")
    assert (shape["count"], shape["oldest_s"], shape["rows"]) == (0, None, [])


@pytest.mark.parametrize("asked", [{"by": "colour"}, {"most": 0}, {"most": "x"}, {"state": "x"}])
def test_a_chart_that_makes_no_sense_is_refused(town, asked):
    with pytest.raises(Refusal):
        town.ask("queue.stats", **asked)


# ----- what happens


class Watching:
    """One who looks on."""

    def __init__(self, town, **asked):
        self.town, self.parts = town, []
        self.here = True
        self.ended = tasks.shielded(self.run(town.desk.verbs()["queue.watch"](asked)))

    async def run(self, answer):
        async def tell(part):
            self.parts.append(part.value)
            return self.here

        return await spoken(answer, tell)

    def after(self, seconds=1.0):
        """What was told meanwhile: (id, what)."""
        self.parts.clear()
        for _ in range(int(seconds * 10)):
            self.town.clock.advance(0.1)
        return [(fact["id"], fact["what"]) for part in self.parts for fact in part["facts"]]


@pytest.fixture
def watch(town):
    """A function that makes somebody look on; he goes at the end."""
    watching = []

    def begin(**asked):
        watching.append(Watching(town, **asked))
        return watching[-1]

    yield begin
    for one in watching:
        one.here = False
        one.after(2.0)
        assert one.ended.called


def test_whoever_watches_is_told_what_happens(town, watch):
    watching = watch()
    assert watching.parts == [{"facts": [], "missed": 0, "count": 3}]
    town.ask("queue.flush", ids=["6k3fa2"])
    assert watching.after() == [("6k3fa2-aaaa", "Outcome"), ("6k3fa2-aaaa", "Postponed")]
    town.ask("queue.delete", ids=["6k3fa3"])
    assert watching.after() == [("6k3fa3-bbbb", "Removed")]
    assert watching.parts[-1]["count"] == 2


def test_whoever_watches_some_is_told_of_those(town, watch):
    watching = watch(domain="red.example")
    town.ask("queue.delete", all=True)
    assert watching.after() == [("6k3fa3-bbbb", "Removed"), ("6k3fa4-cccc", "Removed")]


def test_silence_has_signs_of_life_and_ends_when_nobody_listens(town, watch):
    watching = watch()
    watching.after(5.0)
    assert 4 <= len(watching.parts) <= 6
    watching.here = False
    watching.after(2.0)
    assert watching.ended.called
    listeners = town.facts._listeners
    assert len(listeners) == 2  # those of the town itself


def test_too_much_to_tell_is_counted(town, watch):
    watching = watch()
    watching.after(0.1)
    for _ in range(1100):
        town.runner._register._tell("6k3fa2-aaaa", Outcome(item("x").errands[0].target, Result.DEFERRED, LATER))
    assert len(watching.after()) == 1000
    assert sum(part["missed"] for part in watching.parts) == 100


# ----- what has been


def test_history_tells_the_end_of_each_recipient(town):
    town.ask("queue.route", ids=["6k3fa4"], via="")
    town.couriers[Kind.REMOTE].answers[parse("info@green.example")] = TAKEN
    town.ask("queue.flush", ids=["6k3fa2"])
    town.ask("queue.bounce", ids=["6k3fa3"])
    town.clock.advance(1)
    rows = town.rows("queue.history")
    assert [(row["id"], row["to"], row["result"]) for row in rows] == [
        ("6k3fa2-aaaa", "info@green.example", "relayed"), ("6k3fa3-bbbb", "x@red.example", "failed"),
        ("r1", "postmaster@blue.example", "delivered")]  # fmt: skip
    assert town.ask("queue.history", result="failed")["count"] == 1
    assert town.ask("queue.history", since=NOW + 3600)["count"] == 0


@pytest.mark.parametrize("asked", [{"result": "lost"}, {"since": "x"}, {"until": []}, {"sender": 5}, {"most": -1}])
def test_a_question_about_the_past_that_makes_no_sense_is_refused(town, asked):
    with pytest.raises(Refusal):
        town.ask("queue.history", **asked)


def test_a_journal_that_cannot_be_written_is_told(town, monkeypatch):
    def fail():
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(town.journal, "write", fail)
    with pytest.raises(Refusal, match="cannot be written") as refusal:
        heard(town.desk.verbs()["queue.history"]({}), town.clock)
    assert refusal.value.exit_code == 75
