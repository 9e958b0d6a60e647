"""The verbs of the control socket over a queue in memory and a service that is not there."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from twisted.internet.task import Clock

from tests.aliases.sources import meaning
from tests.config.declared import SECTIONS
from tests.helpers import heard, result_of
from tests.tls.authority import Authority
from twistmail.accounts.config import OPTIONS as USERS
from twistmail.aliases.chain import AliasChain
from twistmail.aliases.table import ALIAS, alias_table
from twistmail.aliases.table import OPTIONS as ALIASES
from twistmail.config.load import load
from twistmail.control import Refusal
from twistmail.expansion import Expansion
from twistmail.facts import Closed, Connected, Fact, Facts, LoggedIn, TlsStarted
from twistmail.mail.account import Account
from twistmail.mail.address import parse
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target, TlsState
from twistmail.mail.item import Errand, Item
from twistmail.mail.schedule import Schedule
from twistmail.mailflow import Dispatch
from twistmail.memory.people import MemoryPeople
from twistmail.memory.queue import MemoryQueue
from twistmail.operator import LAST_WORDS, Operator
from twistmail.pacing import Uplink
from twistmail.queue.reports import House
from twistmail.queue.runner import Circumstances, Runner
from twistmail.tasks import Inline
from twistmail.tls.acme.renewal import Renewal
from twistmail.tls.certificates import Certificates

NOW = 1_800_000_000.0
CONFIG = """\
[server]
hostname = mail.blue.example
[alias:info@blue.example]
to = anna@blue.example sales
[alias:sales@blue.example]
to = bert carl@partner.example info
[alias:old@blue.example]
to = gone
"""


def item(identifier: str, recipient: str, sender: str | None = "alice@blue.example") -> Item:
    target = Target(Kind.REMOTE, parse(recipient), parse(recipient))
    return Item(identifier, parse(sender) if sender else None, (Errand(target),), NOW - 3600, 500, due=NOW + 600)


class Limits:
    """Only anna's mailbox has one."""

    async def quota_of(self, account):
        return (5000, None) if account == "anna@blue.example" else (None, None)


class Boxes:
    async def peek(self, account):
        return self

    async def quota(self):
        return SimpleNamespace(octets=1200)


class OneWay:
    """All goes by one rule."""

    async def freshen(self):
        pass

    def choice(self, target, item):
        return SimpleNamespace(rule="c.ini:9 [relay] smarthost")


@pytest.fixture
def service(tmp_path):
    """As much of a MailService as the operator looks at, with two messages in its queue."""
    (tmp_path / "c.ini").write_text(CONFIG)
    config = load((*SECTIONS, ALIASES, ALIAS, USERS), tmp_path / "c.ini", (), {}).config
    clock, queue, facts = Clock(), MemoryQueue(), Facts()
    clock.advance(NOW)
    for waiting in (item("6k3fa2-aaaa", "info@green.example"), item("6k3fa3-bbbb", "x@red.example", None)):
        result_of(queue.add(waiting, Memory(b"\r\n")))
    house = House("mail.blue.example", parse("postmaster@blue.example"), None, iter(()), None)
    runner = Runner(queue, Dispatch({}), Schedule(), house, Circumstances(clock, lambda: 0.5, facts))
    for waiting in queue.items():
        runner._register.items[waiting.id] = waiting
    people = MemoryPeople()
    people.add(Account("anna@blue.example"), "x")
    people.add(Account("bert@blue.example"), "x")
    domains = frozenset({"blue.example"})
    origins = {name: config.place(f"alias:{name}").short for name in config.named("alias")}
    aliases = AliasChain([alias_table(config.named("alias"), domains, meaning(), origins)])
    expansion = Expansion(aliases, people, domains, "blue.example", clock=clock.seconds)
    certificates = Certificates(tmp_path / "none", "mail.blue.example", clock.seconds, own=tmp_path / "tls")

    renewal = Renewal(tmp_path / "acme", tmp_path / "tls", Inline(), clock.seconds)

    async def look_at_certificates() -> None:
        certificates.look()

    return SimpleNamespace(
        config=config,
        reactor=clock,
        listeners={},
        connections=dict,
        foundation=SimpleNamespace(
            runner=runner, facts=facts, ground=SimpleNamespace(epoch=clock.seconds, reactor=clock, terms=Limits()), threads=Inline(),
            renewal=renewal, uplink=Uplink.of(tmp_path), store=Boxes(),
        ),
        parts=SimpleNamespace(
            people=SimpleNamespace(expansion=expansion), contexts=SimpleNamespace(certificates=certificates),
            relay=SimpleNamespace(routes=OneWay()),
        ),
        look_at_certificates=look_at_certificates,
    )


@pytest.fixture
def ask(service):
    """A function that asks a verb; rows that come in parts are put together."""
    verbs = Operator(service).verbs()

    def ask(verb, **arguments):
        parts, result = heard(verbs[verb](arguments), service.reactor)
        if isinstance(result, dict) and result.get("rows") == []:
            result["rows"] = [row for part in parts for row in part]
        return result

    return ask


def test_the_queue_is_listed_counted_and_filtered(ask):
    whole = ask("queue.list")
    assert (whole["count"], whole["size"], [row["id"] for row in whole["rows"]]) == (2, 1000, ["6k3fa2-aaaa", "6k3fa3-bbbb"])
    assert (whole["rows"][0]["age_s"], whole["rows"][0]["next_s"]) == (3600, 600)
    assert ask("queue.list", domain="red.example")["rows"][0]["id"] == "6k3fa3-bbbb"
    assert (ask("queue.list", most=1)["count"], len(ask("queue.list", most=1)["rows"])) == (2, 1)


@pytest.mark.parametrize("verb", ["queue.flush", "queue.hold", "queue.release", "queue.delete"])
def test_an_empty_filter_changes_nothing_unless_all_is_said(ask, verb):
    with pytest.raises(Refusal, match="which messages"):
        ask(verb)
    assert ask(verb, ids=["nothing-fits"]) == {"count": 0}


@pytest.mark.parametrize(
    "arguments",
    [{"ids": "x"}, {"ids": [5]}, {"ids": [""]}, {"from": 5}, {"older_than": "1h"}, {"held": "yes"}, {"most": "x"}, {"most": -1}],
)
def test_a_filter_that_makes_no_sense_is_refused(ask, arguments):
    with pytest.raises(Refusal) as refusal:
        ask("queue.list", **arguments)
    assert refusal.value.exit_code == 64


def test_messages_are_held_released_and_deleted(ask, service):
    assert ask("queue.hold", ids=["6k3fa2"]) == {"count": 1}
    assert [row["held"] for row in ask("queue.list")["rows"]] == [True, False]
    assert [row["id"] for row in ask("queue.list", held=True)["rows"]] == ["6k3fa2-aaaa"]
    told = ask("status")["queue"]
    assert {key: told[key] for key in ("count", "size", "oldest_s", "held")} == {"count": 2, "size": 1000, "oldest_s": 3600, "held": 1}
    assert told["states"] == {"active": 0, "held": 1, "new": 1, "deferred": 0}
    assert ask("queue.flush", all=True) == {"count": 1}
    assert ask("queue.release", ids=["6k3fa2"]) == {"count": 1}
    assert ask("queue.delete", all=True) == {"count": 2}
    assert ask("queue.list")["count"] == 0
    assert ask("status")["queue"]["oldest_s"] is None


def test_mail_that_is_kept_for_somebody_goes_where_it_is_named(ask, service):
    runner = service.foundation.runner
    runner.adopt(replace(runner.rules, keeps=lambda domain: domain == "green.example"), runner.places.bounds)
    (kept, _), case = runner.queue.items(), runner._case("6k3fa2-aaaa")  # it never starts: only what would be tried is asked
    assert ask("queue.flush", all=True) == {"count": 2}
    assert len(runner.clerk.kept(kept, case)) == 1
    assert ask("queue.flush", domain="green.example") == {"count": 1}
    assert runner.clerk.kept(kept, case) == frozenset()


def test_connections_come_and_go_with_the_facts(ask, service):
    facts = service.foundation.facts
    facts.tell(Fact(NOW - 60, "c1", Connected("imap", "192.0.2.7", 4711)))
    facts.tell(Fact(NOW - 50, "c2", Connected("mx", "192.0.2.8", 25)))
    facts.tell(Fact(NOW - 59, "c1", TlsStarted(TlsState("TLSv1.3", "X", 256))))
    facts.tell(Fact(NOW - 58, "c1", LoggedIn("anna@blue.example", "PLAIN")))
    facts.tell(Fact(NOW - 1, "c2", Closed("quit", 1, 2)))
    facts.tell(Fact(NOW - 1, "c9", LoggedIn("unseen@blue.example", "PLAIN")))
    who = {"user": "anna@blue.example", "client": "192.0.2.7:4711", "tls": "TLSv1.3"}
    assert ask("session.list") == [{"id": "c1", "service": "imap", **who, "since_s": 60, "idle_s": None, "proxy": ""}]


def test_an_alias_is_resolved_to_a_tree_in_which_loops_end(ask):
    tree = ask("alias.resolve", address="info")
    assert (tree["address"], tree["what"].partition(",")[0], tree["arrives"]) == ("info@blue.example", "alias", True)
    assert tree["source"].endswith("c.ini:3")
    anna, sales = tree["children"]
    assert (anna["address"], anna["what"], anna["used"], anna["most"]) == ("anna@blue.example", "mailbox", 1200, 5000)
    assert [child.get("rule") for child in sales["children"]] == [None, "c.ini:9 [relay] smarthost", None]
    assert [(child["address"], child["what"]) for child in sales["children"]] == [
        ("bert@blue.example", "mailbox"), ("carl@partner.example", "outside"),
        ("info@blue.example", "loop, ignored: info@blue.example -> sales@blue.example -> info@blue.example")]  # fmt: skip


def test_an_address_that_leads_nowhere_says_so(ask):
    tree = ask("alias.resolve", address="nobody@blue.example")
    assert tree["arrives"] is False
    assert "550 5.1.1" in tree["what"]
    with pytest.raises(Refusal):
        ask("alias.resolve", address="no address")


def test_postmaster_always_arrives(ask):
    tree = ask("alias.resolve", address="postmaster@blue.example")
    assert (tree["arrives"], tree["what"]) == (True, "the house's box, postmaster@blue.example")


def test_aliases_are_listed_with_their_places_and_checked(ask, tmp_path):
    listed = {alias["address"]: (alias["targets"], alias["source"]) for alias in ask("alias.list")}
    assert listed["info@blue.example"] == (["anna@blue.example", "sales"], f"{tmp_path}/c.ini:3")
    assert [(problem["address"], problem["problem"].split(":")[0]) for problem in ask("alias.check")] == [
        ("info@blue.example", "loop, ignored"),
        ("old@blue.example", "gone@blue.example"), ("sales@blue.example", "leads outside, to carl@partner.example")]  # fmt: skip


def test_a_reload_tells_what_has_changed_and_what_was_kept(ask, service, tmp_path):
    before = service.config
    (tmp_path / "c.ini").write_text(CONFIG + "[imap]\nidle_timeout = 40m\n")
    after = load((*SECTIONS, ALIASES, ALIAS, USERS), tmp_path / "c.ini", (), {}).config

    def reload():
        service.config = after
        return ()

    service.reload = reload
    change = {"section": "imap", "key": "idle_timeout", "before": "30m", "now": "40m", "reload": "new connections"}
    assert ask("reload") == {"applied": True, "problems": [], "changes": [change]}
    service.config = before
    service.reload = lambda: (before.problem("imap", "listen", "taken"),)
    refused = ask("reload")
    assert (refused["applied"], refused["changes"], len(refused["problems"])) == (False, [], 1)


def test_stop_answers_before_it_stops(ask, service):
    stopped = []
    service.reactor.stop = lambda: stopped.append(True)
    assert ask("stop") == {}
    assert stopped == []
    service.reactor.advance(LAST_WORDS)
    assert stopped == [True]


# ----- certificates


def test_the_certificates_are_those_that_are_shown_and_new_ones_are_used_at_once(ask, tmp_path):
    (row,) = ask("cert.list")
    assert (row["names"], row["self_signed"]) == (["mail.blue.example", "localhost"], True)
    chain, key = Authority(now=NOW).issue("mail.blue.example", days=20)
    (tmp_path / "tls" / "a.pem").write_bytes(key + chain)
    assert [row["used_for"] for row in ask("cert.look")] == [["mail.blue.example"], ["localhost"]]


def test_an_end_that_is_near_is_told_on_the_status_screen(ask, tmp_path):
    assert ask("status")["warnings"] == []
    chain, key = Authority(now=NOW).issue("mail.blue.example", days=20)
    (tmp_path / "tls" / "a.pem").write_bytes(key + chain)
    assert [(found["level"], found["what"][:47]) for found in ask("cert.check") if found["path"].endswith("a.pem")] == [
        ("warning", "the certificate for mail.blue.example ends in 2")
    ]
    assert ask("status")["warnings"] == [
        f"{tmp_path / 'tls' / 'a.pem'}: the certificate for mail.blue.example ends in 20 days, at 2027-02-04T08:00:00Z"
    ]
