"""Accounts of an HTTP service: what it is asked, and what is no answer."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.accounts.services import Bridge, ask, house, http_settings, read
from tests.tls.authority import Authority, pem
from twistmail.accounts.secrets import Entry
from twistmail.interfaces import Unavailable
from twistmail.lasting import inline
from twistmail.mail.account import Account
from twistmail.parts import HTTP

ANN = Account("ann@here.example", "Ann", 2 << 30, addresses=("a.s@here.example",))
MEMBERS = {"user": ANN.name, "name": "Ann", "quota": 2 << 30, "addresses": ["a.s"], "password": "{PLAIN}one"}


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge({ANN.name: ("one", MEMBERS)})
    made.start()
    yield made
    made.stop()


@pytest.fixture
def source(bridge: Bridge) -> Iterator[Callable[..., Any]]:
    lasting = inline()
    yield lambda **texts: HTTP.build(http_settings(bridge, **texts), house(lasting))
    lasting.stop()


def test_questions_are_what_the_contract_says(bridge: Bridge, source: Callable[..., Any]) -> None:
    made = source(token="open sesame")
    assert ask(made.lookup(ANN.name)) == Entry(ANN)
    assert ask(made.verify(Entry(ANN), "one")) is True
    assert ask(made.verify(Entry(ANN), "two")) is False
    ask(made.namesakes("ann"))
    assert ask(made.list()) == (ANN,)
    assert [question for _, question in bridge.asked] == [
        {"question": "lookup", "name": "ann@here.example"},
        {"question": "verify", "name": "ann@here.example", "password": "one"},
        {"question": "verify", "name": "ann@here.example", "password": "two"},
        {"question": "namesakes", "local": "ann"},
        {"question": "list"},
    ]
    assert {token for token, _ in bridge.asked} == {"Bearer open sesame"}


def test_a_stored_password_is_compared_here(bridge: Bridge, source: Callable[..., Any]) -> None:
    made = source(password="stored")
    assert ask(made.lookup(ANN.name)) == Entry(ANN, "{PLAIN}one")
    assert not hasattr(made, "verify")


def test_what_is_not_to_be_asked_is_not_asked(bridge: Bridge, source: Callable[..., Any]) -> None:
    made = source(namesakes="no", list="no")
    assert ask(made.namesakes("ann")) == ()
    assert not hasattr(made, "list")
    assert ask(made.verify(Entry(ANN), "")) is False
    assert bridge.asked == []


@pytest.mark.parametrize(("status", "octets", "says"), [
    pytest.param(404, b"{}", "404", id="not-found"),
    pytest.param(404, b'{"account": null}', "404", id="not-found-with-an-answer"),
    pytest.param(302, b"", "302", id="redirection"),
    pytest.param(500, b"", "500", id="its-trouble"),
    pytest.param(200, b"", "is not JSON", id="nothing"),
    pytest.param(200, b"<html>", "is not JSON", id="a-page"),
    pytest.param(200, b"\xff", "is not JSON", id="no-text"),
    pytest.param(200, b"[" * 100_000, "is not JSON", id="very-deep"),
    pytest.param(200, b"[]", "not a JSON object", id="a-list"),
    pytest.param(200, b"{}", "has no account", id="without-account"),
    pytest.param(200, b'{"acount": null}', "has no account", id="misspelled"),
    pytest.param(200, b'{"account": false}', "has no account", id="of-another-kind"),
    pytest.param(200, b'{"account": {"quota": "much"}}', "cannot be understood", id="strange-quota"),
    pytest.param(200, b'{"account": {"user": {"a": 1}}}', "cannot be understood", id="strange-user"),
    pytest.param(200, b" " * (1024 * 1024) + b"{}", "more than 1048576 octets", id="very-long"),
])  # fmt: skip
def test_whatever_is_no_answer_makes_nobody_unknown(
    bridge: Bridge, source: Callable[..., Any], status: int, octets: bytes, says: str
) -> None:
    bridge.answer = status, octets
    with pytest.raises(Unavailable, match=says):
        ask(source().lookup(ANN.name))


@pytest.mark.parametrize("octets", [b'{"right": 1}', b'{"right": "yes"}', b"{}", b'{"right": null}'])
def test_only_true_is_right(bridge: Bridge, source: Callable[..., Any], octets: bytes) -> None:
    bridge.answer = 200, octets
    with pytest.raises(Unavailable, match="has no right"):
        ask(source().verify(Entry(ANN), "one"))


def test_one_account_of_many_that_cannot_be_understood_is_left_out(bridge: Bridge, source: Callable[..., Any], logged: list[str]) -> None:
    bridge.answer = 200, json.dumps({"accounts": [{"user": "a b"}, MEMBERS, 5, {"quota": 3}]}).encode()
    assert ask(source().list()) == (ANN,)
    assert len(logged) == 1


def test_a_connection_is_kept_and_a_dead_one_does_no_harm(bridge: Bridge, source: Callable[..., Any]) -> None:
    made = source()
    ask(made.lookup(ANN.name))
    with bridge.down():
        pass
    assert ask(made.lookup(ANN.name)) == Entry(ANN)


def test_an_answer_that_comes_drop_by_drop_ends_at_the_time_out(source: Callable[..., Any]) -> None:
    class Slow:
        """Gives an octet whenever it is asked, for ever."""

        def read1(self, size: int) -> bytes:
            return b" "

    seconds = iter(range(100))
    service = HTTP.build(read(HTTP.options, url="http://localhost/"), house())._service
    service._now = lambda: float(next(seconds))
    with pytest.raises(Exception, match="takes too long"):
        service._body(Slow(), 1_000_000, 5.0)


@pytest.mark.parametrize(("host", "known", "answers"), [
    pytest.param("localhost", True, True, id="right"),
    pytest.param("127.0.0.1", True, False, id="another-name"),
    pytest.param("localhost", False, False, id="signed-by-a-stranger"),
])  # fmt: skip
def test_the_certificate_must_be_right(
    bridge: Bridge, source: Callable[..., Any], tmp_path: Path, host: str, known: bool, answers: bool
) -> None:
    authority = Authority(now=time.time())
    for name, octets in zip(("crt", "key"), authority.issue("localhost"), strict=True):
        (tmp_path / name).write_bytes(octets)
    (tmp_path / "ca").write_bytes(pem(authority.certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    assert bridge._server is not None
    bridge._server.socket = context.wrap_socket(bridge._server.socket, server_side=True)
    made = source(url=f"https://{host}:{bridge.port}/", tls_ca=str(tmp_path / "ca") if known else "")
    if answers:
        assert ask(made.lookup(ANN.name)) == Entry(ANN)
    else:
        with pytest.raises(Unavailable):
            ask(made.lookup(ANN.name))


@pytest.mark.parametrize("url", ["ftp://x.example", "people.blue.example", "https://", "https://user:pw@x.example/", "https://x/#a"])
def test_what_is_no_url_of_a_service_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not the URL of a service"):
        read(HTTP.options, url=url)


@pytest.mark.parametrize(("url", "says"), [
    pytest.param("", ["there is no service to ask"], id="none"),
    pytest.param("http://people.blue.example/", ["passwords would go over the network in clear"], id="in-clear"),
    pytest.param("http://127.0.0.1:8000/", [], id="in-clear-to-ourselves"),
    pytest.param("https://people.blue.example/", [], id="encrypted"),
])  # fmt: skip
def test_passwords_are_told_in_clear_to_this_machine_only(url: str, says: list[str]) -> None:
    assert [text for _, text, _ in HTTP.check(read(HTTP.options, url=url))] == says
