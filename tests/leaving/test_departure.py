"""A message as it leaves: one for each sender that it needs, and a header that is changed where it stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import result_of, takes_linear_time
from twistmail import tasks
from twistmail.disk import FileContent
from twistmail.expansion import spellings
from twistmail.interfaces import Unavailable
from twistmail.leaving.departure import Leaving, VerpRules
from twistmail.leaving.forwarding import Forwarding
from twistmail.leaving.generic import parse as parse_map
from twistmail.leaving.senders import Names, Senders, machine_names
from twistmail.mail import verp
from twistmail.mail.address import Address, parse
from twistmail.mail.content import Content, Memory
from twistmail.mail.departure import Departure
from twistmail.mail.envelope import Kind, Target, Wishes
from twistmail.mail.item import Errand, Item
from twistmail.mail.masquerade import Masquerade
from twistmail.mail.srs import Srs
from twistmail.policy.rates import Rate
from twistmail.watched import WatchedFile

NAMES = Names(frozenset({"blue.test"}), machine_names("mx.blue.test"), partial(spellings, separators="+"))
MASK = Masquerade("blue.test", frozenset({".lan"}))
LETTER = b"From: fred@pc7.lan\r\nTo: harry@far.test\r\n\r\nhello\r\n"


def leaving(listed: Any = None, mask: Masquerade | None = MASK, rules: VerpRules | None = None, *, srs: bool = False) -> Leaving:
    forwarding = Forwarding(Srs((b"key",), "blue.test"), lambda: 0.0, Rate(10, lambda: 0.0)) if srs else None
    return Leaving(Senders(NAMES, listed, mask), forwarding, rules or VerpRules(), tasks.Inline())


def target(address: str, original: str = "") -> Target:
    return Target(Kind.REMOTE, parse(address), parse(original or address))


def item(sender: str | None, *targets: Target, size: int = len(LETTER), **more: Any) -> Item:
    return Item("i1", parse(sender) if sender else None, tuple(map(Errand, targets)), 0.0, size + 7, b"X: y\r\n\0", **more)


def depart(house: Leaving, of: Item, content: Content | None = None) -> tuple[Departure, ...]:
    return result_of(house.departures(of, tuple(errand.target for errand in of.errands), content or Memory(LETTER)))


def whole(departure: Departure) -> bytes:
    return b"".join(departure.content.chunks())


def test_where_nothing_is_changed_it_is_the_same_item_and_the_same_content() -> None:
    sent, content = item("ann@far.test", target("a@x.test"), target("b@x.test")), Memory(LETTER)
    for house in (leaving(mask=None), leaving(), leaving(srs=True)):
        (one,) = depart(house, sent, content)
        assert one.item is sent
        assert one.content is content
        assert one.targets == tuple(errand.target for errand in sent.errands)


def test_its_size_is_that_of_what_is_said() -> None:
    (one,) = depart(leaving(), item("fred@pc7.lan", target("a@x.test")))
    assert str(one.item.sender) == "fred@blue.test"
    assert one.item.size == 7 + len(whole(one))
    assert one.content.size == len(whole(one)) == len(LETTER) + len("blue.test") - len("pc7.lan")


@pytest.mark.parametrize("size", [10, 300_000], ids=["short", "long"])
def test_a_content_in_a_file_is_not_taken_into_memory(tmp_path: Path, size: int) -> None:
    (tmp_path / "content").write_bytes(LETTER + b"x" * size)
    content = FileContent(tmp_path / "content")
    (one,) = depart(leaving(), item("fred@pc7.lan", target("a@x.test"), size=content.size), content)
    assert whole(one) == LETTER.replace(b"pc7.lan", b"blue.test") + b"x" * size
    assert one.content.size == len(whole(one))
    assert one.content.beginning(10) == b"From: fred"


@pytest.mark.parametrize(("sender", "author", "more", "changed"), [
    pytest.param("fred@pc7.lan", b"fred@pc7.lan", {}, True, id="one-of-ours-masked"),
    pytest.param("ann@blue.test", b"fred@pc7.lan", {}, True, id="one-of-ours"),
    pytest.param("x@far.test", b"fred@pc7.lan", {"account": "ann@blue.test"}, True, id="a-user-who-writes-as-another"),
    pytest.param(None, b"MAILER-DAEMON@mx.lan", {}, True, id="a-report-of-ours"),
    pytest.param(None, b"MAILER-DAEMON@far.test", {}, False, id="a-report-of-somebody-else"),
    pytest.param("x@far.test", b"fred@pc7.lan", {}, False, id="a-stranger"),
])  # fmt: skip
def test_whose_header_is_changed(sender: str | None, author: bytes, more: dict[str, str], changed: bool) -> None:
    letter = b"From: %b\r\nReply-To: x@y.lan\r\n\r\n" % author
    (one,) = depart(leaving(), item(sender, target("a@x.test"), size=len(letter), **more), Memory(letter))
    assert (b"Reply-To: x@blue.test" in whole(one)) is changed


def test_a_message_without_a_header_or_without_a_body() -> None:
    for letter in (b"\r\nhello fred@pc7.lan\r\n", b"From: fred@pc7.lan", b"", b"From: fred@pc7.lan\r\n"):
        (one,) = depart(leaving(), item("fred@pc7.lan", target("a@x.test"), size=len(letter)), Memory(letter))
        assert whole(one) == (letter.replace(b"pc7.lan", b"blue.test") if letter.startswith(b"From") else letter)


def test_only_what_was_forwarded_gets_another_sender_and_the_others_go_together() -> None:
    sent = item("carl@away.test", target("a@x.test", "out@blue.test"), target("b@x.test"), target("c@x.test", "out@blue.test"))
    first, second = depart(leaving(srs=True), sent)
    assert str(first.item.sender).startswith("SRS0=")
    assert [str(one.address) for one in first.targets] == ["a@x.test", "c@x.test"]
    assert [errand.target for errand in first.item.errands] == list(first.targets)
    assert (str(second.item.sender), len(second.targets)) == ("carl@away.test", 1)


@pytest.mark.parametrize(("sender", "rewritten"), [
    pytest.param("carl@away.test", True, id="a-stranger"),
    pytest.param("ann@blue.test", False, id="one-of-ours"),
    pytest.param("fred@pc7.lan", False, id="one-of-ours-behind-a-mask"),
    pytest.param(None, False, id="the-null-sender"),
    pytest.param("a" * 60 + "@away.test", False, id="what-would-be-too-long"),
])  # fmt: skip
def test_whose_sender_is_rewritten_when_his_mail_is_forwarded(sender: str | None, rewritten: bool) -> None:
    (one,) = depart(leaving(srs=True), item(sender, target("a@x.test", "out@blue.test")))
    assert str(one.item.sender).startswith("SRS0=") is rewritten


@pytest.mark.parametrize(("sender", "account", "wanted", "delimiters"), [
    pytest.param("news@blue.test", "ann@blue.test", "", "-=", id="by-address"),
    pytest.param("News@blue.test", "ann@blue.test", "", "-=", id="in-capitals"),
    pytest.param("list@red.test", "ann@blue.test", "", "-=", id="by-name"),
    pytest.param("x@green.test", "ann@blue.test", "", "-=", id="by-domain"),
    pytest.param("ann@blue.test", "ann@blue.test", "", "", id="somebody-else"),
    pytest.param("news@blue.test", "", "", "", id="a-stranger-who-says-so"),
    pytest.param("ann@blue.test", "ann@blue.test", "+=", "+=", id="asked-for"),
    pytest.param("news@blue.test", "ann@blue.test", "+=", "+=", id="asked-for-and-listed"),
    pytest.param("ann@blue.test", "ann@blue.test", verp.AS_USUAL, "-=", id="asked-for-as-usual"),
    pytest.param(None, "ann@blue.test", "+=", "", id="the-null-sender"),
])  # fmt: skip
def test_who_gets_a_sender_for_each_recipient(sender: str | None, account: str, wanted: str, delimiters: str) -> None:
    rules = VerpRules(frozenset({parse("news@blue.test"), Address("list"), Address("", "green.test")}), "-=")
    sent = item(sender, target("a@x.test"), target("b@x.test"), account=account, wishes=Wishes(verp=wanted))
    departures = depart(leaving(rules=rules), sent)
    expected = (
        [verp.sender_for(sent.sender, errand.target.address, delimiters) for errand in sent.errands]
        if delimiters and sent.sender
        else [sent.sender]
    )
    assert [one.item.sender for one in departures] == expected


def test_many_recipients_cost_what_they_are() -> None:
    """Each transaction has its own errand only: nobody goes through all of them for each."""

    def seconds(number: int) -> float:
        sent = item("ann@blue.test", *(target(f"r{n}@far.test") for n in range(number)), account="ann", wishes=Wishes(verp="+="))
        began = time.process_time()
        departures = depart(leaving(srs=True), sent)
        assert len(departures) == number
        assert all(len(one.item.errands) == 1 for one in departures)
        assert len({id(one.content) for one in departures}) == 1, "the header is changed once"
        return time.process_time() - began

    assert takes_linear_time(seconds, 200)


def test_what_a_name_stands_for_is_found_out_once_for_all_places() -> None:
    house, sent = leaving(), item("ann@blue.test", *(target(f"r@{n}.test", "list@blue.test") for n in range(3)), wishes=Wishes(verp="+="))
    for errand in sent.errands:
        (one,) = result_of(house.departures(sent, (errand.target,), Memory(LETTER)))
        assert str(one.item.sender) == f"ann+r={errand.target.address.domain}@blue.test"
        assert one.item.errands == (errand,)


def test_a_map_that_was_never_in_order_is_a_reason_to_wait(tmp_path: Path) -> None:
    listed = WatchedFile(tmp_path / "missing", parse_map, tasks.Inline())
    with pytest.raises(Unavailable):
        depart(leaving(listed), item("ann@blue.test", target("a@x.test")))


@pytest.mark.parametrize(("sender", "seen", "rule"), [
    pytest.param("root@localhost", "me@isp.test", ":1", id="a-name-on-this-machine"),
    pytest.param("root+cron@blue.test", "me@isp.test", ":1", id="with-a-suffix"),
    pytest.param("Root@mx", "me@isp.test", ":1", id="in-capitals"),
    pytest.param("fred@pc7.lan", "fred@blue.test", "masquerade_as", id="behind-the-mask"),
    pytest.param("eve@pc8.lan", "eve@red.test", ":2", id="the-map-comes-first"),
    pytest.param("root@far.test", "root@far.test", "", id="a-stranger"),
])  # fmt: skip
def test_what_an_operator_is_told(tmp_path: Path, sender: str, seen: str, rule: str) -> None:
    (tmp_path / "generic").write_text("root me@isp.test\n@pc8.lan @red.test\n")
    shown = result_of(leaving(WatchedFile(tmp_path / "generic", parse_map, tasks.Inline())).shown(parse(sender)))
    assert (str(shown.address), shown.rule.endswith(rule) if rule else shown.rule == "") == (seen, True)


@pytest.mark.parametrize(
    ("sender", "original", "said", "rule"),
    [
        pytest.param("fred@pc7.lan", "a@x.test", "fred@blue.test", "[rewrite] masquerade_as", id="behind-the-mask"),
        pytest.param("news@pc7.lan", "a@x.test", "news+a=x.test@blue.test", "[rewrite] masquerade_as, [relay] verp", id="verp"),
        pytest.param("carl@away.test", "out@blue.test", "SRS0=", "[srs] enabled", id="forwarded"),
        pytest.param("carl@away.test", "a@x.test", "carl@away.test", "", id="a-stranger-who-passes"),
        pytest.param("news@away.test", "a@x.test", "news@away.test", "", id="a-stranger-called-so"),
    ],
)
def test_what_an_operator_is_told_of_mail_for_somebody(sender: str, original: str, said: str, rule: str) -> None:
    house = leaving(rules=VerpRules(frozenset({Address("news")})), srs=True)
    shown = result_of(house.explain(parse(sender), target("a@x.test", original)))
    assert (str(shown.address).startswith(said), shown.rule) == (True, rule)


@pytest.fixture
def forwarding() -> Callable[[Address], Any]:
    house = leaving(srs=True)
    return lambda address: result_of(house.home(address))


@pytest.mark.parametrize("address", ["ann@blue.test", "SRS0=x=y=z=a@far.test", "srs0@blue.test", "me@isp.test"])
def test_what_is_nothing_of_the_kind_leads_home_to_nobody(forwarding: Callable[[Address], Any], address: str) -> None:
    assert forwarding(parse(address)) is None
