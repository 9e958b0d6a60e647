"""What a right and a wrong password cost, and who is not listened to any more."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher

from tests.helpers import CLOSED, OPEN, TOOLS, result_of
from twistmail import tasks
from twistmail.bans import Bans
from twistmail.facts import Fact, Facts, LoggedIn, LoginFailed
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.envelope import TlsState
from twistmail.memory.people import MemoryPeople
from twistmail.networks import NETWORKS
from twistmail.servers.conversation import Conversation
from twistmail.servers.gate import Gate
from twistmail.servers.gate import Terms as GateTerms
from twistmail.servers.login import OPTIONS, RATES, Login
from twistmail.servers.mechanisms import Caller, Denied
from twistmail.servers.throttle import CALM, DELAY_MEMORY, LONGEST_DELAY, Throttle, network_of
from twistmail.wire.sasl.exchange import Credentials, Proven

ANN = Credentials("ann@here.example", "secret")
WRONG = Credentials("ann@here.example", "wrong")
PEER = "192.0.2.7"
TLS = TlsState("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)


def shown(client: str) -> TlsState:
    """A connection whose client has shown a certificate with this name."""
    return replace(TLS, client=client)


def caller(tls: TlsState | None = TLS) -> Caller:
    return Caller("c1", PEER, tls)


class Door:
    """A Login with a clock and a record of what was told. `elapsed(credentials)`: what came, and after how many seconds."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.people = MemoryPeople({"ann@here.example": "secret", "bob@here.example": "secret"}, "here.example")
        self.facts = Facts()
        self.told: list[Fact] = []
        self.facts.listen(self.told.append)
        self.login = Login(self.people, Throttle(), self.clock, self.facts, lambda: 100.0, jitter=lambda: 1.0, tools=TOOLS,
                           accounts=self.people, default_domain="here.example", **settings)

    def elapsed(self, credentials: Credentials | Proven, peer: str = PEER) -> tuple[Account | None, float]:
        began, results = self.clock.seconds(), []
        tasks.shielded(self.login.check(credentials, peer, "PLAIN", "c1")).addBoth(results.append)
        while not results:
            self.clock.advance(0.25)
        return results[0], self.clock.seconds() - began


def test_a_right_password_is_answered_at_once() -> None:
    account, waited = Door().elapsed(ANN)
    assert account == Account("ann@here.example")
    assert waited == 0


def test_each_failure_doubles_the_wait_up_to_a_limit() -> None:
    door = Door()
    assert [door.elapsed(WRONG)[1] for _ in range(6)] == [2, 4, 8, LONGEST_DELAY, LONGEST_DELAY, LONGEST_DELAY]


def test_failures_of_one_login_are_felt_from_every_peer_but_lock_nobody_out() -> None:
    door = Door()
    for number in range(3):
        door.elapsed(WRONG, f"198.51.100.{number}")
    assert door.elapsed(WRONG, "203.0.113.9")[1] == LONGEST_DELAY
    assert door.elapsed(ANN, "203.0.113.9") == (Account("ann@here.example"), 0)


def test_a_success_forgives_the_login_but_not_the_peer() -> None:
    door = Door()
    door.elapsed(WRONG)
    door.elapsed(ANN)
    assert door.elapsed(WRONG, "203.0.113.9")[1] == 2
    assert door.elapsed(WRONG)[1] == 4


def test_a_peer_that_fails_too_often_is_not_listened_to_for_a_while() -> None:
    door = Door()
    door.login = Login(door.people, Throttle(rates=((3, 60.0),)), door.clock, door.facts, lambda: 0.0, jitter=lambda: 0.0, tools=TOOLS)
    for guess in "abc":
        door.elapsed(replace(WRONG, password=guess))
    assert door.elapsed(ANN)[0] is None
    assert door.elapsed(ANN, "192.0.2.8")[0] is not None
    door.clock.advance(60)
    assert door.elapsed(ANN)[0] is not None


def test_a_refusal_takes_as_long_as_a_failure() -> None:
    door = Door()
    door.login = Login(door.people, Throttle(rates=((1, 1000.0),)), door.clock, door.facts, lambda: 0.0, jitter=lambda: 0.0, tools=TOOLS)
    assert [door.elapsed(WRONG)[1] for _ in range(2)] == [2, 4]
    assert door.elapsed(ANN)[1] == 8


@pytest.mark.parametrize(("authzid", "lets_in"), [
    pytest.param("", True, id="none"),
    pytest.param("ann@here.example", True, id="his-account"),
    pytest.param("ANN@HERE.example", True, id="his-login-in-another-case"),
    pytest.param("bob@here.example", False, id="another's"),
])
def test_nobody_acts_for_another(authzid: str, lets_in: bool) -> None:
    account, _ = Door().elapsed(Credentials("ann@here.example", "secret", authzid))
    assert (account is not None) is lets_in


def test_a_disabled_account_fails_like_any_other() -> None:
    door = Door()
    door.people.add(Account("ann@here.example", enabled=False), "secret")
    assert door.elapsed(ANN) == (None, 2)


@pytest.mark.parametrize(("peer", "comes_in"), [
    pytest.param("192.0.2.7", True, id="from-a-network-of-his"),
    pytest.param("::ffff:192.0.2.7", True, id="however-it-is-written"),
    pytest.param("198.51.100.7", False, id="from-elsewhere"),
    pytest.param("unix", False, id="from-a-socket"),
])
def test_an_account_may_be_tied_to_networks(peer: str, comes_in: bool) -> None:
    door = Door()
    door.people.add(Account("ann@here.example", login_from=NETWORKS.read("192.0.2.0/24")), "secret")
    account, seconds = door.elapsed(ANN, peer)
    assert (account is not None, seconds > 0) == (comes_in, not comes_in)


def test_facts_tell_who_came_in_and_never_a_password() -> None:
    door = Door()
    door.elapsed(WRONG)
    door.elapsed(ANN)
    about = ("ann@here.example", "PLAIN", "", PEER)
    assert [fact.what for fact in door.told] == [LoginFailed(*about), LoggedIn(*about)]
    assert all(fact.about == "c1" and fact.at == 100.0 for fact in door.told)


def test_accounts_that_are_away_are_no_failure() -> None:
    door = Door()
    door.people.available = False
    with pytest.raises(Unavailable):
        result_of(door.login.check(ANN, PEER, "PLAIN", "c1"))
    assert door.told == []


@pytest.mark.parametrize(("openness", "tls", "offered"), [
    pytest.param(CLOSED, None, (), id="in-clear"),
    pytest.param(CLOSED, TLS, ("PLAIN", "LOGIN"), id="under-tls"),
    pytest.param(OPEN, None, ("PLAIN", "LOGIN"), id="in-clear-where-that-is-allowed"),
])
def test_mechanisms(openness: Any, tls: TlsState | None, offered: tuple[str, ...]) -> None:
    login = Door(openness=openness, mechanisms=("PLAIN", "LOGIN", "EXTERNAL")).login
    assert result_of(login.mechanisms(caller(tls))) == offered
    assert login.may_send_password(caller(tls)) is bool(offered)


def test_only_mechanisms_that_are_offered_begin() -> None:
    login = Door(mechanisms=("PLAIN", "GSSAPI", "OAUTHBEARER")).login
    assert result_of(login.mechanisms(caller(shown("ann@here.example")))) == ("PLAIN",)
    assert isinstance(result_of(login.begin("plain", caller())), Conversation)
    assert result_of(login.begin("PLAIN", caller(None))) is Denied.ENCRYPT_FIRST
    for name in ("LOGIN", "GSSAPI", "OAUTHBEARER", "NONSENSE"):
        assert result_of(login.begin(name, caller(shown("ann@here.example")))) is Denied.NO_SUCH_MECHANISM


@pytest.mark.parametrize(("who", "authzid", "whose"), [
    pytest.param("bob@here.example", "ann@here.example", "ann@here.example", id="a-master-as-anybody"),
    pytest.param("bob@here.example", "ann", "ann@here.example", id="by-a-name-in-the-default-domain"),
    pytest.param("bob@here.example", "", "bob@here.example", id="a-master-as-himself"),
    pytest.param("bob@here.example", "eve@here.example", None, id="as-nobody"),
    pytest.param("bob@here.example", "off@here.example", None, id="as-somebody-who-is-disabled"),
    pytest.param("ann@here.example", "bob@here.example", None, id="somebody-else-as-the-master"),
    pytest.param("ann@here.example", "ann", "ann@here.example", id="somebody-by-his-bare-name"),
])
def test_a_master_acts_for_anybody(who: str, authzid: str, whose: str | None) -> None:
    door = Door(masters=frozenset({"bob@here.example"}))
    door.people.add(Account("off@here.example", enabled=False), "secret")
    account, _ = door.elapsed(Credentials(who, "secret", authzid))
    assert (account.name if account else None) == whose


def test_by_an_app_password_a_master_is_himself_only(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(masters=frozenset({"bob@here.example"}))

    async def authenticate(login: str, password: str, service: str = "") -> Account:
        return Account("bob@here.example", by_app_password=True)

    monkeypatch.setattr(door.people, "authenticate", authenticate)
    assert door.elapsed(Credentials("bob@here.example", "app", "ann@here.example"))[0] is None
    assert door.elapsed(Credentials("bob@here.example", "app"))[0] is not None
    assert door.told[-1].what == LoggedIn("bob@here.example", "PLAIN", "", PEER, app_password=True)


def test_the_facts_tell_which_master_it_was() -> None:
    door = Door(masters=frozenset({"bob@here.example"}))
    door.elapsed(Credentials("bob@here.example", "secret", "ann@here.example"))
    assert door.told[-1].what == LoggedIn("ann@here.example", "PLAIN", "", PEER, by="bob@here.example")


def test_a_master_who_is_disabled_acts_for_nobody() -> None:
    door = Door(masters=frozenset({"bob@here.example"}))
    door.people.add(Account("bob@here.example", enabled=False), "secret")
    assert door.elapsed(Credentials("bob@here.example", "secret", "ann@here.example"))[0] is None


# ----- certificates instead of passwords (RFC 4422 appendix A)


@pytest.mark.parametrize(("client", "offered"), [
    pytest.param("ann@here.example", True, id="an-account"),
    pytest.param("Ann@Here.Example", True, id="in-any-case"),
    pytest.param("ann", True, id="a-common-name-in-the-default-domain"),
    pytest.param("", False, id="no-certificate"),
    pytest.param("eve@here.example", False, id="nobody-here"),
    pytest.param("off@here.example", False, id="a-disabled-account"),
    pytest.param("ann@away.example", False, id="the-same-name-elsewhere"),
    pytest.param("Ann of Here <ann@here.example>", False, id="no-address"),
])
def test_external_is_offered_to_whom_it_would_let_in(client: str, offered: bool) -> None:
    door = Door()
    door.people.add(Account("off@here.example", enabled=False), "secret")
    assert ("EXTERNAL" in result_of(door.login.mechanisms(caller(shown(client))))) is offered
    account, _ = door.elapsed(Proven(client))
    assert (account is not None) is offered


def test_external_begins_for_those_who_have_shown_a_certificate() -> None:
    login = Door().login
    assert isinstance(result_of(login.begin("external", caller(shown("ann@here.example")))), Conversation)
    assert result_of(login.begin("EXTERNAL", caller())) is Denied.NO_SUCH_MECHANISM
    assert result_of(login.begin("EXTERNAL", caller(None))) is Denied.ENCRYPT_FIRST


def test_while_the_accounts_are_away_external_is_not_offered() -> None:
    door = Door()
    door.people.available = False
    assert "EXTERNAL" not in result_of(door.login.mechanisms(caller(shown("ann@here.example"))))
    with pytest.raises(Unavailable):
        result_of(door.login.check(Proven("ann@here.example"), PEER, "EXTERNAL", "c1"))


@pytest.mark.parametrize(("authzid", "lets_in"), [
    pytest.param("", True, id="none"),
    pytest.param("ann@here.example", True, id="his-account"),
    pytest.param("ANN", True, id="his-name-in-the-certificate"),
    pytest.param("bob@here.example", False, id="anothers"),
])
def test_with_a_certificate_nobody_acts_for_another_either(authzid: str, lets_in: bool) -> None:
    account, waited = Door().elapsed(Proven("ann", authzid))
    assert account == (Account("ann@here.example") if lets_in else None)
    assert (waited == 0) is lets_in


def test_wrong_passwords_of_others_behind_his_address_do_not_hinder_whoever_has_a_certificate() -> None:
    door = Door()
    door.login = Login(door.people, Throttle(rates=((1, 1000.0),)), door.clock, door.facts, lambda: 0.0, jitter=lambda: 0.0, tools=TOOLS,
                       accounts=door.people)
    door.elapsed(WRONG)
    assert door.elapsed(ANN)[0] is None
    assert door.elapsed(Proven("ann@here.example")) == (Account("ann@here.example"), 0)
    assert door.told[-1].what == LoggedIn("ann@here.example", "PLAIN", "", PEER)


@pytest.mark.parametrize(("address", "network"), [
    pytest.param("192.0.2.7", "192.0.2.7", id="ipv4"),
    pytest.param("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", id="ipv6-by-its-network"),
    pytest.param("::ffff:192.0.2.7", "192.0.2.7", id="ipv4-in-ipv6"),
    pytest.param("fe80::1%eth0", "fe80::/64", id="with-a-scope"),
    pytest.param("unix", "unix", id="no-address"),
])
def test_what_counts_as_one_peer(address: str, network: str) -> None:
    assert network_of(address) == network


def test_the_throttle_forgets_the_quietest_first_and_stays_small() -> None:
    throttle = Throttle(most_keys=100)
    for number in range(10_000):
        throttle.failed(f"10.0.{number >> 8}.{number & 255}", f"login{number}", float(number))
        throttle.failed("192.0.2.7", "ann", float(number))
    assert len(throttle) <= 200  # peers, and logins
    assert throttle.refuses("192.0.2.7", 10_000.0)


def test_failures_of_long_ago_do_not_count() -> None:
    throttle = Throttle()
    assert [throttle.failed(PEER, "ann", at) for at in (0.0, 10.0, 1000.0)] == [2, 4, 2]


def test_fifty_failures_a_day_are_enough() -> None:
    throttle = Throttle()
    for number in range(50):
        assert not throttle.refuses(PEER, number * 600.0)
        throttle.failed(PEER, f"login{number}", number * 600.0)
    assert throttle.refuses(PEER, 50 * 600.0)


@pytest.mark.parametrize(("text", "rates"), [
    pytest.param("10/1m 50/1d", ((10, 60.0), (50, 86400.0)), id="two"),
    pytest.param("", (), id="none"),
])
def test_rates_are_read(text: str, rates: tuple[tuple[int, float], ...]) -> None:
    assert RATES.read(text) == rates
    assert RATES.read(RATES.write(rates)) == rates


@pytest.mark.parametrize("text", ["10", "10/", "/1m", "0/1m", "ten/1m", "10/1x"])
def test_what_is_no_rate_is_said_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="\n"):
        RATES.read(text)


def test_the_defaults_are_those_of_the_throttle() -> None:
    assert OPTIONS.defaults().failures == Throttle().rates


# ----- guesses and slips


def test_a_program_that_repeats_one_wrong_password_is_not_shut_out_for_it() -> None:
    throttle = Throttle(key=b"k")
    for number in range(141, 200):
        assert throttle.failed(PEER, "ann", float(number), "the old password") >= 2
    assert not throttle.refuses(PEER, 200.0)
    for number in range(9):
        throttle.failed(PEER, "ann", 200.0, f"guess {number}")
    assert throttle.refuses(PEER, 200.0)


def test_the_same_password_for_another_login_is_another_guess() -> None:
    throttle = Throttle(key=b"k")
    for number in range(10):
        throttle.failed(PEER, f"user{number}", 0.0, "123456")
    assert throttle.refuses(PEER, 0.0)


def test_a_login_that_is_guessed_at_is_looked_at_later_from_where_it_never_came() -> None:
    door = Door()
    assert door.elapsed(ANN, "203.0.113.9")[1] == 0  # his own place
    for number in range(CALM):
        door.elapsed(replace(WRONG, password=f"guess {number}"), f"198.51.100.{number}")
    assert door.elapsed(ANN, "203.0.113.9") == (Account("ann@here.example"), 0)
    assert door.elapsed(ANN, "192.0.2.99") == (Account("ann@here.example"), 2)


def test_a_login_that_nobody_has_is_looked_at_later_all_the_same() -> None:
    waits = []
    for login in ("ann@here.example", "nobody@here.example"):
        door = Door()
        for number in range(8):
            guess = Credentials(login, f"guess {number}")
            waits.append((number, door.elapsed(guess, f"198.51.100.{number}")))
    assert waits[:8] == waits[8:]


@pytest.mark.parametrize(("login", "waits"), [
    pytest.param("ann@here.example", True, id="whom-they-mean"),
    pytest.param("bob@here.example", False, id="another"),
])
def test_nobody_waits_for_guesses_at_others(login: str, waits: bool) -> None:
    throttle = Throttle()
    for number in range(CALM + 1):
        throttle.failed(f"198.51.100.{number}", "Ann@here.example", 0.0, f"guess {number}")
    assert bool(throttle.hold(PEER, login, 0.0)) is waits
    assert throttle.hold(PEER, login, DELAY_MEMORY) == 0


def test_a_hundred_connections_at_once_get_no_more_guesses_than_one_after_the_other() -> None:
    door, compared, waiting = Door(), [], []

    class Slow(MemoryPeople):
        async def authenticate(self, login: str, password: str, *more: Any) -> Account | None:
            compared.append(password)
            waiting.append(Deferred())
            await waiting[-1]
            return None

    people = Slow({"ann@here.example": "secret"}, "here.example")
    door.login = Login(people, Throttle(), door.clock, door.facts, lambda: 0.0, jitter=lambda: 0.0, tools=TOOLS)
    results: list[Any] = []

    def guess(number: int) -> None:
        coroutine = door.login.check(Credentials("ann@here.example", f"guess {number}"), PEER, "PLAIN", f"c{number}")
        tasks.shielded(coroutine).addBoth(results.append)

    guess(0)
    waiting.pop().callback(None)
    for number in range(1, 101):
        guess(number)
    for _ in range(1000):
        while waiting:
            waiting.pop().callback(None)
        door.clock.advance(0.05)
    assert len(results) == 101
    assert len(compared) == 10  # RATES: ten in a minute


def test_who_is_spared_is_never_refused() -> None:
    throttle = Throttle(spares=lambda address: address == PEER)
    for number in range(100):
        throttle.failed(PEER, "ann", 0.0, f"guess {number}")
    assert not throttle.refuses(PEER, 0.0)
    assert not throttle.is_crowded(PEER, 0.0)


def test_whoever_reaches_the_limit_is_banned_and_not_heard_on_the_connections_that_he_has() -> None:
    door, bans = Door(), Bans()
    gate = Gate(bans, door.facts, lambda: 100.0, GateTerms(lasts=900.0))
    door.login = Login(door.people, Throttle(rates=((3, 60.0),)), door.clock, door.facts, lambda: 100.0, jitter=lambda: 0.0, tools=TOOLS,
                       gate=gate)
    for guess in "abc":
        door.elapsed(replace(WRONG, password=guess))
    assert [ban.place for ban in bans.in_force(100.0)] == [PEER]
    door.clock.advance(600.0)  # the throttle has forgotten, the ban holds
    assert door.elapsed(ANN)[0] is None
    assert door.elapsed(ANN, "192.0.2.8")[0] is not None


@pytest.mark.parametrize("login", [
    pytest.param("ann@here.example", id="a-name"),
    pytest.param('x" address=203.0.113.1 login="y', id="quotes"),
    pytest.param("x\nlogin failed: service=imap address=203.0.113.1 mechanism=PLAIN login=x", id="a-line-of-its-own"),
    pytest.param("\u202eevil\x1b[2J", id="what-speaks-to-terminals"),
])
def test_each_failure_is_a_line_in_the_log_where_that_is_wanted(login: str) -> None:
    door, lines = Door(service="imap", logs_failures=True), []
    globalLogPublisher.addObserver(observer := lambda event: lines.append(formatEvent(event)))
    try:
        door.elapsed(Credentials(login, "wrong"))
    finally:
        globalLogPublisher.removeObserver(observer)
    (line,) = [line for line in lines if line.startswith("login failed")]
    assert line.isascii()
    assert line.isprintable()
    assert re.fullmatch(r'login failed: service=imap address=192\.0\.2\.7 mechanism=PLAIN login="(?:[^"\\]|\\.)*"', line)
