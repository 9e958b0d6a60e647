"""The numbers for Prometheus: what is counted, and the page that is fetched. Prometheus' own parser reads it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.helpers import result_of
from tests.steering.town import NOW, Town, item
from twistmail.control import Refusal
from twistmail.facts import (
    Accepted,
    Banned,
    Closed,
    Connected,
    Fact,
    Facts,
    LoggedIn,
    LoginFailed,
    Queued,
    Refused,
    Removed,
    TlsFailed,
)
from twistmail.mail.address import parse
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.ids import identifiers
from twistmail.mail.outcome import GaveUp, Outcome, Postponed, Reported, Result, SenderWarned
from twistmail.mail.status import Status
from twistmail.memory.courier import TAKEN
from twistmail.servers.pages import PageSession
from twistmail.steering import counting as counting_module
from twistmail.steering.counting import counting
from twistmail.steering.metrics import MetricsDesk
from twistmail.wire.http import Bad, Get, Page

parser = pytest.importorskip("prometheus_client.parser")
from twistmail.steering.meters import code_of, protection  # noqa: E402 - it needs that package

ID = next(identifiers(lambda: NOW, 7))
ANN, BOB = parse("ann@blue.example"), parse("bob@far.test")
FAR, HERE = Target(Kind.REMOTE, BOB, BOB), Target(Kind.MAILBOX, ANN, ANN, "ann@blue.example")
EMPTY = {"states": {"new": 0, "held": 0}, "size": 0, "oldest_s": None}


def numbers(page):
    """{name{labels}: number} of a page."""
    return {
        sample.name + "".join(f"[{value}]" for _, value in sorted(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(page)
        for sample in family.samples
    }


def counted(*facts, queue=EMPTY):
    """What is counted when these (seconds, what) happen."""
    listened = Facts()
    meters = counting(listened, NOW)
    for after, what in facts:
        listened.tell(Fact(NOW + after, ID, what))
    meters.stop()
    listened.tell(Fact(NOW, ID, Queued(1)))
    return numbers(meters.page(queue)[1].decode())


@pytest.mark.parametrize(("what", "name", "value"), [
    pytest.param(Connected("imap", "192.0.2.1", 4), "connections_total[imap]", 1, id="connection"),
    pytest.param(LoggedIn("ann", "PLAIN", "imap"), "logins_total[right][imap]", 1, id="login"),
    pytest.param(LoginFailed("ann", "PLAIN", "imap"), "logins_total[wrong][imap]", 1, id="wrong-password"),
    pytest.param(LoginFailed("ann", "PLAIN"), "logins_total[wrong][other]", 1, id="wrong-password-anywhere"),
    pytest.param(Banned("192.0.2.1", 5.0, "guesses"), "bans_total", 1, id="ban"),
    pytest.param(TlsFailed("no shared cipher"), "tls_failures_total", 1, id="handshake"),
    pytest.param(Accepted("c", "mx", ANN, (BOB,), 4242), "accepted_messages_total[mx]", 1, id="accepted"),
    pytest.param(Accepted("c", "mx", ANN, (BOB,), 4242), "accepted_bytes_total[mx]", 4242, id="octets"),
    pytest.param(Refused("relaying", Status(550, "5.7.1", "no"), "c"), "refusals_total[relaying]", 1, id="refusal"),
    pytest.param(Queued(2), "queue_added_total", 1, id="queued"),
    pytest.param(Removed("done"), "queue_removed_total[done]", 1, id="done"),
    pytest.param(Removed("deleted by an operator"), "queue_removed_total[deleted]", 1, id="deleted"),
    pytest.param(GaveUp(Status(451, "4.4.7", "too long")), "queue_expired_total", 1, id="expired"),
    pytest.param(Reported("r1", (BOB,)), "reports_total[failure]", 1, id="failure-report"),
    pytest.param(Reported("r1", (BOB,), success=True), "reports_total[success]", 1, id="success-report"),
    pytest.param(SenderWarned(), "reports_total[delay]", 1, id="delay-warning"),
    pytest.param(Outcome(FAR, Result.DEFERRED, Status(451, "4.2.2", "full"), "mx.far.test"), "deliveries_total[deferred][relay]", 1,
                 id="deferred"),
    pytest.param(Outcome(FAR, Result.DEFERRED, Status(451, "4.2.2", "full"), "mx.far.test"), "relay_answers_total[4.2]", 1, id="answer"),
    pytest.param(Outcome(HERE, Result.DELIVERED, TAKEN, "ann"), "deliveries_total[delivered][mailbox]", 1, id="delivered"),
    pytest.param(Outcome(FAR, Result.RELAYED, TAKEN, "mx.far.test", secured="TLSv1.3, certificate checked by DANE"),
                 "relayed_total[yes][TLSv1.3]", 1, id="protected"),
    pytest.param(Outcome(FAR, Result.RELAYED, TAKEN, "mx.far.test"), "relayed_total[no][none]", 1, id="in-clear"),
])  # fmt: skip
def test_what_is_counted(what, name, value):
    assert counted((0, what))[f"twistmail_{name}"] == value
    assert counted((0, what), (0, what))[f"twistmail_{name}"] == 2 * value


def test_connections_of_now_go_up_and_down():
    begun = (0, Connected("imap", "192.0.2.1", 4))
    assert counted(begun)["twistmail_connections_open[imap]"] == 1
    assert counted(begun, (1, Closed("quit", 1, 2)))["twistmail_connections_open[imap]"] == 0
    assert "twistmail_connections_open[imap]" not in counted((1, Closed("quit", 1, 2)))


def test_the_time_a_delivery_took_counts_from_the_birth_of_the_message():
    seen = counted((42, Outcome(FAR, Result.RELAYED, TAKEN, "mx.far.test")), (0.2, Outcome(HERE, Result.DELIVERED, TAKEN, "ann")))
    assert seen["twistmail_delivery_seconds_sum[relay]"] == 42
    assert (seen["twistmail_delivery_seconds_bucket[30.0][relay]"], seen["twistmail_delivery_seconds_bucket[60.0][relay]"]) == (0, 1)
    assert seen["twistmail_delivery_seconds_bucket[0.5][mailbox]"] == 1


def test_what_happens_without_a_number_is_no_trouble():
    assert counted((0, Postponed(5.0)), (0, Reported("", (BOB,)))) == counted()


def test_the_queue_is_counted_when_it_is_asked_for():
    seen = counted(queue={"states": {"new": 3, "held": 1}, "size": 4242, "oldest_s": 60})
    assert (seen["twistmail_queue_messages[new]"], seen["twistmail_queue_messages[held]"]) == (3, 1)
    assert (seen["twistmail_queue_bytes"], seen["twistmail_queue_oldest_seconds"]) == (4242, 60)
    assert seen["twistmail_start_time_seconds"] == NOW


def test_the_places_are_counted_when_they_are_asked_for():
    listened = Facts()
    meters = counting(listened, NOW)
    places = [{"rests_s": 60, "running": 1, "waiting": 40}, {"rests_s": 0, "running": 3, "waiting": 2}]
    seen = numbers(meters.page(EMPTY, places)[1].decode())
    names = ("relay_places_resting", "relay_under_way", "relay_in_line")
    assert [seen[f"twistmail_{name}"] for name in names] == [1, 4, 42]


@pytest.mark.parametrize(("status", "code"), [
    pytest.param(Status(451, "4.2.2", ""), "4.2", id="enhanced"),
    pytest.param(Status(550, "", ""), "5.x", id="basic"),
    pytest.param(Status(550, "5.99.123", ""), "5.x", id="subjects-are-few"),
    pytest.param(Status(250, "9.1.1", ""), "2.x", id="classes-too"),
    pytest.param(Status(550, "5.7", ""), "5.x", id="cut-short"),
])
def test_whatever_strangers_answer_there_are_few_codes(status, code):
    assert code_of(status) == code


@pytest.mark.parametrize(("secured", "said"), [
    ("", ("none", "no")), ("TLSv1.3", ("TLSv1.3", "no")), ("TLSv1.2, certificate checked by MTA-STS", ("TLSv1.2", "yes")),
    ("TLSv1.3x", ("other", "no")), ("SSLv3", ("other", "no")),
])  # fmt: skip
def test_there_are_few_words_for_protection(secured, said):
    assert protection(secured) == said


# ----- the page


@pytest.fixture
def town(tmp_path):
    town = Town(tmp_path).holding(item("i1"), item("i2", age=60).on_hold(True))
    town.foundation.meters = counting(town.facts, NOW)
    return town


def test_the_command_is_told_what_prometheus_is(town):
    desk = MetricsDesk(town.foundation)
    seen = numbers(result_of(desk.verbs()["metrics"]({})))
    assert (seen["twistmail_queue_messages[new]"], seen["twistmail_queue_messages[held]"]) == (1, 1)
    kind, text = result_of(desk.page())
    assert kind.startswith("text/plain; version=0.0.4")
    assert numbers(text.decode()) == seen


def test_without_the_package_nobody_counts_and_whoever_asks_hears_why(town, monkeypatch):
    monkeypatch.setattr(counting_module, "Meters", None)
    assert counting(Facts(), NOW) is None
    desk = MetricsDesk(SimpleNamespace(meters=None))
    assert result_of(desk.page()) is None
    with pytest.raises(Refusal, match="prometheus-client is not installed") as refusal:
        result_of(desk.verbs()["metrics"]({}))
    assert refusal.value.exit_code == 69


async def _made():
    return "text/x", b"made"


async def _none():
    return None


@pytest.mark.parametrize(("event", "page"), [
    pytest.param(Get("/metrics"), Page(200, b"made", "text/x"), id="the-page"),
    pytest.param(Get("/away"), Page(503, b"It cannot be had now.\n"), id="not-now"),
    pytest.param(Get("/"), Page(404, b"There is nothing here.\n"), id="elsewhere"),
    pytest.param(Get("/metrics/"), Page(404, b"There is nothing here.\n"), id="nearly"),
    pytest.param(Bad(405), Page(405), id="no-get"),
])
def test_what_is_answered(event, page):
    async def first():
        return [one async for one in PageSession({"/metrics": _made, "/away": _none}).answer(event)]

    assert result_of(first()) == [page]
