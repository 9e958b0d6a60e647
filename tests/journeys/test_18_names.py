"""One name in several domains: whose the mail is, and by what he logs in (rows R18, R19 and R22)."""

from __future__ import annotations

import pytest

from tests.journeys.house import SECRET, House

LETTER = b"From: eve@green.test\r\nSubject: hello\r\n\r\nhow are you\r\n"
OTHER = "another one entirely"
MORE = f"[domain:azure.test]\nsame_as = blue.test\n[user:bob@red.test]\npassword = {OTHER}\n"


@pytest.fixture
def town(build) -> House:
    """blue.test, of which azure.test is another name, and red.test; each has a bob."""
    return build(MORE)


def login(town: House, service: str, name: str, password: str) -> str:
    """What is said to a login, after the seconds that a wrong one waits."""
    client = town.client(service)
    if service == "imap":
        client.say(f'l LOGIN "{name}" "{password}"')
    else:
        client.say(f"USER {name}")
        client.say(f"PASS {password}")
    said = list(client.said)
    town.pass_time(20, step=5)
    said += client.heard()
    client.leave()
    return said[-1]


def test_normal_domains_are_one_mailbox_and_virtual_ones_are_two(town: House) -> None:
    """R19: the same file for both names of one domain; another for the other bob."""
    for address in ("bob@blue.test", "bob@azure.test", "bob@red.test"):
        town.send(LETTER, address)
    assert (len(town.files("bob")), len(town.files("bob", domain="red.test"))) == (2, 1)
    assert town.smtp("MAIL FROM:<eve@green.test>", "RCPT TO:<fred@red.test>")[-1].startswith("550 5.1.1")


@pytest.mark.parametrize(("name", "password", "messages"), [
    pytest.param("bob", SECRET, 2, id="a-bare-name-means-the-default-domain"),
    pytest.param("bob@blue.test", SECRET, 2, id="the-whole-address"),
    pytest.param("Bob@AZURE.test", SECRET, 2, id="the-other-name-of-the-domain"),
    pytest.param("bob@red.test", OTHER, 1, id="the-other-bob"),
    pytest.param("bob", OTHER, None, id="a-bare-name-with-the-other-s-password"),
    pytest.param("bob@red.test", SECRET, None, id="the-other-bob-with-our-password"),
    pytest.param("bob@green.test", SECRET, None, id="a-domain-that-is-not-ours"),
    pytest.param("fred@red.test", SECRET, None, id="a-name-of-another-domain"),
])  # fmt: skip
def test_everybody_gets_into_his_own_mailbox_and_no_other(town: House, name: str, password: str, messages: int | None) -> None:
    """R22, by POP3 and IMAP."""
    for address in ("bob@blue.test", "bob@azure.test", "bob@red.test"):
        town.send(LETTER, address)
    pop, imap = login(town, "pop3", name, password), login(town, "imap", name, password)
    if messages is None:
        assert (pop[:11], imap[:27]) == ("-ERR [AUTH]", "l NO [AUTHENTICATIONFAILED]")
        return
    assert (pop[:3], imap[:4]) == ("+OK", "l OK")
    client = town.client("pop3")
    client.say(f"USER {name}")
    client.say(f"PASS {password}")
    assert client.say("STAT")[-1].startswith(f"+OK {messages} ")


def test_what_one_deletes_the_other_keeps(town: House) -> None:
    """R19."""
    for address in ("bob@blue.test", "bob@red.test"):
        town.send(LETTER, address)
    client = town.client("pop3")
    for line in ("USER bob@red.test", f"PASS {OTHER}", "DELE 1", "QUIT"):
        assert client.say(line)[-1].startswith("+OK")
    assert (len(town.files("bob")), len(town.files("bob", domain="red.test"))) == (1, 0)
