"""Every switch of the board: what is set really happens to a letter, and when it is mended the letters go on."""

from __future__ import annotations

import random
import re
import smtplib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater

from tests.helpers import result_of
from tests.lab.living import Guest, living, run, wait_for
from twistmail.lab import fault_settings, nameserver, network, pipes, zones
from twistmail.lab.faults import ALL, FAULTS, GROUPS, Board, NotNow
from twistmail.lab.links import LINK_STATES, Link
from twistmail.lab.offices import OFFICES
from twistmail.lab.ring import Event, Ring
from twistmail.lab.town import Town
from twistmail.lab.traffic import Pace
from twistmail.lab.zones import Zones
from twistmail.lookup import resolver

#: States of letters in which a try has ended.
ENDS = ("relayed", "delivered", "deferred", "failed")


@pytest.fixture(scope="module")
def there(tmp_path_factory: Any) -> Iterator[tuple[Town, Guest]]:
    with living(tmp_path_factory.mktemp("town")) as here:
        yield here


@pytest.fixture
def place(there: tuple[Town, Guest], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Town, Guest, Board]]:
    """The town with a name server whose answers nobody keeps, lines that are slow for half a second, and holes one climbs out of."""
    monkeypatch.setattr(resolver, "SHORTEST", 0.0)
    monkeypatch.setattr(zones, "TTL", 0)
    monkeypatch.setattr(nameserver, "TTL", 0)
    monkeypatch.setattr(nameserver, "SOA", "ns.test. postmaster.test. 1 60 60 600 0")
    monkeypatch.setattr(network, "PATIENCE", 0.3)
    monkeypatch.setattr(pipes, "CRAWL", Pace(0.05, 100_000.0))
    town, guest = there
    for link in town.network.links.values():
        link.cut()
    board = Board(town)
    yield town, guest, board
    run(board.clear_all())
    assert list(board.now()) == []
    for office in OFFICES:
        runner = town.service(office.name).foundation.runner
        for item in runner.queue.items():
            run(runner.delete(item.id))


async def send(town: Town, guest: Guest, to: str, sender: str = "alice@blue.test", size: int = 0, *, envelope: str = "") -> tuple[str, int]:
    """Somebody submits a letter: (its id, the number of the event before it)."""
    began = town.ring.last
    letter = f"Subject: About {to}\r\nFrom: {envelope or sender}\r\nTo: {to}\r\n\r\n" + "Soup, again and again.\r\n" * (size // 24 + 1)

    def submit() -> None:
        with smtplib.SMTP("127.0.0.1", town.ports[sender.rpartition("@")[2].partition(".")[0], "submission"], timeout=10) as client:
            client.login(sender, "demo")
            client.sendmail(envelope or sender, [to], letter.encode())

    await guest.do(submit)
    accepted = await wait_for(town, "mail", after=began, state="accepted", service="submission")
    try_again(town, accepted.office)  # where others have failed the place rests, and that would take a while
    return accepted.about, began


async def outcome(town: Town, item: str, began: int) -> Event:
    """How the first try of *item* has ended."""
    for _ in range(1000):
        for event in town.ring.since(began):
            if event.about == item and event.kind == "mail" and event.what["state"] in ENDS:
                return event
        await deferLater(reactor, 0.02)
    raise AssertionError(f"the first try of {item} does not end")


def try_again(town: Town, office: str = "blue") -> None:
    town.service(office).foundation.runner.flush(None, kept=True)


# ----- what happens to a letter from alice to carol


@pytest.mark.parametrize(("name", "where", "state", "says"), [
    pytest.param("office-off", "green", "deferred", "[Rr]efused", id="office-off"),
    pytest.param("black-hole", "blue>green", "deferred", "long|timed out|time", id="black-hole"),
    pytest.param("slow", "blue>green", "relayed", "2.6.0|2.0.0", id="slow"),
    pytest.param("cut-in-content", "blue>green", "deferred", "closed by the other side", id="cut-in-content"),
    pytest.param("cut-after-the-dot", "blue>green", "deferred", "got all of the message", id="cut-after-the-dot"),
    pytest.param("wrong-certificate", "blue>green", "relayed", "250", id="wrong-certificate"),
    pytest.param("dns-nxdomain", "green.test", "failed", "no such|not exist|exist", id="dns-nxdomain"),
    pytest.param("dns-servfail", "green.test", "deferred", "4.4.3|DNS|looked up", id="dns-servfail"),
    pytest.param("mx-to-nowhere", "green.test", "failed|deferred", "MX|address", id="mx-to-nowhere"),
    pytest.param("null-mx", "green.test", "failed", "5.1.10|takes no mail|no mail", id="null-mx"),
    pytest.param("two-mx", "green.test", "relayed", "250", id="two-mx"),
    pytest.param("no-mx", "green.test", "relayed", "250", id="no-mx"),
    pytest.param("greylist", "green", "deferred", "451 4.7.1 Greylisted", id="greylist"),
    pytest.param("relay-denied", "blue", "failed", "550 5.7.1", id="relay-denied"),
    pytest.param("mailbox-full", "carol@green.test", "deferred", "452 4.2.2", id="mailbox-full"),
    pytest.param("unknown-user", "carol@green.test", "failed", "550 5.1.1", id="unknown-user"),
])  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_what_becomes_of_a_letter(place, name, where, state, says):
    town, guest, board = place
    await board.set(name, where)
    assert board.is_set(name, where)
    item, began = await send(town, guest, "carol@green.test")
    event = await outcome(town, item, began)
    assert re.fullmatch(state, event.what["state"]), event
    assert re.search(says, event.what["status"]), event
    await board.clear(name, where)
    assert not board.is_set(name, where)
    if event.what["state"] == "deferred":
        try_again(town)
        if name == "greylist":  # it is off again: the letter need not wait any more
            assert not town.service("green").config["mx"].greylist
        await wait_for(town, "store", "green", after=began, recipient="carol@green.test")


@pytest_twisted.ensureDeferred
async def test_cut_after_the_dot_a_letter_comes_twice(place):
    town, guest, board = place
    await board.set("cut-after-the-dot", "blue>green")
    _, began = await send(town, guest, "dave@green.test")
    first = await wait_for(town, "store", "green", after=began, recipient="dave@green.test")
    await wait_for(town, "queue", "blue", after=began, state="waiting")
    await board.clear("cut-after-the-dot", "blue>green")
    try_again(town)
    second = await wait_for(town, "store", "green", after=first.number, recipient="dave@green.test")
    assert second.about != first.about


@pytest_twisted.ensureDeferred
async def test_cut_in_the_content_nobody_has_it_yet(place):
    town, guest, board = place
    await board.set("cut-in-content", "blue>green")
    item, began = await send(town, guest, "dave@green.test", size=2000)
    await outcome(town, item, began)
    assert not [event for event in town.ring.since(began) if event.office == "green" and event.kind in ("mail", "store")]
    assert [event for event in town.ring.since(began) if event.kind == "line" and event.office == "blue" and event.what["text"] == "DATA"]


@pytest_twisted.ensureDeferred
async def test_a_letter_that_is_too_big_is_refused_by_its_size_before_it_is_sent(place):
    town, guest, board = place
    await board.set("too-big", "green")
    small, began = await send(town, guest, "carol@green.test")
    assert (await outcome(town, small, began)).what["state"] == "relayed"
    big, began = await send(town, guest, "carol@green.test", size=20_000)
    event = await outcome(town, big, began)
    assert (event.what["state"], event.what["code"]) in {("failed", 552), ("failed", 554)}
    said = [event.what["text"] for event in town.ring.since(began) if event.kind == "line" and event.about == big]
    assert "DATA" not in said
    await wait_for(town, "queue", "blue", after=began, about=big, state="returned")


@pytest_twisted.ensureDeferred
async def test_without_starttls_one_who_remembers_waits_and_one_who_forgets_sends_in_clear(place):
    town, guest, board = place
    item, began = await send(town, guest, "carol@green.test")
    assert (await outcome(town, item, began)).what["secured"]
    await board.set("no-starttls", "blue>green")
    item, began = await send(town, guest, "carol@green.test")
    event = await outcome(town, item, began)
    assert (event.what["state"], "secured" in event.what) == ("deferred", False)
    lines = [event.what["text"] for event in town.ring.since(began) if event.kind == "line" and event.about == item]
    assert any("XXXXXXXA" in line for line in lines)
    await board.set("forgets-tls", "blue")
    try_again(town)
    event = await wait_for(town, "mail", "blue", after=event.number, about=item, state="relayed")
    assert "secured" not in event.what


@pytest.mark.parametrize(("line", "arrives"), [(None, True), ("wrong-certificate", False), ("no-starttls", False)])
@pytest_twisted.ensureDeferred
async def test_who_insists_on_a_certificate_sends_to_the_right_one_only(place, line, arrives):
    town, guest, board = place
    await board.set("insists-on-tls", "blue")
    if line:
        await board.set(line, "blue>green")
    item, began = await send(town, guest, "carol@green.test")
    assert ((await outcome(town, item, began)).what["state"] == "relayed") is arrives


@pytest_twisted.ensureDeferred
async def test_an_office_without_tls_does_not_offer_it(place):
    town, guest, board = place
    await board.set("forgets-tls", "blue")
    await board.set("no-tls", "green")
    item, began = await send(town, guest, "carol@green.test")
    assert "secured" not in (await outcome(town, item, began)).what


@pytest_twisted.ensureDeferred
async def test_a_forged_sender_gets_out_only_where_the_office_lets_it(place):
    town, guest, board = place
    with pytest.raises(smtplib.SMTPException):
        await send(town, guest, "carol@green.test", "mallory@red.test", envelope="alice@blue.test")
    await board.set("forged-sender", "red")
    item, began = await send(town, guest, "carol@green.test", "mallory@red.test", envelope="alice@blue.test")
    assert (await outcome(town, item, began)).what["state"] == "relayed"
    assert (await wait_for(town, "mail", "green", after=began, state="accepted")).what["sender"] == "alice@blue.test"


@pytest_twisted.ensureDeferred
async def test_an_alias_that_runs_in_circles_is_refused_while_the_sender_waits(place):
    town, guest, board = place
    await board.set("alias-loop", "green")
    item, began = await send(town, guest, "ring@green.test")
    event = await outcome(town, item, began)
    assert event.what["state"] == "failed"
    assert 500 <= event.what["code"] < 600


@pytest_twisted.ensureDeferred
async def test_two_offices_that_forward_to_each_other_stop_when_one_sees_that_it_has_been_there(place):
    town, guest, board = place
    await board.set("forward-loop", "blue+green")
    _, began = await send(town, guest, "pingpong@green.test")
    await wait_for(town, "mail", after=began, state="failed", code=554)
    hops = [event for event in town.ring.since(began) if event.kind == "mail" and event.what["state"] == "accepted"]
    assert len(hops) >= 3


@pytest_twisted.ensureDeferred
async def test_greylisting_lets_the_second_letter_pass(place):
    town, guest, board = place
    await board.set("greylist", "red")
    item, began = await send(town, guest, "mallory@red.test")
    assert (await outcome(town, item, began)).what["state"] == "deferred"
    town.jump(21.0)
    try_again(town)
    await wait_for(town, "store", "red", after=began)
    item, began = await send(town, guest, "mallory@red.test", "bob@blue.test")
    assert (await outcome(town, item, began)).what["state"] == "relayed"


@pytest_twisted.ensureDeferred
async def test_after_a_crash_what_was_promised_is_still_there(place):
    town, guest, board = place
    await board.set("office-off", "green")
    item, began = await send(town, guest, "carol@green.test")
    await outcome(town, item, began)
    await board.set("crash", "blue")
    assert not board.is_set("crash", "blue")
    assert [one.id for one in town.service("blue").foundation.runner.queue.items()] == [item]
    await board.clear("office-off", "green")
    try_again(town)
    await wait_for(town, "store", "green", after=began, recipient="carol@green.test")


# ----- the board


@pytest_twisted.ensureDeferred
async def test_a_setting_outlives_a_stop_and_counts_for_its_office_alone(place):
    town, _, board = place
    await board.set("office-off", "green")
    await board.set("greylist", "green")
    await board.clear("office-off", "green")
    assert town.service("green").config["mx"].greylist == 20.0
    assert town.service("blue").config["mx"].greylist is None
    assert [(fault.name, where) for fault, where in board.now()] == [("greylist", "green")]


@pytest_twisted.ensureDeferred
async def test_what_somebody_else_has_switched_shows_too(place):
    town, _, board = place
    town.network.set_link("red", "blue", "slow")
    town.zones.break_name("red.test", "SERVFAIL")
    assert [(fault.name, where) for fault, where in board.now()] == [("slow", "red>blue"), ("dns-servfail", "red.test")]


@pytest_twisted.ensureDeferred
async def test_mending_all_leaves_nothing_broken(place):
    town, _, board = place
    broken = [("mailbox-full", "dave@green.test"), ("unknown-user", "bob@blue.test"), ("forward-loop", "green+red"),
              ("office-off", "green"), ("two-mx", "red.test"), ("slow", "blue>red")]  # fmt: skip
    for name, where in broken:
        await board.set(name, where)
    await board.clear_all()
    assert list(board.now()) == []
    assert town.service("green").foundation.database.get("dave@green.test").quota is None
    assert town.zones.records == zones.usual(OFFICES)


@pytest.mark.parametrize(("name", "where", "trouble", "words"), [
    ("office-off", "yellow", ValueError, "yellow is no place for office-off; there are: blue, green, red"),
    ("slow", "blue>blue", ValueError, "no place"),
    ("mailbox-full", "nobody@green.test", ValueError, "no place"),
    ("mailbox-full", "../../etc", ValueError, "no place"),
    ("earthquake", "green", KeyError, "earthquake"),
])  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_broken(place, name, where, trouble, words):
    _, _, board = place
    with pytest.raises(trouble, match=words):
        await board.set(name, where)


@pytest.mark.parametrize(("name", "where"), [
    ("mailbox-full", "carol@green.test"),
    ("unknown-user", "carol@green.test"),
    ("crash", "green"),
])  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_what_needs_an_office_that_is_on_says_so(place, name, where):
    _, _, board = place
    await board.set("office-off", "green")
    with pytest.raises(NotNow, match="green is off"):
        await board.set(name, where)


@pytest_twisted.ensureDeferred
async def test_settings_that_a_server_does_not_take_leave_the_old_ones(place):
    town, _, _ = place
    with pytest.raises(NotNow, match="does not take that"):
        fault_settings.change(town, "green", "strange", "[mx]\ngreylist = never\n")
    assert fault_settings.read(town.config_file("green").parent) == {}
    assert town.service("green").config["mx"].greylist is None


@pytest_twisted.ensureDeferred
async def test_a_name_server_that_says_nothing_is_waited_for(place):
    """The last one here: the question is still open when it ends, and whoever asks the same waits with it."""
    town, guest, board = place
    await board.set("dns-silent", "red.test")
    item, began = await send(town, guest, "mallory@red.test")
    await wait_for(town, "dns", "blue", after=began, question="red.test", result="silent")
    assert not [event for event in town.ring.since(began) if event.kind == "mail" and event.about == item and "recipient" in event.what]


# ----- the list itself


def paper() -> Any:
    """A town of which only lines and names are there."""
    town = SimpleNamespace(offices=OFFICES, ring=Ring(Clock().seconds), zones=Zones(OFFICES), secret=None, service=lambda name: None,
                           config_file=lambda name: Path("/nowhere") / name / "config.ini")  # fmt: skip
    links = {(a.name, b.name): Link(a.name, b.name) for a in OFFICES for b in OFFICES if a is not b}
    town.network = SimpleNamespace(link=lambda a, b: links[a, b], set_link=lambda a, b, state: setattr(links[a, b], "state", state))
    return town


def test_every_fault_says_what_it_does_what_one_sees_and_what_it_teaches():
    for fault in ALL:
        assert all((fault.title, fault.does, fault.seen, fault.teaches)), fault.name
        assert fault.group in GROUPS
        assert re.fullmatch("[a-z-]+", fault.name)
        assert fault.act.places(paper())
    assert len(FAULTS) == len(ALL)


def test_every_state_of_a_line_is_a_fault():
    assert {fault.act.state for fault in ALL if fault.group == "link"} == set(LINK_STATES) - {"whole"}


def test_a_riddle_is_something_whole_of_any_kind_and_always_the_same_by_the_same_chance():
    board = Board(paper())
    chosen = [board.riddle(random.Random(seed)) for seed in range(300)]
    assert chosen == [board.riddle(random.Random(seed)) for seed in range(300)]
    assert {fault.name for fault, _ in chosen} >= {"slow", "null-mx", "greylist", "no-starttls"}
    assert not any(fault.hidden for fault, _ in chosen)
    result_of(board.set("slow", "blue>green"))
    assert ("slow", "blue>green") not in {(fault.name, where) for fault, where in (board.riddle(random.Random(s)) for s in range(300))}


def test_as_json_it_says_where_everything_is():
    board = Board(paper())
    result_of(board.set("black-hole", "red>green"))
    told = {one["name"]: one for one in board.as_json()}
    assert told["black-hole"]["places"]["red>green"] is True
    assert told["black-hole"]["places"]["green>red"] is False
    assert told["office-off"]["title"] == "Office off"
