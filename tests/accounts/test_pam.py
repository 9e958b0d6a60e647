"""PAM as the judge of passwords: the real library, with services of our own in a folder of the test."""

from __future__ import annotations

import ctypes
import ctypes.util
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.accounts.services import ask, house, read
from tests.conftest import must_be_there
from twistmail.accounts.pam import PamSource
from twistmail.accounts.secrets import Entry
from twistmail.accounts.table import FixedTable, TableSource
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.parts import PAM
from twistmail.tasks import Inline

ANN = Account("ann@here.example")
#: pam_exec's failure is one of the system; what it means here is that the password is wrong.
GUARDED = """\
auth [success=1 default=ignore] pam_exec.so quiet expose_authtok {script}
auth requisite pam_deny.so
auth required pam_permit.so
account required pam_permit.so
"""
SCRIPT = """\
#!/bin/sh
[ "$PAM_USER" = ann ] && [ "$PAM_SERVICE" = guarded ] && [ "$(tr -d '\\000')" = "pässword one" ]
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PamSource]:
    """source(option=text, ...): one whose services are files of the test, not those of /etc/pam.d."""
    must_be_there((), "pam")
    library = ctypes.CDLL(ctypes.util.find_library("pam"))
    if not hasattr(library, "pam_start_confdir"):
        pytest.skip("this libpam reads /etc/pam.d only")
    import pam

    script = tmp_path / "script"
    script.write_text(SCRIPT)
    script.chmod(stat.S_IRWXU)
    services = {
        "guarded": GUARDED.format(script=script),
        "expired": GUARDED.format(script=script).replace("account required pam_permit.so", "account required pam_deny.so"),
        "torn": "auth required pam_no_such_module.so\naccount required pam_permit.so\n",
        "failing": "auth required pam_exec.so quiet /bin/false\naccount required pam_permit.so\n",
    }
    for name, text in services.items():
        (tmp_path / name).write_text(text)
    pam.PamAuthenticator()  # it loads the library at the first use
    folder = str(tmp_path).encode()
    monkeypatch.setattr(pam.PamAuthenticator, "pam_start", lambda service, user, talk, handle: library.pam_start_confdir(
        ctypes.c_char_p(service), ctypes.c_char_p(user), talk, ctypes.c_char_p(folder), handle))
    accounts = TableSource(FixedTable([Entry(ANN, "{PLAIN}elsewhere"), Entry(Account("bob@here.example"))]), Inline())
    return lambda **texts: PAM.build(read(PAM.options, **{"service": "guarded"} | texts), house(source={"sqlite": accounts}.__getitem__))


@pytest.mark.parametrize(("name", "password", "right"), [
    pytest.param("ann@here.example", "pässword one", True, id="right"),
    pytest.param("ann@here.example", "password one", False, id="wrong"),
    pytest.param("ann@here.example", "", False, id="empty"),
    pytest.param("ann@here.example", "pässword one\0", False, id="with-a-nul"),
    pytest.param("ann@here.example", "x" * 100_000, False, id="very-long"),
    pytest.param("bob@here.example", "pässword one", False, id="somebody-else"),
    pytest.param("$(id)@here.example", "pässword one", False, id="shell"),
])  # fmt: skip
def test_pam_says_whose_password_it_is(source: Callable[..., PamSource], name: str, password: str, right: bool) -> None:
    assert ask(source().verify(Entry(Account(name)), password)) is right


def test_who_has_a_mailbox_another_source_says(source: Callable[..., PamSource]) -> None:
    assert ask(source().lookup("ann@here.example")) == Entry(ANN)
    assert ask(source().lookup("root@here.example")) is None
    assert ask(source().namesakes("ann")) == (Entry(ANN),)
    assert len(ask(source().list())) == 2


def test_the_other_source_may_stand_in_the_word(source: Callable[..., PamSource]) -> None:
    asked: list[str] = []
    PAM.build(read(PAM.options, service="guarded"), replace(house(source=asked.append), argument="system"))
    assert asked == ["system"]


def test_the_whole_address_is_told_where_it_shall_be(source: Callable[..., PamSource]) -> None:
    assert ask(source(full_address="yes").verify(Entry(ANN), "pässword one")) is False, "the script knows him as ann"


def test_an_account_that_pam_has_closed_stays_outside(source: Callable[..., PamSource]) -> None:
    assert ask(source(service="expired").verify(Entry(ANN), "pässword one")) is False


@pytest.mark.parametrize("service", ["torn", "failing"])
def test_while_pam_does_not_work_nobody_is_refused(source: Callable[..., PamSource], service: str) -> None:
    with pytest.raises(Unavailable):
        ask(source(service=service).verify(Entry(ANN), "pässword one"))


@pytest.mark.parametrize("name", ["", "../shadow", "a/b", "a b", ".hidden", "x" * 65])
def test_a_service_is_a_file_of_its_folder(name: str) -> None:
    with pytest.raises(ValueError, match=r"is not the name of a file in /etc/pam\.d"):
        read(PAM.options, service=name)
