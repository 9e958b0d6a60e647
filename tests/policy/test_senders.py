"""Whom a user may write as: himself, aliases that lead to him, and what the sender map gives him."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import result_of
from tests.servers.smtp.house import SmtpHouse
from twistmail.interfaces import Edit, Unavailable, Verdict
from twistmail.mail.account import Account
from twistmail.mail.address import parse
from twistmail.mail.envelope import Peer, Role, Transaction
from twistmail.policy import sender_map
from twistmail.policy.senders import SendersFactory
from twistmail.watched import Broken

FRED = Account("fred@here.example")
ANN = Account("ann@here.example")
MAP = """\
# address          who
boss@away.example  fred
info@away.example  ann@here.example, fred
team@away.example  all
@shop.example      ann
post@shop.example  fred
news@away.example  *
"""


def verdict(house: SmtpHouse, sender: str | None, account: Account = FRED) -> Verdict | None:
    (stage,) = SendersFactory().build(None, house.house(Role.SUBMISSION, sender_map="senders" if house.folder else ""))
    peer = Peer("c1", "192.0.2.7", 4711, Role.SUBMISSION, account=account)
    return result_of(stage.judge(Transaction(peer, "item-1", 0.0, parse(sender) if sender else None)))


@pytest.fixture
def listed(tmp_path: Path) -> SmtpHouse:
    (tmp_path / "senders").write_text(MAP)
    return SmtpHouse(folder=tmp_path)


@pytest.mark.parametrize(("sender", "refused"), [
    pytest.param("fred@here.example", False, id="himself"),
    pytest.param("Fred@here.example", False, id="himself-in-capitals"),
    pytest.param("fred+list@here.example", False, id="himself-with-a-suffix"),
    pytest.param("freddy@here.example", False, id="an-alias-that-leads-to-him"),
    pytest.param("all@here.example", False, id="a-list-that-leads-to-him-too"),
    pytest.param("ann@here.example", True, id="a-colleague"),
    pytest.param("nobody@here.example", True, id="nobody"),
    pytest.param("fred@away.example", True, id="somebody-elsewhere"),
    pytest.param(None, False, id="the-null-sender"),
])  # fmt: skip
def test_users_write_as_themselves(sender: str | None, refused: bool) -> None:
    found = verdict(SmtpHouse(), sender)
    assert (found is not None) == refused
    if found is not None:
        assert found.status is not None
        assert (found.status.code, found.status.enhanced, found.rule) == (550, "5.7.1", "own_addresses_only")


@pytest.mark.parametrize(("sender", "account", "rule"), [
    pytest.param("boss@away.example", FRED, None, id="who-is-named"),
    pytest.param("Boss+x@Away.example", FRED, None, id="in-capitals-and-with-a-suffix"),
    pytest.param("boss@away.example", ANN, "senders:2", id="who-is-not-named"),
    pytest.param("info@away.example", ANN, None, id="the-first-of-two"),
    pytest.param("info@away.example", FRED, None, id="the-second-of-two"),
    pytest.param("team@away.example", ANN, None, id="a-group-is-an-alias"),
    pytest.param("who@shop.example", ANN, None, id="everybody-in-a-domain"),
    pytest.param("who@shop.example", FRED, "senders:5", id="a-domain-of-another"),
    pytest.param("post@shop.example", FRED, None, id="an-address-before-its-domain"),
    pytest.param("post@shop.example", ANN, "senders:6", id="an-address-hides-its-domain"),
    pytest.param("news@away.example", ANN, None, id="everybody-who-has-logged-in"),
    pytest.param("fred@here.example", FRED, None, id="himself-all-the-same"),
    pytest.param("who@else.example", FRED, "own_addresses_only", id="not-in-the-map"),
])  # fmt: skip
def test_the_sender_map_gives_more(listed: SmtpHouse, sender: str, account: Account, rule: str | None) -> None:
    found = verdict(listed, sender, account)
    assert (found.rule if found else None) == (rule if rule is None or ":" not in rule else f"{listed.folder}/{rule}")


def test_a_map_that_changes_holds_at_once(listed: SmtpHouse) -> None:
    assert listed.folder is not None
    assert verdict(listed, "boss@away.example") is None
    path = listed.folder / "senders"
    path.write_text("boss@away.example ann\n")
    os.utime(path, ns=(1, 1))
    assert verdict(listed, "boss@away.example") is not None
    path.write_text("boss@away.example\n")
    os.utime(path, ns=(2, 2))
    assert verdict(listed, "boss@away.example", ANN) is None, "a broken map leaves the old one"


def test_without_a_map_that_can_be_read_nobody_is_let_off(tmp_path: Path) -> None:
    house = SmtpHouse(folder=tmp_path)
    assert verdict(house, "fred@here.example") is None
    with pytest.raises(Unavailable):
        verdict(house, "boss@away.example")


@pytest.mark.parametrize(("text", "line", "said"), [
    pytest.param("a@b.example fred\n\nboss fred\n", 3, "boss has no domain; write boss@blue.example", id="no-domain"),
    pytest.param("# x\na@b.example\n", 2, "nobody may write as a@b.example", id="nobody"),
    pytest.param("a@b.example fred\nA@B.example ann\n", 2, "stands in line 1 already", id="twice"),
    pytest.param("@bad..domain fred\n", 1, "is not a domain name", id="no-domain-name"),
    pytest.param("a@b.example fred@\n", 1, "is not a domain name", id="no-login"),
])  # fmt: skip
def test_mistakes_are_told_with_their_lines(text: str, line: int, said: str) -> None:
    with pytest.raises(Broken) as broken:
        sender_map.parse(text)
    ((number, problem),) = broken.value.problems
    assert (number, said in problem) == (line, True), problem


# ----- users of this machine


def local(house: SmtpHouse, sender: str, address: str = "unix", account: Account = FRED, **settings: Any) -> list[Any]:
    """What the stages say one after the other about mail over a UNIX socket."""
    built = SendersFactory().build(None, house.house(Role.SUBMISSION, **settings))
    peer = Peer("c1", address, 0, Role.SUBMISSION, account=account)
    verdicts = [result_of(stage.judge(Transaction(peer, "item-1", 0.0, parse(sender)))) for stage in built]
    return [verdict for verdict in verdicts if verdict is not None]


TRUSTED = (parse("fred"),)


@pytest.mark.parametrize(("sender", "settings", "said"), [
    pytest.param("fred@here.example", {}, "", id="himself"),
    pytest.param("boss@away.example", {}, "own_addresses_only", id="another"),
    pytest.param("boss@away.example", {"trusted_users": TRUSTED}, "", id="another-by-who-is-trusted"),
    pytest.param("boss@away.example", {"local_senders": "warn"}, "X-Authentication-Warning", id="another-with-a-warning"),
    pytest.param("freddy@here.example", {"local_senders": "warn"}, "", id="his-own-needs-no-warning"),
    pytest.param("boss@away.example", {"trusted_users": TRUSTED, "local_senders": "warn"}, "", id="trusted-and-not-warned-of"),
    pytest.param("boss@away.example", {"trusted_users": TRUSTED, "local_senders": "warn", "address": "192.0.2.7"}, "own_addresses_only",
                 id="over-the-network-nobody-is-trusted"),
])  # fmt: skip
def test_users_of_this_machine(sender: str, settings: dict[str, Any], said: str) -> None:
    found = local(SmtpHouse(), sender, **settings)
    assert len(found) == bool(said)
    if found:
        assert said in (found[0].rule if isinstance(found[0], Verdict) else found[0].prepend.decode())


def test_the_warning_reads_as_sendmails() -> None:
    (edit,) = local(SmtpHouse(), "boss@away.example", local_senders="warn")
    assert edit == Edit(prepend=b"X-Authentication-Warning: mx.here.example: fred set sender to boss@away.example using -f\r\n")
