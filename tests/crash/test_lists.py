"""kill -9 while mailing lists send: whatever was accepted for a list comes to every member, here and elsewhere, and no second time
but for what was on its way when the server died.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

from tests.crash.load import ALICE, BOB, HOUSEHOLD
from tests.crash.rigs import chosen, quick_place
from tests.crash.test_queue import AT_A_TIME, MARK, MORE, SENDERS, Ledger, Neighbour, Sender, neighbour, until_empty
from tests.interop.house import House, folder
from tests.interop.talk import send

__all__ = ["neighbour"]

KILLS, WHOLE = 8, 50
AWAY, HERE = ("carol", "dora", "late"), (ALICE, BOB)
LIST = f"""\
[list:news@blue.test]
members = {" ".join(f"{name}@green.test" for name in AWAY)} {" ".join(person.address for person in HERE)}
owners = {ALICE.address}
post = anyone
"""
HEADER = "From: Eve <eve@red.test>\nTo: news@blue.test\nMessage-ID: <{mark}@red.test>\nSubject: x\nX-Mark: {mark}\n\n"


class Author(Sender):
    """Writes to the list."""

    def one(self, talk, number):
        mark = f"news-{self.name}-{number}"
        for line in ("MAIL FROM:<eve@red.test>", "RCPT TO:<news@blue.test>"):
            if not talk.ask(line).startswith("250"):
                return False
        self.ledger.begun.add(mark)
        if send(talk, HEADER.format(mark=mark) + "a line of text\n" * self.dice.choice((1, 10, 1000))).startswith("250"):
            self.ledger.promised[mark] = "news"
            return True
        return False


def judge(house: House, ledger: Ledger, neighbour: Neighbour) -> int:
    """How many copies came twice. AssertionError where one was lost, or more came twice than were on their way."""
    got = Counter(neighbour.got)
    for person in HERE:
        for content in house.stored(person):
            mark = MARK.search(content)
            assert mark, content
            got[mark[1].decode(), person.name] += 1
    members = (*AWAY, *(person.name for person in HERE))
    lost = [f"{mark} for {member}" for mark in ledger.promised for member in members if not got[mark, member]]
    assert lost == [], f"{ledger.where}: {len(lost)} of {len(ledger.promised) * len(members)} are lost: {lost[:10]}"
    assert {mark for mark, _ in got} <= ledger.begun
    assert {name for _, name in got} <= set(members), "nobody else hears of it, not even the author"
    twice = sum(count - 1 for count in got.values())
    assert twice <= ledger.deaths * 2 * AT_A_TIME * len(members) + neighbour.unanswered, f"{ledger.where}: {twice} came once too often"
    here = sum(got[mark, person.name] - 1 for mark in ledger.promised for person in HERE)
    assert here <= ledger.deaths * 2 * AT_A_TIME, f"{ledger.where}: {here} came here once too often"
    return twice


def test_every_member_gets_what_a_list_has_accepted_whenever_the_server_is_killed(neighbour, record_property):
    ledger = Ledger()
    with folder(where=quick_place()) as place:
        house = House(place, more=MORE.partition("[users]")[0].format(port=neighbour.port, most=AT_A_TIME) + HOUSEHOLD + LIST)
        try:
            for _, seed, where in chosen(KILLS, WHOLE):
                house.start()
                ending = threading.Event()
                authors = [Author(house.port("mx"), ledger, f"{seed}-{number}", ending) for number in range(SENDERS)]
                for author in authors:
                    author.start()
                time.sleep(random.Random(seed).uniform(0.3, 0.8))
                house.kill()
                ending.set()
                ledger.died(where)
            house.start()
            until_empty(house, ledger)
            twice = judge(house, ledger, neighbour)
            assert "Traceback" not in house.log
        finally:
            if house.process and house.process.poll() is None:
                house.stop()
    assert len(ledger.promised) > 2 * ledger.deaths, "there was no load"
    record_property("figures", f"{ledger.deaths} kills, {len(ledger.promised)} messages for 5 members each, {twice} copies came twice")
