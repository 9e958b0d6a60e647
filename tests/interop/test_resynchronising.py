"""A mail program that keeps a mailbox comes back after the server was killed in the midst of changes, and learns the truth (RFC 7162)."""

from __future__ import annotations

import itertools
import random
import re
import threading

from tests.interop.house import House, Person, folder
from tests.interop.talk import Talk
from tests.remembering import Cache, Remembering

ANN = Person("ann")
MESSAGES = 40
KILLS = 4


class Session:
    """One IMAP connection of ann's."""

    def __init__(self, house: House) -> None:
        self.talk = Talk(house.port("imap"))
        self.talk.hear()
        self.say(f"x LOGIN {ANN.address} {ANN.password}")

    def say(self, line: str) -> list[str]:
        self.talk.say(line)
        return self.talk.until("x ")


def append(session: Session, number: int) -> None:
    text = f"Subject: number {number}\r\n\r\nHello\r\n"
    session.talk.say(f"x APPEND INBOX {{{len(text)}+}}")
    session.say(text)


def storm(house: House, seed: int, begun: threading.Event) -> None:
    """Changes of all kinds as fast as they are answered, until the server is gone."""
    chance = random.Random(seed)
    try:
        session = Session(house)
        session.say("x SELECT INBOX")
        for number in itertools.count():
            if number == 20:
                begun.set()
            uid = chance.randint(1, MESSAGES + 10 * number)
            kind = chance.random()
            if kind < 0.6:
                flag = chance.choice(["\\Seen", "\\Flagged", "kw"])
                session.say(f"x UID STORE {uid}:{uid + 3} {chance.choice('+-')}FLAGS.SILENT ({flag})")
            elif kind < 0.8:
                append(session, number)
            else:
                session.say(f"x UID STORE {uid} +FLAGS.SILENT (\\Deleted)")
                session.say(f"x UID EXPUNGE {uid}")
    except (OSError, AssertionError):
        begun.set()


def truth(house: House) -> dict[int, set[str]]:
    """Flags of all messages, asked by somebody who knows nothing."""
    session = Session(house)
    session.say("x EXAMINE INBOX")
    told = [re.fullmatch(r"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)\)", line) for line in session.say("x UID FETCH 1:* (FLAGS)")]
    return {int(match[1]): set(match[2].split()) - {"\\Recent"} for match in told if match}


def test_who_comes_back_after_a_kill_learns_the_truth() -> None:
    cache = Cache()
    with folder() as place:
        house = House(place)
        house.add(ANN)
        house.start()
        filling = Session(house)
        for number in range(MESSAGES):
            append(filling, number)
        try:
            for seed in range(KILLS):
                program = Remembering(Session(house).say, cache, known=bool(seed % 2), sample=bool(seed % 2))
                assert cache.flags == truth(house)
                before = cache.modseq
                begun = threading.Event()
                others = threading.Thread(target=storm, args=(house, seed, begun))
                others.start()
                assert begun.wait(20)
                program.command("NOOP")  # some of the storm is heard of before the end
                assert cache.modseq > before
                house.kill()
                others.join()
                house.start()
            Remembering(Session(house).say, cache)
            assert cache.flags == truth(house)
        finally:
            house.kill()
