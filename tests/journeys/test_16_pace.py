"""R41, R42, R43: how mail leaves the house: not too much at a time, not at any hour, and not while the line is down."""

from __future__ import annotations

import time

import pytest

from tests.helpers import result_of
from tests.journeys.house import FAR, NOW, identifier
from twistmail.mail.schedule import DAY, HOUR, MINUTE
from twistmail.pacing import Uplink
from twistmail.uplink_desk import UplinkDesk

LETTER = b"From: ann@blue.test\r\nTo: harry@far.test\r\nSubject: hello\r\nMessage-ID: <1@blue.test>\r\n\r\nhow are you\r\n"


class Service:
    """As much of a MailService as the verbs look at."""

    def __init__(self, house):
        self.foundation, self.config = house.foundation, house.config


def ask(house, verb):
    answer = result_of(UplinkDesk(Service(house)).verbs()[verb]({}))
    house.settle()
    return answer


def write(house, letters: int, to: str) -> None:
    """So many letters from ann, by as many connections as one may have."""
    for start in range(0, letters, 50):
        client = house.login("submission")
        for _ in range(start, min(letters, start + 50)):
            for line in ("MAIL FROM:<ann@blue.test>", f"RCPT TO:<{to}>"):
                assert client.say(line)[-1].startswith("250"), client.said
            assert client.content(LETTER).startswith("250"), client.said


class Counting:
    """The DNS of the house, counted."""

    def __init__(self, house):
        self.asked = 0
        for name in ("mx", "addresses"):
            setattr(house.zone, name, self.counted(getattr(house.zone, name)))

    def counted(self, question):
        async def ask(*about):
            self.asked += 1
            return await question(*about)

        return ask


def test_a_letter_waits_while_the_line_is_down_and_nobody_is_asked(build):
    """R42."""
    house = build()
    far, dns = house.town("far.test", FAR), Counting(house)
    assert ask(house, "uplink.down")["changed"] is True
    house.submit(LETTER, "harry@far.test", "bob@blue.test")
    house.pass_time(2 * HOUR, step=MINUTE)
    assert (dns.asked, house.net.dialled, far.contents, len(house.files("bob")), len(house.waiting)) == (0, [], [], 1, 1)
    assert ask(house, "uplink.show") | {"since": ""} == {
        "offline": True, "since": "", "since_s": 2 * HOUR, "changed": False, "waiting": 1}
    assert ask(house, "uplink.up")["changed"] is True
    assert (len(far.contents), house.waiting) == (1, [])


def test_the_line_is_down_after_a_restart_too(build):
    house = build()
    ask(house, "uplink.down")
    assert Uplink.of(house.foundation.ground.data_dir).is_down


def test_what_a_route_keeps_here_is_done_although_the_line_is_down(build):
    """R42, R47."""
    house = build("[route:near.test]\nvia = local:bob\n[route:void.test]\nvia = discard:\n")
    ask(house, "uplink.down")
    house.submit(LETTER, "harry@near.test", "harry@void.test")
    assert (len(house.files("bob")), house.waiting) == (1, [])


def test_all_that_waited_goes_over_few_connections(build):
    """R42: grouped by host."""
    house = build()
    far = house.town("far.test", FAR)
    ask(house, "uplink.down")
    write(house, 30, "harry@far.test")
    ask(house, "uplink.up")
    assert (len(far.contents), house.waiting) == (30, [])
    assert len(far.connections) <= 10


def test_mail_goes_out_at_night(build, monkeypatch):
    """R42; 2027-01-15 08:00 UTC is the beginning."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    house = build("[relay]\nwindow = 23:00-06:00\n[route:part.test]\nwindow = always\n")
    far, part = house.town("far.test", FAR), house.town("part.test", "192.0.2.26")
    house.submit(LETTER, "harry@far.test", "harry@part.test")
    assert (len(far.contents), len(part.contents)) == (0, 1)
    house.pass_time(15 * HOUR - 2 * MINUTE, step=10 * MINUTE)
    assert far.connections == []
    house.pass_time(3 * MINUTE)
    assert (len(far.contents), house.waiting) == (1, [])


@pytest.mark.parametrize(("pause", "days"), [
    pytest.param("no", 5, id="every-hour-counts"), pytest.param("yes", 9, id="hours-of-the-line-count"),
])
def test_what_counts_for_the_end_of_a_letter(build, pause, days):
    """R42: the line is down for four days."""
    house = build(f"[relay]\npause_expiry = {pause}\n")
    ask(house, "uplink.down")
    house.submit(LETTER, "harry@nobody.far.test")
    house.pass_time(4 * DAY, step=2 * HOUR)
    house.net.peers.clear()
    house.zone.names["nobody.far.test"] = {"A": ["192.0.2.99"]}
    ask(house, "uplink.up")
    house.pass_time((days - 4) * DAY - 5 * HOUR, step=HOUR)
    assert len(house.waiting) == 1
    house.pass_time(6 * HOUR, step=HOUR)
    assert house.waiting == []
    assert house.mail("ann")[-1]["Subject"] == "Your message could not be delivered"


def test_two_hundred_letters_go_over_two_connections_and_others_do_not_wait(build):
    """R41."""
    house = build("[relay]\nconcurrency_per_domain = 2\nconcurrency = 20\n")
    far, other = house.town("far.test", FAR), house.town("other.test", "192.0.2.26")
    ask(house, "uplink.down")
    write(house, 199, "harry@far.test")  # and one more, as many as ann may send in an hour
    house.submit(LETTER, "harry@other.test")
    ask(house, "uplink.up")
    assert (len(far.contents), len(other.contents), house.waiting) == (199, 1, [])
    assert len(far.connections) == 2


def test_a_rate_of_a_route_is_kept(build):
    house = build("[route:far.test]\nrate = 2/1m\n")
    far = house.town("far.test", FAR)
    for _ in range(5):
        house.submit(LETTER, "harry@far.test")
    assert len(far.contents) == 2
    house.pass_time(61, step=61)
    assert len(far.contents) == 4
    house.pass_time(61, step=61)
    assert (len(far.contents), house.waiting) == (5, [])


def test_a_dead_town_is_known_by_its_name_and_reason(house):
    about = identifier(house.submit(LETTER, "harry@far.test"))
    (row,) = ask(house, "uplink.places")
    assert (row["place"], row["waiting"], row["rests_s"]) == ("far.test", 0, 60)
    assert "mx.far.test [192.0.2.25]:25" in row["why"]
    assert house.foundation.runner.outlook(about).at >= NOW + 5 * MINUTE


