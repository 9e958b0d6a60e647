"""The first letter of a stranger waits, the next ones do not."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.helpers import result_of
from tests.servers.smtp.house import SmtpHouse
from twistmail import tasks
from twistmail.facts import Refused
from twistmail.mail.address import Address, parse
from twistmail.mail.causes import Cause
from twistmail.mail.envelope import Role
from twistmail.mail.explanation import cause_of
from twistmail.mail.status import Status
from twistmail.networks import NETWORKS
from twistmail.policy import greylist
from twistmail.policy.greybook import Greybook
from twistmail.policy.greylist import OPTIONS, Greylist, Onlooker
from twistmail.servers.smtp_options import MX

DELAY, DAY, NET = 300.0, 86400.0, "192.0.2.0/24"
EVE, FRED = parse("eve@away.example"), parse("fred@here.example")
LATER, TAKEN = "451 4.7.1", "250 2.1.5"


def remembering(book: Greybook | None = None, clock: Clock | None = None) -> tuple[Greylist, Clock]:
    clock = clock or Clock()
    if not clock.seconds():
        clock.advance(1_800_000_000)
    return Greylist(book, clock.seconds), clock


def wait(grey: Greylist, network: str = NET, sender: Address | None = EVE, recipient: Address = FRED) -> float:
    return grey.wait(network, sender, recipient, DELAY)


# ----- the memory


@pytest.mark.parametrize(("comes_at", "waits"), [
    pytest.param([0], [300], id="the-first-is-sent-away"),
    pytest.param([0, 10, 299], [300, 290, 1], id="who-comes-too-early-is-told-how-long-it-is-still"),
    pytest.param([0, 300], [300, 0], id="and-comes-in-when-it-is-over"),
    pytest.param([0, 300, 301, 10 * DAY], [300, 0, 0, 0], id="and-is-known-then"),
    pytest.param([0, DAY], [300, 0], id="until-a-day-has-gone"),
    pytest.param([0, DAY + 1, DAY + 2], [300, 300, 299], id="later-it-is-another-letter"),
    pytest.param([0, 300, 300 + 35 * DAY, 300 + 70 * DAY], [300, 0, 0, 0], id="who-writes-monthly-stays-known"),
    pytest.param([0, 300, 301 + 37 * DAY], [300, 0, 300], id="who-never-writes-is-forgotten"),
])  # fmt: skip
def test_how_long_a_letter_waits(comes_at, waits):
    grey, clock = remembering()
    began, found = clock.seconds(), []
    for at in comes_at:
        clock.advance(began + at - clock.seconds())
        found.append(wait(grey))
    assert found == pytest.approx(waits)


@pytest.mark.parametrize(("other", "waits"), [
    pytest.param({"recipient": parse("ann@here.example")}, 300, id="another-recipient"),
    pytest.param({"sender": parse("mallory@away.example")}, 300, id="another-sender"),
    pytest.param({"sender": None}, 300, id="no-sender"),
    pytest.param({"network": "198.51.100.0/24"}, 300, id="another-network"),
    pytest.param({"sender": parse("EVE@away.example"), "recipient": parse("Fred@HERE.example")}, 0, id="the-same-in-capitals"),
])  # fmt: skip
def test_what_makes_it_another_letter(other, waits):
    grey, clock = remembering()
    wait(grey)
    clock.advance(DELAY)
    assert wait(grey, **other) == waits


def test_the_whole_network_is_known_when_one_letter_of_it_has_waited():
    grey, clock = remembering()
    wait(grey)
    clock.advance(DELAY)
    assert wait(grey) == 0
    assert wait(grey, sender=parse("else@far.example"), recipient=parse("ann@here.example")) == 0
    assert wait(grey, network="198.51.100.0/24") == DELAY


def test_whoever_only_looks_leaves_nothing_there():
    grey, clock = remembering()
    onlooker = Onlooker(grey)
    assert onlooker.wait(NET, EVE, FRED, DELAY) == DELAY
    clock.advance(DELAY)
    assert onlooker.wait(NET, EVE, FRED, DELAY) == DELAY
    assert not len(grey)


def test_a_clock_that_was_put_back_makes_nobody_wait_longer():
    grey, clock = remembering()
    wait(grey)
    clock.rightNow -= 5000
    assert wait(grey) <= DELAY


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 400)), max_size=60))
def test_nothing_comes_in_that_has_not_waited(arrivals):
    grey, clock = remembering()
    first: dict[int, float] = {}
    known = False
    for letter, later in arrivals:
        clock.advance(later)
        left = wait(grey, recipient=Address(f"user{letter}", "here.example"))
        since = first.setdefault(letter, clock.seconds())
        known = known or clock.seconds() - since >= DELAY
        assert (left == 0) == known
        assert left <= DELAY


def test_the_memory_is_bounded_and_what_was_quiet_goes_first(monkeypatch):
    monkeypatch.setattr(greylist, "MOST_LETTERS", 10)
    monkeypatch.setattr(greylist, "MOST_NETWORKS", 10)
    grey, clock = remembering()
    for number in range(100):
        wait(grey, recipient=Address(f"user{number}", "here.example"))
    assert len(grey) == 10
    clock.advance(DELAY)
    assert wait(grey, recipient=parse("user99@here.example")) == 0
    for number in range(100):
        grey._let_in(f"10.{number}.0.0/24", b"", clock.seconds())
    assert len(grey) == 9 + 10


# ----- the book


def test_what_was_sent_away_and_who_is_known_outlive_a_restart(tmp_path: Path):
    grey, clock = remembering(Greybook(tmp_path / "grey"))
    wait(grey)
    wait(grey, network="198.51.100.0/24")
    clock.advance(DELAY)
    assert wait(grey) == 0
    result_of(grey.write(tasks.Inline()))
    wait(grey, network="203.0.113.0/24")
    grey.close()
    later, _ = remembering(Greybook(tmp_path / "grey"), clock)
    later.open()
    assert wait(later) == 0
    assert wait(later, network="198.51.100.0/24") == 0
    assert wait(later, network="203.0.113.0/24") == DELAY
    clock.advance(DELAY)
    assert wait(later, network="203.0.113.0/24") == 0


def test_there_is_no_book_where_nobody_is_greylisted(tmp_path: Path):
    grey, _ = remembering(Greybook(tmp_path / "grey"))
    grey.open()
    result_of(grey.write(tasks.Inline()))
    grey.close()
    assert not list(tmp_path.iterdir())


def test_nobody_can_read_in_the_book_who_writes_to_whom(tmp_path: Path):
    grey, _ = remembering(Greybook(tmp_path / "grey"))
    wait(grey)
    grey.close()
    octets = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"fred" not in octets
    assert b"eve" not in octets


def test_what_is_outdated_leaves_the_book(tmp_path: Path):
    book = Greybook(tmp_path / "grey")
    grey, clock = remembering(book)
    wait(grey)
    result_of(grey.write(tasks.Inline()))
    clock.advance(2 * DAY)
    result_of(grey.write(tasks.Inline()))
    assert book.waiting(0.0, 10) == []


def test_a_book_that_cannot_be_used_holds_up_nothing_and_is_told_once(tmp_path: Path, logged: list[str]):
    (tmp_path / "grey").mkdir()
    grey, clock = remembering(Greybook(tmp_path / "grey"))
    grey.open()
    for _ in range(3):
        wait(grey)
        result_of(grey.write(tasks.Inline()))
    clock.advance(DELAY)
    assert wait(grey) == 0
    assert len(logged) == 1


# ----- the stage


def answers(house: SmtpHouse, address: str = "192.0.2.7", recipients: str = "fred", **settings) -> deque[str]:
    player = house.player(house.service(**settings), address)
    player.say("EHLO peer.example")
    player.say("MAIL FROM:<eve@away.example>")
    return deque(player.say(f"RCPT TO:<{name}@here.example>")[0][:9] for name in recipients.split())


def greylisting(**more) -> SmtpHouse:
    house = SmtpHouse(**more)
    house.greylist = Greylist(None, house.clock.seconds)
    return house


def test_a_stranger_is_told_to_come_again_and_why():
    house = greylisting()
    player = house.player(house.service(greylist=DELAY), "192.0.2.7")
    player.say("EHLO peer.example")
    player.say("MAIL FROM:<eve@away.example>")
    (said,) = player.say("RCPT TO:<fred@here.example>")
    assert said == "451 4.7.1 Greylisted: we do not know you yet, please try again in 300 seconds"
    (refused,) = [fact.what for fact in house.told if isinstance(fact.what, Refused)]
    assert (refused.stage, refused.rule) == ("greylist", NET)
    house.clock.advance(DELAY)
    assert answers(house, "192.0.2.99", greylist=DELAY) == deque([TAKEN])


@pytest.mark.parametrize(("address", "settings", "waits"), [
    pytest.param("192.0.2.7", {}, True, id="a-stranger"),
    pytest.param("2001:db8::1", {}, True, id="a-stranger-by-ipv6"),
    pytest.param("127.0.0.1", {}, False, id="this-machine"),
    pytest.param("192.0.2.7", {"relay_networks": NETWORKS.read("192.0.2.0/24")}, False, id="who-may-relay"),
    pytest.param("192.0.2.7", {"greylist": None}, False, id="switched-off"),
])  # fmt: skip
def test_who_waits(address, settings, waits):
    assert answers(greylisting(), address, **{"greylist": DELAY} | settings) == deque([LATER if waits else TAKEN])


def test_an_unknown_recipient_is_refused_for_good_and_the_postmaster_hears_of_it():
    assert answers(greylisting(), recipients="nobody postmaster", greylist=DELAY) == deque(["550 5.1.1", TAKEN])


def test_users_do_not_wait():
    house = greylisting()
    assert "greylist" not in {stage.name for stages in house.service(Role.SUBMISSION).policy._stages.values() for stage in stages}


def test_a_64_of_ipv6_is_one_network():
    house = greylisting()
    assert answers(house, "2001:db8::1", greylist=DELAY) == deque([LATER])
    house.clock.advance(DELAY)
    assert answers(house, "2001:db8::2", greylist=DELAY) == deque([TAKEN])
    assert answers(house, "2001:db8:0:1::1", greylist=DELAY) == deque([LATER])


def test_the_other_side_s_explanation_knows_our_words():
    said = Status(451, "4.7.1", "Greylisted: we do not know you yet, please try again in 300 seconds")
    assert cause_of(said) is Cause.GREYLISTED


@pytest.mark.parametrize(("text", "value"), [("off", None), ("5m", 300.0), ("24h", DAY)])
def test_the_setting(text, value):
    assert OPTIONS[0].kind.read(text) == value
    assert MX.option("greylist").kind.read(text) == value


@pytest.mark.parametrize("text", ["0s", "25h", "5", "soon", "-5m"])
def test_what_is_no_setting(text):
    with pytest.raises(ValueError, match=r"write|off"):
        OPTIONS[0].kind.read(text)
