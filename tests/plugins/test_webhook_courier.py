"""The example of a courier: a package that gives mail to a web application. What every courier keeps to is `tests/contracts`."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys

import pytest
import pytest_twisted
from twisted.internet.error import ConnectionRefusedError, DNSLookupError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.helpers import result_of
from tests.packaging.made import ROOT, build, install, run
from tests.plugins.webhook import PLACE, Application, package
from tests.relay.peers import finish
from twistmail import tasks
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result

BODY = b"Subject: x\r\n\r\nhello\r\n"
ANN, BOB = Address("ann", "here.example"), Address("bob", "tickets.example")
URL = "https://app.example:8443/mail"


def courier(application, **settings):
    made = package()
    return made.Webhook(made.WebhookFactory.options.defaults(url=URL, **settings), application, Clock(), tasks.Inline())


def make_item(*to, sender=ANN):
    targets = tuple(Target(Kind.REMOTE, one, one) for one in to or (BOB,))
    return Item("i1", sender, tuple(map(Errand, targets)), 0.0, len(BODY) + 6, b"X: y\r\n"), targets


def carry(courier, *to, sender=ANN):
    item, targets = make_item(*to, sender=sender)
    return finish(courier._clock, courier.carry(item, targets, Memory(BODY)), 60)


def test_the_application_gets_the_whole_message_and_the_envelope():
    application = Application()
    (outcome,) = carry(courier(application, secret="sesame"))
    ((said, body),) = application.posts
    assert body == b"X: y\r\n" + BODY
    assert (said["X-Mail-From"], said["X-Mail-To"], said["Content-Type"]) == (str(ANN), str(BOB), "message/rfc822")
    assert said["X-Signature"] == "sha256=" + hmac.new(b"sesame", body, hashlib.sha256).hexdigest()
    assert (outcome.result, outcome.host) == (Result.RELAYED, "https://app.example:8443")
    assert not application.responses[0].unread


def test_the_same_message_for_the_same_recipient_has_the_same_key():
    application = Application()
    for _ in range(2):
        carry(courier(application), BOB, Address("eve", "tickets.example"))
    keys = [said["Idempotency-Key"] for said, _ in application.posts]
    assert (keys[:2], len(set(keys))) == (keys[2:], 2)


def test_nothing_is_signed_without_a_secret_and_the_null_sender_is_empty():
    application = Application()
    carry(courier(application), sender=None)
    ((said, _),) = application.posts
    assert "X-Signature" not in said
    assert said["X-Mail-From"] == ""


@pytest.mark.parametrize(("answer", "code", "enhanced"), [
    pytest.param(202, 250, "2.0.0", id="accepted"),
    pytest.param(301, 451, "4.3.0", id="moved"),
    pytest.param(400, 554, "5.3.0", id="refused"),
    pytest.param(404, 550, "5.1.1", id="nobody"),
    pytest.param(413, 552, "5.3.4", id="too-big"),
    pytest.param(429, 451, "4.3.0", id="too-fast"),
    pytest.param(503, 451, "4.3.0", id="down-for-a-while"),
    pytest.param(ConnectionRefusedError(), 451, "4.4.1", id="not-there"),
    pytest.param(DNSLookupError(), 451, "4.4.1", id="no-such-name"),
    pytest.param(ResponseFailed([Failure(ValueError())]), 451, "4.4.1", id="nonsense"),
])
def test_what_the_application_answers_is_the_outcome(answer, code, enhanced):
    (outcome,) = carry(courier(Application({str(BOB): answer})))
    assert (outcome.status.code, outcome.status.enhanced) == (code, enhanced)


def test_an_application_that_does_not_answer_is_tried_again_later():
    (outcome,) = carry(courier(Application(silent=True)))
    assert (outcome.result, outcome.status.enhanced) == (Result.DEFERRED, "4.4.1")


def test_what_is_too_big_is_not_posted_at_all():
    application = Application()
    (outcome,) = carry(courier(application, max_size=10))
    assert (outcome.status.enhanced, application.posts) == ("5.3.4", [])
    (outcome,) = carry(courier(application, max_size=None))
    assert outcome.result is Result.RELAYED


def test_a_disk_that_does_not_give_the_content_is_weather():
    class Torn(Memory):
        def chunks(self):
            raise OSError(5, "Input/output error")

    item, targets = make_item()
    (outcome,) = result_of(courier(Application()).carry(item, targets, Torn(BODY)))
    assert outcome.result is Result.DEFERRED


def test_not_too_many_posts_at_a_time():
    application = Application(silent=True)
    hook = courier(application)
    item, targets = make_item(*(Address(f"b{number}", "tickets.example") for number in range(30)))
    running = tasks.shielded(hook.carry(item, targets, Memory(BODY)))
    assert len(application.posts) == package().MOST_POSTS
    for _ in range(3):
        hook._clock.advance(30)
    assert len(application.posts) == 30
    assert {outcome.result for outcome in running.result} == {Result.DEFERRED}


@pytest_twisted.ensureDeferred
async def test_a_real_application_gets_it_over_a_real_connection():
    from twisted.internet import reactor

    got = []

    class Inbox(Resource):
        isLeaf = True

        def render_POST(self, request):
            got.append((request.getHeader("X-Mail-To"), request.content.read()))
            request.setResponseCode(202 if "bob" in request.getHeader("X-Mail-To") else 404)
            return b"thank you " * 10_000

    connections = []
    site = Site(Inbox())
    built = site.buildProtocol
    site.buildProtocol = lambda address: connections.append(built(address)) or connections[-1]
    port = reactor.listenTCP(0, site, interface="127.0.0.1")
    try:
        factory = package().WebhookFactory()
        settings = factory.options.defaults(url=f"http://127.0.0.1:{port.getHost().port}/mail")
        ground = type("Ground", (), {"reactor": reactor, "threads": tasks.Inline()})
        item, targets = make_item(BOB, Address("eve", "tickets.example"))
        outcomes = await factory.build(settings, ground).carry(item, targets, Memory(BODY))
    finally:
        await port.stopListening()
    assert [outcome.result for outcome in outcomes] == [Result.RELAYED, Result.FAILED]
    assert sorted(got) == [(str(BOB), b"X: y\r\n" + BODY), ("eve@tickets.example", b"X: y\r\n" + BODY)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder into which the package is installed."""
    folder = tmp_path_factory.mktemp("webhook")
    (wheel,) = build(PLACE, folder / "dist", "--wheel")
    install(folder / "site", wheel)
    return folder / "site"


def test_the_package_offers_it_and_its_section_is_checked(installed, tmp_path):
    cli = (sys.executable, "-c", "from twistmail.cli.main import run; run()")
    said = run(*cli, "plugin", "list", "--json", cwd=tmp_path, PYTHONPATH=f"{ROOT}:{installed}")
    listed = [json.loads(line) for line in said.splitlines()]
    assert {"kind": "courier", "name": "webhook", "from": "twisted.plugins.webhook_courier"} in listed
    config = "[server]\nhostname = mail.blue.example\n[route:x.test]\nvia = courier:webhook\n[webhook]\nurl = nowhere\n"
    (tmp_path / "config.ini").write_text(config)
    said = run(*cli, "config", "check", cwd=tmp_path, expect=78, PYTHONPATH=f"{ROOT}:{installed}")
    assert "nowhere is no web address" in said
