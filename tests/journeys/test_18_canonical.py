"""Addresses that are replaced as mail comes in: in the envelope and in the header, for whom that was asked, and for nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.journeys.house import FAR, House, identifier
from tests.journeys.test_14_leaving import headers, recipients, senders
from tests.relay.peers import Peer
from twistmail.facts import Renamed
from twistmail.mail.address import parse
from twistmail.mail.envelope import Kind, Target
from twistmail.route_views import Desk, asked

TABLE = """\
ann             Ann.Smith
Ann.Smith@blue.test  Ann.Smith@blue.test
bobby           bob
gone@blue.test  harry@far.test
@pc7.lan        @blue.test
void            nobody-at-all
"""
MESSAGE = b"From: Ann <ann@blue.test>\r\nTo: bobby@blue.test, harry@far.test\r\nSubject: ann@blue.test\r\n\r\nfrom ann@blue.test\r\n"
NAMES = "[alias:ann.smith]\nto = ann\n"


@pytest.fixture
def mapped(build: Any, tmp_path: Path) -> Any:
    def begin(more: str = "", key: str = "table", text: str = TABLE) -> House:
        (tmp_path / "map").write_text(text)
        return build(f"[canonical]\n{key} = {tmp_path}/map\n{more}{NAMES}")  # type: ignore[no-any-return]

    return begin


def far(house: House) -> Peer:
    return house.town("far.test", FAR)


def test_login_names_become_the_names_of_people(mapped: Any) -> None:
    """Whose address it is was asked of the one that she logged in with; everybody sees the other one, here and outside."""
    house = mapped()
    peer = far(house)
    identifier(house.submit(MESSAGE, "bobby@blue.test", "harry@far.test"))
    (renamed,) = house.told(Renamed)
    assert (str(renamed.address), str(renamed.becomes), renamed.rule[-5:]) == ("ann@blue.test", "Ann.Smith@blue.test", "map:1")
    (sent,) = headers(peer)
    assert senders(peer) == ["Ann.Smith@blue.test"]
    assert sent.startswith(b" Ann <Ann.Smith@blue.test>\r\nTo: bob@blue.test, harry@far.test\r\nSubject: ann@blue.test\r\n")
    assert sent.endswith(b"\r\n\r\nfrom ann@blue.test\r\n"), "what people write is theirs"
    (mine,) = house.mail("bob")
    assert (mine["Return-Path"], mine["From"], mine["To"]) == (
        "<Ann.Smith@blue.test>", "Ann <Ann.Smith@blue.test>", "bob@blue.test, harry@far.test")  # fmt: skip


def test_whoever_may_not_write_as_somebody_does_not_become_him(mapped: Any) -> None:
    house = mapped("", "senders", "bob ann\n")
    client = house.login("submission")
    assert client.say("MAIL FROM:<bob@blue.test>")[-1].startswith("550 5.7.1"), "what bob becomes makes no difference"


def test_a_recipient_is_looked_up_by_what_he_becomes(mapped: Any) -> None:
    house = mapped()
    peer = far(house)
    letter = b"From: eve@far.test\r\nTo: bobby@blue.test\r\n\r\nx\r\n"
    identifier(house.send(letter, "bobby@blue.test", "gone@blue.test", "Bobby+list@blue.test"))
    assert recipients(peer) == ["harry@far.test"]
    (mine,) = house.mail("bob")
    assert mine["To"] == "bobby@blue.test", "a stranger's header is left alone"
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<void@blue.test>")[-1].startswith("550 5.1.1")
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<harry@other.test>")[-1].startswith("550 5.7.1"), "no relay by that"


def test_a_table_is_no_way_through_us(mapped: Any) -> None:
    """A recipient elsewhere that a line leads here is still elsewhere for a stranger: his domain has to be one of ours."""
    house = mapped(text="@other.test @blue.test\n")
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<bob@other.test>")[-1].startswith("550 5.7.1")
    identifier(house.submit(b"From: ann@blue.test\r\nTo: bob@other.test\r\n\r\nx\r\n", "bob@other.test"))
    (mine,) = house.mail("bob")
    assert mine["To"] == "bob@blue.test"


@pytest.mark.parametrize(("key", "more", "sender", "author", "reader", "reached"), [
    pytest.param("table", "", "Ann.Smith@blue.test", "Ann.Smith@blue.test", "bob@blue.test", True, id="all"),
    pytest.param("table", "table_in = envelope_sender\n", "Ann.Smith@blue.test", "ann@blue.test", "bobby@blue.test", False, id="sender"),
    pytest.param("table", "table_in = header_sender\n", "ann@blue.test", "Ann.Smith@blue.test", "bobby@blue.test", False, id="author"),
    pytest.param("table", "table_in = envelope_recipient header_recipient\n", "ann@blue.test", "ann@blue.test", "bob@blue.test", True,
                 id="readers"),
    pytest.param("senders", "", "Ann.Smith@blue.test", "Ann.Smith@blue.test", "bobby@blue.test", False, id="a-table-of-senders"),
    pytest.param("senders", "senders_in = header\n", "ann@blue.test", "Ann.Smith@blue.test", "bobby@blue.test", False,
                 id="a-table-of-senders-in-the-header"),
    pytest.param("recipients", "", "ann@blue.test", "ann@blue.test", "bob@blue.test", True, id="a-table-of-recipients"),
    pytest.param("recipients", "recipients_in = envelope\n", "ann@blue.test", "ann@blue.test", "bobby@blue.test", True,
                 id="a-table-of-recipients-in-the-envelope"),
])  # fmt: skip
def test_each_place_is_changed_where_it_was_asked(
    mapped: Any, key: str, more: str, sender: str, author: str, reader: str, reached: bool
) -> None:
    house = mapped(more, key)
    client = house.login("submission")
    assert client.say("MAIL FROM:<ann@blue.test>")[-1].startswith("250")
    assert client.say("RCPT TO:<bobby@blue.test>")[-1].startswith("250" if reached else "550 5.1.1")
    client.say("RCPT TO:<bob@blue.test>")
    client.content(b"From: ann@blue.test\r\nTo: bobby@blue.test\r\n\r\nx\r\n")
    (mine,) = house.mail("bob")
    assert (mine["Return-Path"], mine["From"], mine["To"]) == (f"<{sender}>", author, reader)


def test_strangers_headers_are_changed_where_that_is_wanted(mapped: Any) -> None:
    house = mapped("headers_of = everybody\n")
    house.send(b"From: eve@far.test\r\nTo: bobby@blue.test\r\n\r\nx\r\n", "bob@blue.test")
    assert [mine["To"] for mine in house.mail("bob")] == ["bob@blue.test"]


EXPRESSIONS = """\
/^bobb?y@blue\\.test$/      bob
if /@pc[0-9]+\\.lan$/
/^(.*)@/                    $1@blue.test
endif
!/[@]/                      never@blue.test
"""


def test_a_table_may_have_regular_expressions(build: Any, tmp_path: Path) -> None:
    (tmp_path / "map").write_text(EXPRESSIONS)
    house = build(f"[canonical]\nrecipients = regexp:{tmp_path}/map\n[domains]\nlocal = blue.test\nnormal = pc1.lan\n")
    letter = b"From: ann@blue.test\r\nTo: Bobby@blue.test, ann@pc7.lan, x@far.test\r\n\r\nx\r\n"
    identifier(house.submit(letter, "Bobby@blue.test", "ann@pc7.lan", "boby@pc1.lan"))
    (mine,) = house.mail("bob")
    assert mine["To"] == "bob@blue.test, ann@blue.test, x@far.test"
    assert len(house.mail("ann")) == 1


def test_a_report_goes_to_the_name_that_the_sender_has_now(mapped: Any) -> None:
    house = mapped()
    house.zone.names["far.test"] = {"MX": [(0, "")]}  # takes no mail (RFC 7505)
    house.submit(b"From: ann@blue.test\r\n\r\nx\r\n", "harry@far.test")
    (report,) = house.mail("ann")
    assert (report["Return-Path"], report["To"]) == ("<>", "<Ann.Smith@blue.test>")


def test_a_machine_of_the_house_whose_senders_are_mapped_can_be_answered(mapped: Any, tmp_path: Path) -> None:
    """R56's hint is for senders whom nothing rewrites; and whoever asks how mail would go is told of the line."""
    house = mapped("[domains]\nlocal = blue.test\nnormal = pc7.lan\n")
    client = house.login("submission")
    client.say("MAIL FROM:<ann@pc7.lan>")
    assert client.say("RCPT TO:<harry@far.test>")[-1].startswith("250")
    people, relay = house.parts.people, house.parts.relay
    shown = house.run(people.leaving.explain(parse("ann@pc7.lan"), Target(Kind.REMOTE, parse("harry@far.test"), parse("harry@far.test"))))
    assert (str(shown.address), shown.rule) == ("Ann.Smith@blue.test", f"{tmp_path}/map:1")
    far(house)
    told = house.run(asked(Desk(people.expansion, relay.routes, relay.policies, people.leaving),
                           {"address": "gone@blue.test", "sender": "ann@pc7.lan"}))  # fmt: skip
    assert "harry@far.test" in str(told)
    assert "Ann.Smith@blue.test" in str(told)


def test_a_table_that_cannot_be_read_means_later(build: Any, tmp_path: Path) -> None:
    (tmp_path / "map").write_text("ann Ann.Smith\n")
    house = build(f"[canonical]\ntable = {tmp_path}/map\n{NAMES}")
    (tmp_path / "map").unlink()
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<bob@blue.test>")[-1].startswith("451")
