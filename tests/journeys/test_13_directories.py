"""F077, R23: people who live in a directory elsewhere, and what everybody hears while it is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests import daemons
from tests.accounts.services import Bridge
from tests.journeys.house import SECRET, House, plain
from twistmail.facts import LoggedIn, LoginFailed

EVIL = "x' OR '1'='1' --"


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    """A service that knows carl, and him alone."""
    made = Bridge({"carl@blue.test": (SECRET, {"quota": 1000})})
    made.start()
    yield made
    made.stop()


@pytest.fixture
def elsewhere(build: Callable[..., House], bridge: Bridge) -> House:
    """A house that asks that service when its own file does not know somebody; and a database after it, which knows nobody."""
    return build(f"[users]\nsource = config http sqlite\n[http]\nurl = http://127.0.0.1:{bridge.port}/\n")


def rcpt(house: House, *addresses: str) -> list[str]:
    """What we say to each recipient."""
    return house.smtp("MAIL FROM:<eve@far.test>", *(f"RCPT TO:<{address}>" for address in addresses))[-len(addresses) :]


def secure(house: House) -> object:
    client = house.client("submission")
    client.say("EHLO home.test")
    client.start_tls()
    client.say("EHLO home.test")
    return client


def test_people_of_the_directory_get_mail_and_log_in_everywhere(elsewhere: House) -> None:
    elsewhere.send(b"Subject: 1\r\n\r\none\r\n", "carl@blue.test")
    assert len(elsewhere.files("carl")) == 1
    assert elsewhere.login("pop3", "carl").say("STAT")[0].startswith("+OK 1 ")
    assert "* 1 EXISTS" in elsewhere.login("imap", "carl@blue.test").say("s SELECT INBOX")
    assert elsewhere.login("submission", "carl")
    assert [fact.account for fact in elsewhere.told(LoggedIn)] == ["carl@blue.test"] * 3
    assert [line[:9] for line in rcpt(elsewhere, "dora@blue.test")] == ["550 5.1.1"]


def test_while_it_is_away_nobody_is_unknown(elsewhere: House, bridge: Bridge) -> None:
    with bridge.down():
        assert [line[:9] for line in rcpt(elsewhere, "carl@blue.test", "dora@blue.test", "ann@blue.test")] == [
            "451 4.3.0", "451 4.3.0", "250 2.1.5",
        ]  # fmt: skip
    assert [line[:9] for line in rcpt(elsewhere, "carl@blue.test", "dora@blue.test")] == ["250 2.1.5", "550 5.1.1"]


def test_while_it_is_away_no_password_is_wrong_and_nobody_is_punished(elsewhere: House, bridge: Bridge) -> None:
    with bridge.down():
        for name in ("carl", "dora"):
            assert secure(elsewhere).say(f"AUTH PLAIN {plain(name)}")[0].startswith("454 4.7.0")
            assert "[UNAVAILABLE]" in elsewhere.client("imap").say(f'l LOGIN {name} "{SECRET}"')[-1]
            client = elsewhere.client("pop3")
            client.say(f"USER {name}")
            assert client.say(f"PASS {SECRET}")[0].startswith("-ERR [SYS/TEMP]")
    assert elsewhere.told(LoginFailed) == []
    assert elsewhere.login("pop3", "ann").said[-1].startswith("+OK"), "whom an earlier source knows"


def test_whom_it_has_told_of_gets_his_mail_when_it_goes_away_before_the_end(elsewhere: House, bridge: Bridge) -> None:
    client = elsewhere.client("mx")
    for line in ("EHLO peer.far.test", "MAIL FROM:<eve@far.test>", "RCPT TO:<carl@blue.test>"):
        client.say(line)
    with bridge.down():
        assert client.content(b"Subject: 1\r\n\r\none\r\n").startswith("250 2.0.0")
    elsewhere.pass_time(3600)
    assert len(elsewhere.files("carl")) == 1
    assert elsewhere.waiting == []


def test_the_quota_of_the_directory_holds(elsewhere: House) -> None:
    client = elsewhere.client("mx")
    for line in ("EHLO peer.far.test", "MAIL FROM:<eve@far.test>", "RCPT TO:<carl@blue.test>"):
        client.say(line)
    assert client.content(b"Subject: 1\r\n\r\n" + b"x" * 2000 + b"\r\n").startswith(("452 4.2.2", "552 5.2.2"))


def test_names_with_sql_in_them_are_names(build: Callable[..., House], postgresql: daemons.Daemon) -> None:
    daemons.psql(postgresql, "DROP TABLE IF EXISTS folk; CREATE TABLE folk (address text, secret text);"
                             f"INSERT INTO folk VALUES ('ann@blue.test', '{{PLAIN}}{SECRET}');")
    house = build(f"""\
[users]
source = sql
[sql]
host = 127.0.0.1
port = {postgresql.port}
user = postgres
database = postgres
password = {daemons.PASSWORD}
password_query = SELECT address AS account, secret AS password
    FROM folk
    WHERE address = '%u'
namesakes_query = SELECT address AS account FROM folk WHERE address LIKE '%n@%%'
""")
    assert house.login("imap").said[-1].startswith("l OK")
    for name in (EVIL, f"{EVIL}@blue.test", "%", "ann@blue.test' --", "ann@blue.test'; DROP TABLE folk; --", "\\' OR 1=1 --"):
        client = house.client("imap")
        quoted = name.replace("\\", "\\\\")
        assert client.say(f'l LOGIN "{quoted}" "{SECRET}"') in ([], client.said)
        house.pass_time(30, step=1)
        assert "NO [AUTHENTICATIONFAILED]" in "".join(client.said + client.heard()), name
    assert [line[:3] for line in rcpt(house, f'"{EVIL}"@blue.test', "ann@blue.test")] == ["550", "250"]
    assert daemons.psql(postgresql, "SELECT count(*) FROM folk").strip() == "1"
