"""What another server is told of the sender's wishes, and what it must not get."""

from __future__ import annotations

import pytest

from twistmail.mail.address import Address
from twistmail.mail.envelope import Deadline, Kind, Notify, Target, Wishes
from twistmail.mail.item import Errand, Item
from twistmail.relay import parameters
from twistmail.relay.parameters import NO_DEADLINES, TOO_BIG

NOW = 1_800_000_000.0
ANN, BOB = Address("ann", "here.example"), Address("bob", "far.test")
ALL = {"DSN": "", "REQUIRETLS": "", "DELIVERBY": "", "MT-PRIORITY": "MIXER", "SIZE": "1000", "SMTPUTF8": ""}
SUCCESS, FAILURE, DELAY, NEVER = Notify.SUCCESS, Notify.FAILURE, Notify.DELAY, Notify.NEVER


def errand(*notify: Notify, orcpt: str = "", original: Address = BOB) -> Errand:
    return Errand(Target(Kind.REMOTE, BOB, original), notify=frozenset(notify), orcpt=orcpt)


def item(*errands: Errand, size: int = 500, sender: Address | None = ANN, **wishes) -> Item:
    return Item("i1", sender, errands or (errand(),), NOW, size, wishes=Wishes(**wishes))


def until(seconds: float, **changes) -> Deadline:
    return Deadline(NOW + seconds, **({"returns": True} | changes))


@pytest.mark.parametrize(("one", "said"), [
    pytest.param(item(), "", id="nothing-asked"),
    pytest.param(item(ret="FULL", envid="a+2Bb"), "RET=FULL ENVID=a+2Bb", id="DSN"),
    pytest.param(item(ret="FULL", sender=None), "", id="no-RET-of-a-report"),
    pytest.param(item(require_tls=True), "REQUIRETLS", id="REQUIRETLS"),
    pytest.param(item(deadline=until(90.9)), "BY=90;R", id="DELIVERBY"),
    pytest.param(item(deadline=until(-30, returns=False, trace=True)), "BY=-30;NT", id="a-deadline-that-has-passed"),
    pytest.param(item(priority=-3), "MT-PRIORITY=-3", id="MT-PRIORITY"),
])  # fmt: skip
def test_what_is_said_with_MAIL(one, said):
    assert " ".join(parameters.mail_parameters(one, ALL, NOW, encrypted=True)) == said
    assert parameters.mail_parameters(one, {}, NOW, encrypted=True) == ()


def test_REQUIRETLS_is_not_said_in_clear():
    """RFC 8689 §2: the server would refuse it; only a report gets here so."""
    assert parameters.mail_parameters(item(require_tls=True, sender=None), ALL, NOW, encrypted=False) == ()


@pytest.mark.parametrize(("one", "said"), [
    pytest.param(errand(), "", id="nothing-asked"),
    pytest.param(errand(NEVER), "NOTIFY=NEVER", id="never"),
    pytest.param(errand(DELAY, SUCCESS, FAILURE), "NOTIFY=SUCCESS,FAILURE,DELAY", id="all"),
    pytest.param(errand(orcpt="rfc822;Bob+2Bx@Far.Test"), "ORCPT=rfc822;Bob+2Bx@Far.Test", id="ORCPT-as-it-came"),
    pytest.param(errand(orcpt="utf-8;jörg@x"), "ORCPT=utf-8;jörg@x", id="ORCPT-not-ASCII"),
    pytest.param(errand(original=Address("a+b", "here.example")), "ORCPT=rfc822;a+2Bb@here.example", id="an-alias"),
    pytest.param(errand(original=Address("BOB", "far.test")), "", id="only-written-differently"),
])  # fmt: skip
def test_what_is_said_with_RCPT(one, said):
    assert " ".join(parameters.rcpt_parameters(one, ALL)) == said
    assert parameters.rcpt_parameters(one, {}) == ()


def test_an_address_that_is_not_ASCII_is_spelled_so_where_it_must_be():
    assert parameters.rcpt_parameters(errand(orcpt="utf-8;jörg@x"), {"DSN": ""}) == ("ORCPT=utf-8;j\\x{F6}rg@x",)


@pytest.mark.parametrize(("one", "offered", "why"), [
    pytest.param(item(), {}, None, id="nothing-wanted"),
    pytest.param(item(size=1001), {"SIZE": "1000"}, TOO_BIG, id="too-big"),
    pytest.param(item(size=1000), {"SIZE": "1000"}, None, id="just-small-enough"),
    pytest.param(item(size=1001), {"SIZE": "0"}, None, id="no-limit"),
    pytest.param(item(size=1001), {"SIZE": ""}, None, id="a-limit-that-is-not-told"),
    pytest.param(item(size=1001), {"SIZE": "lots"}, None, id="nonsense"),
    pytest.param(item(deadline=until(90)), {}, NO_DEADLINES, id="no-DELIVERBY"),
    pytest.param(item(deadline=until(90)), {"DELIVERBY": ""}, None, id="DELIVERBY"),
    pytest.param(item(deadline=until(90)), {"DELIVERBY": "240"}, NO_DEADLINES, id="not-so-soon"),
    pytest.param(item(deadline=until(300)), {"DELIVERBY": "240"}, None, id="soon-enough"),
    pytest.param(item(deadline=until(90, returns=False)), {}, None, id="a-deadline-that-returns-nothing"),
])  # fmt: skip
def test_who_must_not_get_it(one, offered, why):
    assert parameters.objection(one, offered, NOW) == why


TRACED = until(90, returns=False, trace=True)


@pytest.mark.parametrize(("one", "who", "offered", "answer"), [
    pytest.param(item(), errand(), {"DSN": ""}, False, id="nothing-to-tell"),
    pytest.param(item(), errand(SUCCESS), {"DSN": ""}, True, id="success"),
    pytest.param(item(), errand(SUCCESS), {}, False, id="success-and-no-DSN"),
    pytest.param(item(deadline=until(90)), errand(), {"DELIVERBY": ""}, True, id="a-deadline"),
    pytest.param(item(deadline=until(90)), errand(SUCCESS), {"DELIVERBY": ""}, False, id="a-deadline-and-success"),
    pytest.param(item(deadline=until(90, returns=False)), errand(), {"DSN": ""}, False, id="a-deadline-and-no-DELIVERBY"),
    pytest.param(item(deadline=TRACED), errand(), ALL, False, id="traced"),
])  # fmt: skip
def test_who_tells_the_sender(one, who, offered, answer):
    assert parameters.reports_itself(one, who, offered) is answer


@pytest.mark.parametrize(("field", "words"), [
    pytest.param(b"", "", id="no-advertisement"),
    pytest.param(b"Solicitation: net.example:ADV\r\n", "net.example:ADV", id="one-word"),
    pytest.param(b"solicitation: net.example:ADV,\r\n org.example:ADV:ADLT\r\n", "net.example:ADV,org.example:ADV:ADLT", id="two-folded"),
    pytest.param(b"Solicitation: a b<c>\r\n", "", id="something-else"),
    pytest.param(b"Solicitation: " + b"a" * 1001 + b"\r\n", "", id="too-long"),
    pytest.param("Solicitation: ä\r\n".encode(), "", id="not-ASCII"),
])  # fmt: skip
def test_what_a_message_calls_itself(field, words):
    assert parameters.solicitation(b"Subject: x\r\n" + field + b"\r\n") == words


@pytest.mark.parametrize(("text", "found"), [
    pytest.param("RCPTMAX=20 MAILMAX=5", {"RCPTMAX": 20, "MAILMAX": 5}, id="both"),
    pytest.param("rcptmax=20 OTHER=x MAILMAX=-1 MAILMAX", {"RCPTMAX": 20}, id="nonsense"),
    pytest.param("RCPTMAX=0", {}, id="nobody-at-all"),
    pytest.param("RCPTMAX=" + "9" * 5000, {}, id="a-number-without-an-end"),
])  # fmt: skip
def test_limits(text, found):
    assert parameters.limits({"LIMITS": text}) == found
    assert parameters.limits({}) == {}
