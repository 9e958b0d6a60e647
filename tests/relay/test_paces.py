"""F029, R42: what the settings say of how fast, and when, mail may go to somebody."""

from __future__ import annotations

import pytest

from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.hours import ALWAYS, read
from twistmail.mail.pace import USUAL, Pace
from twistmail.relay.paces import Paces
from twistmail.relay.routes import OPTIONS, ROUTE_OPTIONS

NIGHT = read("23:00-06:00")


def setting(section, **texts):
    """Settings as the file would have them."""
    return section.defaults(**{key: section.option(key).kind.read(text) for key, text in texts.items()})


def pace(domain: str, relay=None, **routes) -> Pace:
    table = {name.replace("_", "."): setting(ROUTE_OPTIONS, **texts) for name, texts in routes.items()}
    address = Address("x", domain)
    return Paces(setting(OPTIONS, **(relay or {})), table).of(Target(Kind.REMOTE, address, address))


@pytest.mark.parametrize(("relay", "routes", "domain", "expected"), [
    pytest.param({}, {}, "far.test", USUAL, id="nothing-said"),
    pytest.param({"rate": "100/1m 1000/1h", "window": "23:00-06:00"}, {}, "far.test", Pace("", None, ((100, 60.0), (1000, 3600.0)), NIGHT),
                 id="for-all"),
    pytest.param({}, {"far_test": {"concurrency": "2"}}, "far.test", Pace("route:far.test", 2), id="one-s-number"),
    pytest.param({}, {"far_test": {"concurrency": "2"}}, "other.test", USUAL, id="and-nobody-else-s"),
    pytest.param({}, {"_far_test": {"rate": "1/1s"}}, "a.far.test", Pace("route:.far.test", None, ((1, 1.0),)), id="all-below"),
    pytest.param({}, {"far_test": {"hold": "yes"}}, "far.test", USUAL, id="a-route-that-says-nothing-of-it"),
    pytest.param({"rate": "9/1m", "window": "23:00-06:00"}, {"far_test": {"window": "always"}}, "far.test",
                 Pace("route:far.test", None, ((9, 60.0),), ALWAYS), id="always-in-spite-of-all"),
    pytest.param({"rate": "9/1m"}, {"far_test": {"rate": "unlimited"}}, "far.test", Pace("route:far.test"), id="unlimited-in-spite-of-all"),
    pytest.param({"window": "23:00-06:00"}, {"far_test": {"rate": "1/1m"}}, "far.test", Pace("route:far.test", None, ((1, 60.0),), NIGHT),
                 id="what-is-not-said-is-as-for-all"),
])
def test_the_pace_of_a_domain(relay, routes, domain, expected):
    assert pace(domain, relay, **routes) == expected


@pytest.mark.parametrize(("section", "key", "text", "told"), [
    pytest.param(OPTIONS, "jitter", "0.1", "write 10%", id="jitter-no-percentage"),
    pytest.param(OPTIONS, "jitter", "101%", "at most 100%", id="jitter-too-much"),
    pytest.param(OPTIONS, "rate", "100", "write 10/1m", id="rate-without-time"),
    pytest.param(OPTIONS, "rate", "0/1m", "is not a rate", id="rate-of-nothing"),
    pytest.param(OPTIONS, "sender_rate", "many", "write 10/1m", id="sender-rate"),
    pytest.param(OPTIONS, "concurrency_at_first", "0", "write 1 or more", id="nobody-at-first"),
    pytest.param(OPTIONS, "concurrency", "0", "write 1 or more", id="nobody-ever"),
    pytest.param(OPTIONS, "window", "night", "write 23:00-06:00", id="window"),
    pytest.param(ROUTE_OPTIONS, "window", "at night", "write 23:00-06:00", id="a-route-s-window"),
    pytest.param(ROUTE_OPTIONS, "concurrency", "0", "write 1 or more", id="nobody-at-a-time"),
    pytest.param(ROUTE_OPTIONS, "rate", "1/x", "is not a length of time", id="a-route-s-rate"),
])
def test_what_makes_no_sense_is_told(section, key, text, told):
    with pytest.raises(ValueError, match=told):
        section.option(key).kind.read(text)


@pytest.mark.parametrize("option", [*OPTIONS.options, *ROUTE_OPTIONS.options], ids=lambda option: option.key)
def test_what_is_written_is_read_again(option):
    value = option.kind.read(option.default)
    assert option.kind.read(option.kind.write(value)) == value


def test_a_mailbox_has_no_route():
    address = Address("x", "far.test")
    paces = Paces(OPTIONS.defaults(), {"far.test": setting(ROUTE_OPTIONS, concurrency="1")})
    assert paces.of(Target(Kind.MAILBOX, address, address, "x@far.test")) == USUAL
