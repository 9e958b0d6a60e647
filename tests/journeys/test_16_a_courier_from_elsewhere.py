"""A courier of another package carries the mail of one domain: the example of ARCHITECTURE.md, in a whole house."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.journeys import house as houses
from tests.plugins.webhook import Application, package
from twistmail import tasks
from twistmail.mail.outcome import Outcome, Result
from twistmail.mail.schedule import HOUR, MINUTE
from twistmail.parts import BuiltIn
from twistmail.plugins import Part

LETTER = (
    b"From: ann@blue.test\r\nTo: 17@tickets.test\r\nSubject: it is broken\r\nDate: Fri, 15 Jan 2027 07:00:00 +0000\r\n"
    b"Message-ID: <1@blue.test>\r\n\r\nagain\r\n"
)
ROUTE = "[route:tickets.test]\nvia = courier:webhook\n[webhook]\nurl = https://app.test/mail\nsecret = sesame\n"


@pytest.fixture
def application():
    return Application()


@pytest.fixture
def build(build, application, monkeypatch):
    """`build` makes houses in which the package is installed; its posts go to *application*."""
    factory = package().WebhookFactory()

    def make(settings, ground):
        return package().Webhook(settings, application, ground.reactor, tasks.Inline())

    part = Part("courier", "webhook", BuiltIn("courier", "webhook", factory.options, make, factory.check), "twistmail_webhook")
    usual = houses.with_lookup
    monkeypatch.setattr(houses, "with_lookup", lambda zone: replace(found := usual(zone), parts=(*found.parts, part)))
    return build


def test_mail_for_its_domain_goes_to_the_application_and_other_mail_its_own_way(build, application):
    house = build(ROUTE)
    far = house.town("far.test", houses.FAR)
    house.submit(LETTER, "17@tickets.test", "harry@far.test", "bob@blue.test")
    ((said, body),) = application.posts
    assert (said["X-Mail-From"], said["X-Mail-To"]) == ("ann@blue.test", "17@tickets.test")
    assert body.endswith(LETTER)
    assert (len(far.contents), len(house.files("bob")), house.waiting) == (1, 1, [])


def test_while_the_application_is_down_the_mail_waits_as_all_mail_does(build, application):
    house = build(ROUTE)
    application.answers["17@tickets.test"] = 503
    about = houses.identifier(house.submit(LETTER, "17@tickets.test"))
    house.pass_time(30 * MINUTE)
    assert {outcome.result for outcome in house.told(Outcome, about=about)} == {Result.DEFERRED}
    assert len(application.posts) == 3
    assert len({said["Idempotency-Key"] for said, _ in application.posts}) == 1
    del application.answers["17@tickets.test"]
    house.pass_time(2 * HOUR)
    assert house.waiting == []


def test_what_the_application_refuses_comes_back_to_the_sender(build, application):
    house = build(ROUTE)
    application.answers["17@tickets.test"] = 404
    house.submit(LETTER, "17@tickets.test")
    (report,) = house.mail("ann")
    block = report.get_payload()[1].get_payload()[1]
    assert (block["Status"], block["Remote-MTA"]) == ("5.1.1", None)
    assert block["Diagnostic-Code"] == "x-twistmail; 550 5.1.1 The application answered 404"


def test_a_route_table_can_name_it_too(build, application, tmp_path):
    (tmp_path / "routes").write_text("tickets.test courier:webhook\nlost.test courier:nobody\n")
    house = build(f"[relay]\nroute_table = {tmp_path}/routes\n")
    house.submit(LETTER, "17@tickets.test")
    assert len(application.posts) == 1
    about = houses.identifier(house.submit(LETTER, "18@lost.test"))
    (outcome,) = house.told(Outcome, about=about)
    assert str(outcome.status) == "451 4.3.5 Mail for that address goes by a courier that is not set up here"


def test_a_courier_that_is_not_installed_is_a_mistake_in_the_configuration(build):
    house = build("")
    house.file.write_text(house.file.read_text() + "[route:tickets.test]\nvia = courier:webhok\n")
    (problem,) = [problem for problem in house.load().problems if problem.is_error]
    assert "no courier is called webhok" in str(problem)
    assert "did you mean webhook?" in str(problem)


def test_its_section_is_checked_where_a_route_names_it(build):
    house = build(ROUTE)
    house.file.write_text(house.file.read_text().replace("https://app.test/mail", "app"))
    assert any("app is no web address" in str(problem) for problem in house.load().problems)
