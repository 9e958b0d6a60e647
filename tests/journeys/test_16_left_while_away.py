"""R35: what programs of this machine leave while the server does not run is sent when it does, as if they said it then."""

from __future__ import annotations

import os

import pytest

from tests.journeys.house import FAR
from twistmail.accounts import local
from twistmail.mail.dropped import Dropped, written
from twistmail.pickup import AGAIN, PATIENCE, Pickup
from twistmail.queue.dropbox import leave

LETTER = b"To: bob@blue.test\r\nSubject: hello\r\n\r\nhow are you\r\n.\r\n.rest\r\n"


class Office:
    """A house and its pickup; the user of every file is *name*."""

    def __init__(self, house, monkeypatch, name="ann"):
        monkeypatch.setattr(local, "_name", lambda user: name)
        self.house = house
        self.pickup = Pickup(house)
        self.folder = house.config.data_dir / "pickup"
        house.run(self.pickup.begin())

    def leave(self, *to, sender=None, message=LETTER, **asked):
        leave(self.folder, written(Dropped(sender, to, message, **asked)))
        now = self.house.reactor.seconds()
        for path in (self.folder / "new").iterdir():
            os.utime(path, (now, now))

    def look(self):
        self.house.run(self.pickup.look())
        self.house.settle()

    def files(self, folder="new"):
        return sorted(path.name for path in (self.folder / folder).iterdir())

    def why(self):
        return [path.read_text() for path in (self.folder / "bad").glob("*.why")]

    def statuses(self, name="ann"):
        """(recipient, status) in the reports that somebody got."""
        reports = [message for message in self.house.mail(name) if message.get_content_type() == "multipart/report"]
        blocks = [block for report in reports for block in report.get_payload()[1].get_payload()[1:]]
        return [(block["Final-Recipient"].partition("; ")[2], block["Status"]) for block in blocks]


@pytest.fixture
def office(house, monkeypatch):
    return Office(house, monkeypatch)


def test_it_is_delivered_as_the_user_whose_file_it_was(office):
    office.leave("bob")
    office.look()
    (message,) = office.house.mail("bob")
    assert (message["Return-Path"], message["From"], message["Subject"]) == ("<ann@blue.test>", "ann@blue.test", "hello")
    assert office.house.files("bob")[0].endswith(b"\n\nhow are you\n.\n.rest\n")
    assert office.files() == office.files("bad") == []


def test_what_goes_elsewhere_is_in_the_queue_before_its_file_goes(office):
    office.leave("harry@far.test", ret="HDRS", envid="QQ314159", notify="SUCCESS")
    office.look()
    (item,) = office.house.waiting
    assert (str(item.sender), item.account, item.wishes.envid) == ("ann@blue.test", "ann@blue.test", "QQ314159")
    assert office.files() == []
    far = office.house.town("far.test", FAR)
    office.house.pass_time(600)
    assert len(far.contents) == 1


def test_the_rules_of_submission_hold(office):
    """Nobody writes as somebody else; who tried hears of it himself."""
    office.leave("bob", sender="fred@blue.test")
    office.look()
    assert office.house.files("bob") == office.house.files("fred") == []
    assert office.statuses() == [("bob@blue.test", "5.7.1")]


def test_who_was_refused_comes_back_as_a_report_and_the_others_get_it(office):
    office.leave("bob", "nosuchuser", "noone@blue.test")
    office.look()
    assert len(office.house.files("bob")) == 1
    assert office.statuses() == [("nosuchuser@blue.test", "5.1.1"), ("noone@blue.test", "5.1.1")]
    assert (office.files(), office.house.waiting) == ([], [])


def test_many_wrong_names_are_no_guessing(office):
    """More than a stranger may get wrong on one connection."""
    names = [f"no{number}" for number in range(70)]
    office.leave(*names, "bob")
    looking = office.pickup.look()
    from twistmail import tasks

    ended = []
    tasks.shielded(looking).addBoth(ended.append)
    office.house.pass_time(200, step=1)
    assert ended == [None]
    assert len(office.house.files("bob")) == 1
    assert len(office.statuses()) == 70
    assert office.files() == []


def test_more_recipients_than_one_message_may_have_take_several(office, monkeypatch):
    settings = office.house.config["submission"]
    monkeypatch.setitem(settings.__dict__, "max_recipients", 2)
    far = office.house.town("far.test", FAR)
    office.leave("bob", *(f"h{number}@far.test" for number in range(4)))
    office.look()
    assert (len(office.house.files("bob")), len(far.contents)) == (1, 3)
    assert sorted(line for line in far.said if line.startswith(b"RCPT")) == [b"RCPT TO:<h%d@far.test>" % n for n in range(4)]


def test_while_the_answer_is_later_the_file_stays_and_nobody_gets_it_twice(office):
    office.house.foundation.queue.reserve = 1 << 60
    office.leave("bob", "harry@far.test")
    office.look()
    assert (len(office.files()), office.house.files("bob")) == (1, [])
    office.house.foundation.queue.reserve = 0
    office.look()
    assert len(office.files()) == 1, "it is tried again at once"
    office.house.pass_time(AGAIN + 1)
    office.look()
    assert (office.files(), len(office.house.files("bob")), len(office.house.waiting)) == ([], 1, 1)


def test_after_five_days_later_means_no(office):
    office.house.foundation.queue.reserve = 1 << 60
    office.leave("bob", "harry@far.test")
    (name,) = office.files()
    long_ago = office.house.reactor.seconds() - PATIENCE - 1
    os.utime(office.folder / "new" / name, (long_ago, long_ago))
    office.look()
    assert len(office.house.files("bob")) == 1
    office.house.foundation.queue.reserve = 0  # there has to be room for the report
    office.house.pass_time(AGAIN + 1)
    office.look()
    assert (office.files(), len(office.house.files("bob"))) == ([], 1)
    assert office.statuses() == [("harry@far.test", "4.3.1")]


def test_a_report_that_cannot_be_made_now_is_made_later_and_the_others_get_it_once(office, monkeypatch):
    submit = office.house.foundation.runner.submit

    async def full(item, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(office.house.foundation.runner, "submit", full)
    office.leave("bob", "nosuchuser")
    office.look()
    assert (len(office.files()), len(office.house.files("bob"))) == (1, 1)
    monkeypatch.setattr(office.house.foundation.runner, "submit", submit)
    office.house.pass_time(AGAIN + 1)
    office.look()
    assert (office.files(), len(office.house.files("bob")), office.statuses()) == ([], 1, [("nosuchuser@blue.test", "5.1.1")])


def test_a_message_too_large_for_us_comes_back(office, monkeypatch):
    monkeypatch.setitem(office.house.config["submission"].__dict__, "max_message", 100)
    office.leave("bob", message=b"Subject: x\r\n\r\n" + b"x" * 200 + b"\r\n")
    office.look()
    assert office.statuses() == [("bob@blue.test", "5.3.4")]
    assert office.files() == []


def test_mail_of_nobody_that_is_refused_is_put_aside(office):
    office.leave("nosuchuser", sender="")
    office.look()
    assert office.files() == []
    assert "nosuchuser: 550 5.1.1" in office.why()[0]
    assert (office.house.files("ann"), office.house.waiting) == ([], [])


def test_what_is_no_message_is_put_aside_and_the_rest_goes_on(office):
    (office.folder / "new/a.mail").write_bytes(b"rubbish")
    office.leave("bob")
    office.look()
    assert office.files() == []
    assert office.why() == ["it does not begin as a message that was left to be picked up\n"]
    assert len(office.house.files("bob")) == 1


def test_a_bug_with_one_of_them_does_not_stand_in_the_way_of_the_others(office, monkeypatch):
    send = office.pickup._send

    async def spoilt(name, message, left, account):
        if b"poison" in message.content:
            raise ZeroDivisionError
        return await send(name, message, left, account)

    monkeypatch.setattr(office.pickup, "_send", spoilt)
    office.leave("bob", message=b"Subject: poison\r\n\r\nx\r\n")
    for number in range(9):
        office.leave("bob", message=b"Subject: %d\r\n\r\nx\r\n" % number)
    with pytest.raises(ZeroDivisionError):
        office.look()
    office.look()
    assert sorted(message["Subject"] for message in office.house.mail("bob")) == list("012345678")
    assert len(office.files()) == 1


def test_a_hundred_that_have_gathered_come_each_once(office):
    for number in range(100):
        office.leave("bob", message=b"Subject: %d\r\n\r\nx\r\n" % number)
    office.look()
    assert sorted(int(message["Subject"]) for message in office.house.mail("bob")) == list(range(100))
    assert office.files() == []


def test_whoever_is_nobody_here_may_still_send_as_himself(house, monkeypatch):
    office = Office(house, monkeypatch, name="www-data")
    office.leave("bob")
    office.look()
    (message,) = house.mail("bob")
    assert message["Return-Path"] == "<www-data@blue.test>"


def test_a_closed_account_sends_nothing(house, monkeypatch):
    from dataclasses import replace

    find = house.parts.people.accounts.find

    async def closed(address):
        account = await find(address)
        return account and replace(account, enabled=False)

    monkeypatch.setattr(house.parts.people.accounts, "find", closed)
    office = Office(house, monkeypatch)
    office.leave("bob")
    office.look()
    assert (office.files(), house.files("bob")) == ([], [])
    assert "has no account that may send" in office.why()[0]


def test_a_folder_that_cannot_be_used_is_told_once_and_harms_nobody(house, monkeypatch):
    (house.config.data_dir / "pickup").write_text("in the way")
    pickup = Pickup(house)
    house.run(pickup.begin())
    house.run(pickup.look())
