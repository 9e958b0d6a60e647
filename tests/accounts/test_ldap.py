"""Accounts in OpenLDAP: what entries mean, who gets in, what a strange name cannot do, and what happens without the directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import daemons
from tests.accounts.services import ask, house, ldap_settings
from twistmail.accounts.secrets import Entry
from twistmail.interfaces import Unavailable
from twistmail.lasting import inline
from twistmail.mail.account import Account
from twistmail.parts import LDAP

PEOPLE = f"ou=people,{daemons.SUFFIX}"
ANN = Account("ann@here.example", "Ann Ött", 2 << 30)
BOB = Account("bob@blue.example", "Bob", enabled=False)
STAR = Account("o*x@here.example", "Star")
ATTRIBUTES = "mail=user displayName=name carLicense=quota employeeType=nologin"


def _person(uid: str, mail: str, password: str, **attributes: str) -> str:
    lines = [f"{name}: {value}" for name, value in {"displayName": uid, **attributes}.items()]
    words = (f"dn: uid={uid},{PEOPLE}", "objectClass: inetOrgPerson", f"uid: {uid}", f"mail: {mail}", f"cn: {uid}", f"sn: {uid}",
             f"userPassword: {password}", *lines)
    return "\n".join(words) + "\n\n"


@pytest.fixture(scope="module")
def directory(openldap: daemons.Daemon) -> daemons.Daemon:
    """OpenLDAP with some people."""
    twins = "".join(_person(f"twin{number}", "twin@here.example", "x") for number in (1, 2))
    names = "".join(_person(f"anna{number}", f"anna{number}@many.example", "x") for number in range(30))
    daemons.ldapadd(openldap, _person("ann", "ann@here.example", "one", displayName="Ann Ött", carLicense="2G")
                    + _person("bob", "bob@blue.example", "two", displayName="Bob", employeeType="yes")
                    + _person("star", "o*x@here.example", "three", displayName="Star") + twins + names
                    + _person("odd", "this is no address", "x"))
    return openldap


@pytest.fixture
def source(directory: daemons.Daemon) -> Iterator[Callable[..., Any]]:
    """source(option=text, ...): one over the directory."""
    lasting = inline()
    yield lambda **texts: LDAP.build(ldap_settings(directory, **{"attributes": ATTRIBUTES} | texts), house(lasting))
    lasting.stop()


def test_an_entry_is_an_account(source: Callable[..., Any]) -> None:
    assert ask(source().lookup("ann@here.example")) == Entry(ANN)
    assert ask(source().lookup("bob@blue.example")) == Entry(BOB)
    assert ask(source().lookup("carol@here.example")) is None


@pytest.mark.parametrize("texts", [
    pytest.param({}, id="found-by-a-search"),
    pytest.param({"login_dn": f"uid=%n,{PEOPLE}"}, id="named-by-a-template"),
])  # fmt: skip
def test_whom_the_directory_lets_in(source: Callable[..., Any], texts: dict[str, str]) -> None:
    made = source(**texts)
    assert ask(made.verify(Entry(ANN), "one")) is True
    assert ask(made.verify(Entry(ANN), "two")) is False
    assert ask(made.verify(Entry(Account("carol@here.example")), "one")) is False
    assert ask(made.lookup("ann@here.example")) == Entry(ANN), "and goes on answering us as ourselves"


@pytest.mark.parametrize("password", [
    pytest.param("", id="empty"),
    pytest.param("\0", id="nul"),
    pytest.param("one\0", id="right-but-for-a-nul"),
    pytest.param("\udcff", id="no-unicode"),
    pytest.param("x" * 100_000, id="very-long"),
])  # fmt: skip
@pytest.mark.parametrize("texts", [{}, {"login_dn": f"uid=%n,{PEOPLE}"}], ids=["search", "template"])
def test_a_bind_without_a_password_is_never_made(source: Callable[..., Any], password: str, texts: dict[str, str]) -> None:
    assert ask(source(**texts).verify(Entry(ANN), password)) is False


def test_a_name_in_a_template_cannot_become_another_entry(source: Callable[..., Any]) -> None:
    made = source(login_dn=f"uid=%n,{PEOPLE}")
    assert ask(made.verify(Entry(Account(f"ann,{PEOPLE}+x=y@here.example")), "one")) is False


def test_passwords_can_be_compared_here(source: Callable[..., Any]) -> None:
    manager = {"bind_dn": daemons.MANAGER, "password": "attribute"}
    assert ask(source(**manager).lookup("ann@here.example")) == Entry(ANN, "{PLAIN}one")
    assert not hasattr(source(**manager), "verify")
    assert ask(source(password="attribute").lookup("ann@here.example")) == Entry(ANN), "the reader may not see it"


@pytest.mark.parametrize("name", [
    pytest.param("*", id="star"),
    pytest.param("*@here.example", id="star-in-a-domain"),
    pytest.param("ann@here.example)(objectClass=*", id="second-condition"),
    pytest.param("x)(|(mail=*", id="alternative"),
    pytest.param("ann@here.example\0", id="nul"),
    pytest.param("\\2a", id="escaped-star"),
    pytest.param("\udcff@here.example", id="no-unicode"),
    pytest.param("", id="nothing"),
    pytest.param("a" * 100_000, id="very-long"),
])  # fmt: skip
def test_no_name_is_more_than_a_name(source: Callable[..., Any], name: str) -> None:
    made = source()
    assert ask(made.lookup(name)) is None
    assert ask(made.namesakes(name)) == ()
    assert ask(made.verify(Entry(Account(name)), "one")) is False


def test_a_star_in_an_address_finds_who_has_it(source: Callable[..., Any]) -> None:
    assert ask(source().lookup(STAR.name)) == Entry(STAR)
    assert ask(source().verify(Entry(STAR), "three")) is True


def test_a_bare_name_means_who_is_called_so(source: Callable[..., Any]) -> None:
    assert ask(source().namesakes("ann")) == (Entry(ANN),)
    assert len(ask(source(namesakes_filter="(sn=%n*)").namesakes("twin"))) == 2


def test_accounts_are_listed_in_pages(source: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twistmail.accounts.ldap.PAGE", 10)
    listed = ask(source().list())
    assert {ANN, BOB, STAR} <= set(listed)
    assert len(listed) == 35, "who has no address that can be one is left out"


@pytest.mark.parametrize(("texts", "says"), [
    pytest.param({"base": "ou=nowhere,dc=here,dc=example"}, "there is no entry ou=nowhere", id="no-such-base"),
    pytest.param({"bind_password": "not-the-right-one"}, "we cannot bind as cn=reader", id="wrong-password-of-ours"),
    pytest.param({"attributes": "mail=user displayName=quota"}, "Ann Ött", id="strange-quota"),
    pytest.param({"filter": "(mail=%u*)(mail=x)"}, "missing boolean operator", id="broken-filter"),
    pytest.param({"url": "ldap://127.0.0.1:1"}, "127.0.0.1", id="nobody-there"),
])  # fmt: skip
def test_what_does_not_work_is_no_answer(source: Callable[..., Any], logged: list[str], texts: dict[str, str], says: str) -> None:
    with pytest.raises(Unavailable, match=says):
        ask(source(**texts).lookup("ann@here.example"))
    assert "not-the-right-one" not in " ".join(logged)
    assert len(logged) == 1


def test_two_entries_for_one_address_are_no_answer(source: Callable[..., Any]) -> None:
    with pytest.raises(Unavailable, match="more than one entry"):
        ask(source().lookup("twin@here.example"))


def test_while_the_directory_is_away_nobody_is_unknown(directory: daemons.Daemon, source: Callable[..., Any]) -> None:
    made = source()
    assert ask(made.lookup("ann@here.example"))
    with directory.down():
        for name in ("ann@here.example", "nobody@here.example"):
            with pytest.raises(Unavailable):
                ask(made.lookup(name))
        with pytest.raises(Unavailable):
            ask(made.verify(Entry(ANN), "one"))
    assert ask(made.lookup("ann@here.example")) == Entry(ANN)


def test_the_next_url_is_asked_where_the_first_is_away(directory: daemons.Daemon, source: Callable[..., Any]) -> None:
    assert ask(source(url=f"ldap://127.0.0.1:1 ldap://127.0.0.1:{directory.port}").lookup("ann@here.example")) == Entry(ANN)


@pytest.mark.parametrize(("scheme", "host", "knows", "answers"), [
    pytest.param("ldaps", "localhost", True, True, id="ldaps"),
    pytest.param("ldaps", "127.0.0.1", True, False, id="ldaps-under-another-name"),
    pytest.param("ldaps", "localhost", False, False, id="ldaps-signed-by-a-stranger"),
    pytest.param("ldap", "localhost", True, True, id="starttls"),
    pytest.param("ldap", "127.0.0.1", True, False, id="starttls-under-another-name"),
    pytest.param("ldap", "localhost", False, False, id="starttls-signed-by-a-stranger"),
])  # fmt: skip
def test_the_certificate_must_be_right(
    directory: daemons.Daemon, source: Callable[..., Any], scheme: str, host: str, knows: bool, answers: bool
) -> None:
    port = (directory.place / "ldaps").read_text() if scheme == "ldaps" else directory.port
    made = source(url=f"{scheme}://{host}:{port}", tls="starttls", tls_ca=str(directory.authority) if knows else "")
    if answers:
        assert ask(made.lookup("ann@here.example")) == Entry(ANN)
        assert ask(made.verify(Entry(ANN), "one")) is True
    else:
        with pytest.raises(Unavailable):
            ask(made.lookup("ann@here.example"))


def test_a_socket_is_a_place_too(directory: daemons.Daemon, source: Callable[..., Any]) -> None:
    socket = str(directory.place / "socket").replace("/", "%2F")
    assert ask(source(url=f"ldapi://{socket}").lookup("ann@here.example")) == Entry(ANN)


@pytest.mark.parametrize(("key", "text", "says"), [
    pytest.param("url", "http://here.example", "is not the URL of a directory", id="strange-url"),
    pytest.param("attributes", "mail", "does not say what an attribute means", id="attribute-without-meaning"),
    pytest.param("attributes", "ma(il=user", "does not say what an attribute means", id="no-attribute"),
])  # fmt: skip
def test_a_setting_that_cannot_be_meant_is_refused(key: str, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        LDAP.options.option(key).kind.read(text)  # type: ignore[union-attr]


def test_an_address_must_come_from_somewhere() -> None:
    settings = LDAP.options.defaults(attributes=(("cn", "name"),))  # type: ignore[union-attr]
    assert [key for key, _, _ in LDAP.check(settings)] == ["attributes"]
