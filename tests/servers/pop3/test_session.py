"""What dialogues cannot show: locks, deletions that do not happen, fetching ahead, and a disk that fails half-way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.dialogues.player import Player
from tests.dialogues.pop3_house import FakeMailbox, InPieces, PopHouse
from tests.helpers import result_of
from twistmail import tasks
from twistmail.facts import Fact, LoggedIn, Read
from twistmail.servers.pop3 import uniqueids
from twistmail.servers.pop3.maildrop import MOST_AHEAD, MOST_OCTETS_AHEAD, SMALL, Maildrop, open_maildrop
from twistmail.servers.pop3.service import Visits
from twistmail.servers.pump import Pump


class Visitor(Player):
    """A client of `house`."""

    def __init__(self, house: PopHouse) -> None:
        def connect(clock: Clock, settings: dict[str, str]) -> Pump:
            house.clock = clock
            return house.pump()

        super().__init__(connect)
        self.heard()

    def says(self, *lines: str) -> list[str]:
        self.feed("".join(line + "\r\n" for line in lines).encode())
        return self.heard()

    def logs_in(self, user: str = "ann", password: str = "secret") -> str:
        return self.says(f"USER {user}", f"PASS {password}")[-1]


def test_the_second_session_is_told_and_the_first_is_left_alone() -> None:
    house = PopHouse()
    first, second = Visitor(house), Visitor(house)
    assert first.logs_in() == "+OK 3 messages"
    assert second.logs_in().startswith("-ERR [IN-USE]")
    assert second.logs_in("bob", "two words") == "+OK 3 messages"
    assert first.says("NOOP") == ["+OK Nothing done"]


@pytest.mark.parametrize("leave", [
    pytest.param(lambda visitor: visitor.says("QUIT"), id="quit"),
    pytest.param(lambda visitor: visitor.leave(), id="gone"),
    pytest.param(lambda visitor: visitor.advance(601), id="silent"),
    pytest.param(lambda visitor: visitor.pump.shut_down(), id="shutdown"),
])
def test_whoever_leaves_unlocks_and_closes(leave: Any) -> None:
    house = PopHouse()
    visitor = Visitor(house)
    visitor.logs_in()
    leave(visitor)
    assert house.store.mailbox.opened == 0
    assert Visitor(house).logs_in() == "+OK 3 messages"


@pytest.mark.parametrize("leave", [
    pytest.param(lambda visitor: visitor.leave(), id="gone"),
    pytest.param(lambda visitor: visitor.advance(601), id="silent"),
    pytest.param(lambda visitor: visitor.pump.shut_down(), id="shutdown"),
    pytest.param(lambda visitor: visitor.says("RSET", "QUIT"), id="after-rset"),
])
def test_without_quit_nothing_is_deleted(leave: Any) -> None:
    house = PopHouse()
    visitor = Visitor(house)
    visitor.logs_in()
    visitor.says("DELE 1", "DELE 2")
    leave(visitor)
    assert house.store.mailbox.expunges == []


def test_quit_deletes_all_in_one_call() -> None:
    house = PopHouse()
    visitor = Visitor(house)
    visitor.logs_in()
    assert visitor.says("DELE 3", "DELE 1", "QUIT")[-1] == "+OK Good bye, 2 deleted, 1 left"
    assert house.store.mailbox.expunges == [(11, 20)]


def test_a_quit_that_could_not_delete_says_so() -> None:
    house = PopHouse()
    visitor = Visitor(house)
    visitor.logs_in()
    visitor.says("DELE 1")
    house.store.mailbox.broken = True
    assert visitor.says("QUIT") == ["-ERR [SYS/TEMP] Some deleted messages were not removed"]
    assert visitor.transport.closed


def test_what_somebody_else_has_deleted_counts_as_deleted() -> None:
    house = PopHouse()
    visitor = Visitor(house)
    visitor.logs_in()
    visitor.says("DELE 1")
    del house.store.mailbox.messages[11]
    assert visitor.says("QUIT") == ["+OK Good bye, 1 deleted, 2 left"]


def test_numbers_stay_when_mail_comes_and_goes() -> None:
    house = PopHouse()
    visitor = Visitor(house)
    visitor.logs_in()
    assert visitor.says("STAT") == ["+OK 3 91"]
    house.store.mailbox.messages[30] = b"Subject: new\r\n\r\n"
    del house.store.mailbox.messages[12]
    assert visitor.says("STAT") == ["+OK 3 91"]
    assert visitor.says("RETR 2") == ["-ERR That message has been deleted by somebody else"]
    assert visitor.says("RETR 4") == ["-ERR There is no such message"]
    assert visitor.says("RETR 3")[1] == "Subject: three"


def test_a_message_that_goes_before_it_is_measured_keeps_its_number() -> None:
    house = PopHouse()
    visitor = Visitor(house)
    visitor.logs_in()
    del house.store.mailbox.messages[12]
    assert visitor.says("STAT") == ["+OK 3 61"]
    assert visitor.says("RETR 2") == ["-ERR That message has been deleted by somebody else"]
    assert visitor.says("RETR 3")[1] == "Subject: three"


def test_unique_ids_are_those_of_the_store_in_every_session() -> None:
    house = PopHouse()
    seen = []
    for _ in range(2):
        visitor = Visitor(house)
        visitor.logs_in()
        seen.append(visitor.says("UIDL"))
        visitor.says("QUIT")
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 5


def test_names_that_another_server_has_given_are_kept() -> None:
    house = PopHouse()
    house.store.mailbox.given = {12: b"<7.old@server>", 20: b"x" * 71, 11: b"a b"}
    visitor = Visitor(house)
    visitor.logs_in()
    assert visitor.says("UIDL 2") == ["+OK 2 <7.old@server>"]
    assert visitor.says("UIDL")[1:] == ["1 0000000b5f000001", "2 <7.old@server>", "3 000000145f000001", "."]


def test_unique_ids_are_spelled_as_the_operator_wants() -> None:
    visitor = Visitor(PopHouse(settings={"uidl_format": uniqueids.read("%v.%u")}))
    visitor.logs_in()
    assert visitor.says("UIDL 2") == ["+OK 2 1593835521.12"]


def test_an_octet_behind_stls_closes_the_connection() -> None:
    visitor = Visitor(PopHouse())
    visitor.feed(b"STLS\r\nUSER ann\r\n")
    assert visitor.transport.closed
    assert not visitor.transport.contexts


def test_a_disk_that_fails_is_weather_and_the_session_goes_on() -> None:
    house = PopHouse()
    visitor = Visitor(house)
    visitor.logs_in()
    house.store.mailbox.broken = True
    assert visitor.says("RETR 1")[0].startswith("-ERR [SYS/TEMP]")
    house.store.mailbox.broken = False
    assert visitor.says("RETR 1")[0] == "+OK 36 octets"


class Torn(InPieces):
    """Content whose disk fails behind the first chunks."""

    def chunks(self) -> Iterator[bytes]:
        for count, chunk in enumerate(super().chunks()):
            if count == 10:
                raise OSError(5, "Input/output error")
            yield chunk


def test_half_a_message_does_not_look_like_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    house = PopHouse()
    house.store.mailbox.messages = {1: b"A: b\r\n\r\n" + b"line\r\n" * 100_000}
    monkeypatch.setattr("tests.dialogues.pop3_house.InPieces", Torn)
    visitor = Visitor(house)
    visitor.logs_in()
    said = visitor.says("RETR 1")
    assert said[0] == "+OK 600008 octets"
    assert "." not in said
    assert visitor.transport.closed


def test_a_large_message_is_not_fetched_whole() -> None:
    house = PopHouse()
    house.store.mailbox.messages = {1: b"A: b\r\n\r\n" + b"line\r\n" * (SMALL // 6)}
    visitor = Visitor(house)
    visitor.logs_in()
    assert len(visitor.says("RETR 1")) == 2 + 1 + SMALL // 6 + 1
    assert house.store.mailbox.loads == []


def test_shutdown_is_said_and_a_time_out_is_not() -> None:
    house = PopHouse()
    stopped, silent = Visitor(house), Visitor(house)
    stopped.pump.shut_down()
    assert stopped.heard() == ["-ERR [SYS/TEMP] The server stops now, please come back later"]
    silent.advance(181)
    assert silent.heard() == []
    assert silent.transport.closed


def test_whoever_talks_and_does_not_log_in_is_dropped_all_the_same() -> None:
    talker, user = Visitor(PopHouse()), Visitor(PopHouse())
    user.logs_in()
    for _ in range(4):
        assert talker.says("CAPA")
        assert user.says("NOOP")
        talker.advance(46)
        user.advance(46)
    assert talker.transport.closed
    assert user.says("NOOP") == ["+OK Nothing done"]


@pytest.mark.parametrize("leave", [
    pytest.param(lambda visitor: (visitor.says("QUIT"), visitor.leave()), id="quit"),
    pytest.param(lambda visitor: visitor.leave(), id="gone"),
    pytest.param(lambda visitor: visitor.logs_in(), id="logged-in"),
])
def test_an_address_has_so_many_connections_that_have_not_logged_in(leave: Any) -> None:
    house = PopHouse(settings={"max_connections_per_ip": 2})
    visitors = [Visitor(house), Visitor(house)]
    one_too_many = Visitor(house)
    assert one_too_many.transport.closed
    leave(visitors[0])
    assert Visitor(house).says("NOOP") == ["-ERR Log in first"]
    assert Visitor(house).transport.closed


def test_facts_tell_who_logged_in_and_what_was_fetched() -> None:
    house = PopHouse()
    told: list[Fact] = []
    house.facts.listen(told.append)
    visitor = Visitor(house)
    visitor.logs_in()
    visitor.says("RETR 3", "TOP 1 0")
    found = [fact.what for fact in told if isinstance(fact.what, LoggedIn | Read)]
    assert found == [LoggedIn("ann@here.example", "USER", "", "192.0.2.7"), Read("pop3", "ann@here.example", "INBOX", "20")]


def test_what_is_fetched_in_order_is_told_in_pieces_and_never_before_it_is_fetched() -> None:
    house = PopHouse()
    told: list[Fact] = []
    house.facts.listen(told.append)
    visitor = Visitor(house)
    visitor.logs_in()

    def reads() -> list[str]:
        return [fact.what.uids for fact in told if isinstance(fact.what, Read)]

    visitor.says("RETR 1")
    assert reads() == ["11"]
    visitor.says("RETR 2")
    assert reads() == ["11"]
    visitor.leave()
    assert reads() == ["11", "12"]
    again = Visitor(house)
    again.logs_in()
    again.says("RETR 1", "RETR 2", "RETR 3")
    assert reads() == ["11", "12", "11", "12,20"]


def test_transcripts_hide_passwords() -> None:
    house = PopHouse()
    told: list[Fact] = []
    house.facts.listen(told.append, lines=True)
    visitor = Visitor(house)
    visitor.logs_in()
    visitor.says("QUIT")
    lines = repr(told)
    assert "PASS (secret)" in lines
    assert "'secret'" not in lines
    assert "PASS secret" not in lines


# ----- how often


DELAYED = {"login_delay": 300.0, "login_timeout": 1000.0}


def test_a_user_may_come_back_when_the_delay_is_over_and_others_at_any_time() -> None:
    house = PopHouse(settings=DELAYED)
    first = Visitor(house)
    assert first.logs_in() == "+OK 3 messages"
    first.says("QUIT")
    assert Visitor(house).logs_in("bob", "two words") == "+OK 3 messages"
    again = Visitor(house)
    again.advance(299.5)
    assert again.logs_in() == "-ERR [LOGIN-DELAY] You have logged in a moment ago, come back in 1 seconds"
    again.advance(0.5)
    assert again.logs_in() == "+OK 3 messages"


def test_a_wrong_password_says_nothing_of_delays_and_a_refused_login_begins_none() -> None:
    house = PopHouse(settings=DELAYED)
    first = Visitor(house)
    first.logs_in()
    first.says("QUIT")
    guesser = Visitor(house)
    guesser.says("USER ann", "PASS wrong")
    guesser.advance(20)
    assert guesser.heard()[-1].startswith("-ERR [AUTH]")
    assert guesser.logs_in().startswith("-ERR [LOGIN-DELAY]")
    guesser.advance(280)
    assert guesser.logs_in() == "+OK 3 messages"


def test_visits_that_no_longer_matter_are_forgotten() -> None:
    visits = Visits()
    for number in range(1000):
        visits.came(f"user{number}@here.example", float(number), 10.0)
    assert len(visits._latest) == 10
    visits.came("last@here.example", 2000.0, 0.0)
    assert len(visits._latest) == 0


# ----- mail in UTF-8

UTF8 = "Subject: Gr\u00fc\u00dfe\r\nX: y\r\n\r\nGr\u00fc\u00dfe\r\n".encode()
LARGE = UTF8 + b"line\r\n" * SMALL


def fetched(settings: dict[str, Any], *commands: str, message: bytes = UTF8) -> list[str]:
    house = PopHouse(settings=settings)
    house.store.mailbox.messages = {1: message}
    visitor = Visitor(house)
    return visitor.says(*commands, "USER ann", "PASS secret", "RETR 1", "TOP 1 0")[len(commands) + 2 :]


@pytest.mark.parametrize("message", [pytest.param(UTF8, id="small"), pytest.param(LARGE, id="large")])
@pytest.mark.parametrize(("settings", "commands", "subject"), [
    pytest.param({}, (), "Subject: =?utf-8?b?R3LDvMOfZQ==?=", id="converted"),
    pytest.param({"utf8_headers": "raw"}, (), "Subject: Gr\u00fc\u00dfe", id="raw"),
    pytest.param({}, ("UTF8",), "Subject: Gr\u00fc\u00dfe", id="to-one-that-says-utf8"),
    pytest.param({"utf8_headers": "refused"}, ("UTF8",), "Subject: Gr\u00fc\u00dfe", id="refused-to-others"),
])
def test_what_clients_get_of_a_header_in_utf_8(settings: Any, commands: Any, subject: str, message: bytes) -> None:
    said = fetched(settings, *commands, message=message)
    assert said[1] == subject
    assert said[2:5] == ["X: y", "", "Gr\u00fc\u00dfe"]
    assert said[-5:] == ["+OK The beginning follows", subject, "X: y", "", "."]


@pytest.mark.parametrize("message", [pytest.param(UTF8, id="small"), pytest.param(LARGE, id="large")])
def test_a_header_in_utf_8_may_be_refused(message: bytes) -> None:
    assert fetched({"utf8_headers": "refused"}, message=message) == ["-ERR [UTF8] That message can be had in UTF-8 only: UTF8"] * 2


@pytest.mark.parametrize("handling", ["converted", "refused", "raw"])
def test_eight_bits_in_a_body_or_in_no_known_characters_are_nobody_s_business(handling: str) -> None:
    house = PopHouse(settings={"utf8_headers": handling})
    latin = b"Subject: \xfc\r\n\r\nx\r\n"
    house.store.mailbox.messages = {1: b"Subject: x\r\n\r\n\xc3\xbc\r\n", 2: latin, 3: latin + b"line\r\n" * SMALL}
    visitor = Visitor(house)
    visitor.logs_in()
    assert visitor.says("RETR 1")[-2] == "\u00fc"
    assert visitor.says("RETR 2")[1] == visitor.says("RETR 3")[1] == "Subject: \udcfc"


# ----- the maildrop


def drop_of(*sizes: int) -> tuple[Maildrop, FakeMailbox]:
    mailbox = FakeMailbox({number: b"x" * size for number, size in enumerate(sizes, 101)})
    drop = Maildrop(mailbox, tuple(mailbox.messages))
    result_of(drop.measure())
    return drop, mailbox


def fetch(drop: Maildrop, *numbers: int) -> list[bytes | None]:
    return [result_of(drop.whole(number)) for number in numbers]


def test_one_after_the_other_is_fetched_ahead_in_growing_runs() -> None:
    drop, mailbox = drop_of(*[10] * 200)
    assert fetch(drop, *range(1, 201)) == [b"x" * 10] * 200
    assert [len(load) for load in mailbox.loads] == [1, 4, 16, 32, 32, 32, 32, 32, 19]
    assert max(map(len, mailbox.loads)) == MOST_AHEAD


def test_here_and_there_is_fetched_singly() -> None:
    drop, mailbox = drop_of(*[10] * 20)
    fetch(drop, 5, 9, 2, 20)
    assert mailbox.loads == [(105,), (109,), (102,), (120,)]


def test_what_is_fetched_ahead_is_bounded_in_octets() -> None:
    drop, mailbox = drop_of(*[SMALL] * 20)
    fetch(drop, *range(1, 21))
    assert max(map(len, mailbox.loads)) == MOST_OCTETS_AHEAD // SMALL


def test_what_is_deleted_is_not_fetched_ahead() -> None:
    drop, mailbox = drop_of(*[10] * 8)
    drop.deleted.update({3, 4})
    fetch(drop, 1, 2)
    assert mailbox.loads == [(101,), (102, 105)]


class SlowMailbox(FakeMailbox):
    """Reads nothing more until it is let."""

    waiting: Deferred[None] | None = None

    async def load(self, uids: Any) -> list[tuple[int, bytes]]:
        found = await super().load(uids)
        if self.waiting is not None:
            await self.waiting
        return found


def test_the_next_messages_come_while_the_last_ones_go_out() -> None:
    mailbox = SlowMailbox(dict.fromkeys(range(101, 301), b"x"))
    drop = Maildrop(mailbox, tuple(mailbox.messages))
    result_of(drop.measure())
    fetch(drop, *range(1, 23))
    mailbox.waiting = Deferred()
    fetch(drop, *range(23, 38))
    assert [len(load) for load in mailbox.loads] == [1, 4, 16, 32, 32]
    fetch(drop, *range(38, 54))
    assert len(mailbox.loads) == 5
    last = tasks.shielded(drop.whole(54))
    assert not last.called
    mailbox.waiting.callback(None)
    mailbox.waiting = None
    assert last.result == b"x"
    assert fetch(drop, *range(55, 86)) == [b"x"] * 31


def test_a_disk_that_fails_meanwhile_is_told_to_whoever_asks_and_to_nobody_else() -> None:
    drop, mailbox = drop_of(*[10] * 100)
    fetch(drop, *range(1, 37))
    mailbox.broken = True
    assert fetch(drop, *range(37, 54)) == [b"x" * 10] * 17
    with pytest.raises(OSError, match="Input/output"):
        fetch(drop, 54, 55, *range(56, 101))
    mailbox.broken = False
    assert fetch(drop, 100) == [b"x" * 10]


def test_the_same_message_twice_is_the_same() -> None:
    drop, _ = drop_of(10, 20)
    assert fetch(drop, 1, 2, 2, 1) == [b"x" * 10, b"x" * 20, b"x" * 20, b"x" * 10]


def test_ten_thousand_messages_are_asked_for_in_bounded_blocks() -> None:
    house = PopHouse()
    asked: list[int] = []

    class Big(FakeMailbox):
        async def rows(self, uids: Any, columns: Any) -> list[tuple[int, int]]:
            asked.append(len(uids))
            return [(uid, 5) for uid in uids]

    house.store.mailbox = Big(dict.fromkeys(range(1, 10_502), b""))
    drop = result_of(open_maildrop(house.store, "ann@here.example"))
    assert asked == []
    result_of(drop.measure())
    result_of(drop.measure())
    assert max(asked) == 2000
    assert sum(asked) == 10_501
    assert (drop.count, drop.octets) == (10_501, 52_505)
    blocks = list(drop.lines(drop.size_line))
    assert len(blocks) == 3
    assert b"".join(blocks).count(b"\r\n") == 10_501


def test_a_mailbox_that_cannot_be_read_is_closed_again() -> None:
    house = PopHouse()
    house.store.mailbox.broken = True
    with pytest.raises(OSError):
        result_of(open_maildrop(house.store, "ann@here.example"))
    assert house.store.mailbox.opened == 0
