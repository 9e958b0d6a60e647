"""The postmaster hears of mail that waits because of how something is set up (row R27): once a day for each place."""

from __future__ import annotations

from itertools import count

import pytest

from tests.delivery.places import to
from twistmail.facts import Fact
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind
from twistmail.mail.outcome import outcome_of
from twistmail.mail.status import Status
from twistmail.notices import SILENCE, Notices, Writer

UNFIT = Status(451, "4.3.5", "Mail for that address goes into a file that it cannot go into")
POSTMASTER = Address("postmaster", "blue.test")


class House:
    """What a Writer is given; `sent` is what came into the queue."""

    def __init__(self, trouble=None):
        self.sent = []
        self.trouble = trouble
        self.notices = Notices(Writer(POSTMASTER, "mx.blue.test", (f"i{n}" for n in count()), lambda: 1e9, self.follow, self.submit))

    async def follow(self, address):
        if self.trouble:
            raise self.trouble
        return (to(Kind.MAILBOX, account="ann@blue.test"),)

    async def submit(self, item, content):
        self.sent.append((item, b"".join(content.chunks())))

    def waits(self, at=0.0, place="file /var/archive/box", status=UNFIT, kind=Kind.FILE):
        self.notices.note(Fact(at, "q1", outcome_of(to(kind, "/var/archive/box", name="archive"), status, place, local=True)))


def test_the_letter_says_what_waits_where_and_what_to_do():
    house = House()
    house.waits()
    ((item, letter),) = house.sent
    assert item.sender is None
    assert [errand.target.account for errand in item.errands] == ["ann@blue.test"]
    for line in (b"To: postmaster@blue.test", b"Auto-Submitted: auto-generated", b"    where    file /var/archive/box",
                 b"    message  q1", b"    twistmail explain --to archive@blue.test"):  # fmt: skip
        assert line + b"\r\n" in letter
    assert b"\n" not in letter.replace(b"\r\n", b"")
    assert item.size == len(letter)


def test_about_one_place_there_is_one_letter_a_day():
    house = House()
    for at in (0.0, 60.0, SILENCE - 1, SILENCE, SILENCE + 1):
        house.waits(at)
    house.waits(SILENCE + 1, "program tickets")
    assert len(house.sent) == 3


@pytest.mark.parametrize(("status", "kind"), [
    pytest.param(Status(451, "4.2.0", "Locked"), Kind.FILE, id="weather"),
    pytest.param(Status(550, "5.3.5", "Set up wrongly"), Kind.PROGRAM, id="goes-back-to-its-sender"),
    pytest.param(Status(250, "2.0.0", "Put there"), Kind.FILE, id="brought"),
    pytest.param(UNFIT, Kind.REMOTE, id="elsewhere"),
])  # fmt: skip
def test_of_what_he_hears_nothing(status, kind):
    house = House()
    house.waits(status=status, kind=kind)
    assert house.sent == []


@pytest.mark.parametrize("trouble", [Unavailable("no answer"), OSError("disk full")])
def test_who_cannot_be_told_stops_nothing(trouble):
    house = House(trouble)
    house.waits()
    assert house.sent == []


def test_an_address_cannot_write_its_own_lines():
    house = House()
    odd = to(Kind.FILE, "/x", original=Address('"a\nBcc: all"', "blue.test"))
    house.notices.note(Fact(0.0, "q1", outcome_of(odd, UNFIT, "file /x\nBcc: all", local=True)))
    ((_, letter),) = house.sent
    assert b"\nBcc" not in letter
