"""Users of this machine as accounts."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from tests.helpers import result_of
from twistmail.accounts.secrets import Entry
from twistmail.accounts.system import DAY, Bounds, Shadow, SystemSource, are_meant, parse_shadow
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.tasks import Inline

DOMAIN = "here.example"
USERS = {
    user.pw_name: user
    for user in (
        pwd.struct_passwd(("root", "x", 0, 0, "root", "/root", "/bin/bash")),
        pwd.struct_passwd(("daemon", "x", 2, 2, "", "/", "/bin/sh")),
        pwd.struct_passwd(("ann", "x", 1000, 1000, "Ann Other,room 2,,", "/home/ann", "/bin/bash")),
        pwd.struct_passwd(("bob", "x", 1001, 1001, "", "/home/bob", "/usr/sbin/nologin")),
        pwd.struct_passwd(("Eve", "x", 1002, 1002, "", "/home/eve", "/bin/sh")),
        pwd.struct_passwd(("fred", "x", 60_001, 60_001, "", "/home/fred", "/bin/sh")),
        pwd.struct_passwd(("nobody", "x", 65_534, 65_534, "", "/", "/usr/sbin/nologin")),
    )
}
BOUNDS = Bounds(1000, 60_000)
ANN = Account("ann@here.example", "Ann Other", uid=1000)


def source(bounds: Bounds = BOUNDS, shadow: Path | None = None) -> SystemSource:
    return SystemSource(bounds, DOMAIN, Inline(), shadow, by_name=USERS.__getitem__, everybody=USERS.values,
                        epoch=lambda: 20_000 * DAY)


@pytest.mark.parametrize(("name", "bounds", "is_there"), [
    pytest.param("ann@here.example", BOUNDS, True, id="a-user"),
    pytest.param("ann@there.example", BOUNDS, False, id="in-another-domain"),
    pytest.param("root@here.example", BOUNDS, False, id="root"),
    pytest.param("root@here.example", Bounds(0, 60_000), False, id="root-whatever-the-bounds"),
    pytest.param("daemon@here.example", BOUNDS, False, id="below-min-uid"),
    pytest.param("fred@here.example", BOUNDS, False, id="above-max-uid"),
    pytest.param("bob@here.example", BOUNDS, False, id="without-a-shell"),
    pytest.param("bob@here.example", Bounds(1000, 60_000, with_closed=True), True, id="without-a-shell-where-that-will-do"),
    pytest.param("nobody-at-all@here.example", BOUNDS, False, id="unknown"),
    pytest.param('"../ann"@here.example', BOUNDS, False, id="no-name-of-a-user"),
    pytest.param('"ann:x"@here.example', BOUNDS, False, id="with-a-colon"),
])  # fmt: skip
def test_who_has_a_mailbox(name: str, bounds: Bounds, is_there: bool) -> None:
    assert (result_of(source(bounds).lookup(name)) is not None) is is_there


@pytest.mark.parametrize(("sources", "meant"), [
    (("sqlite", "system"), True),
    (("pam:system",), True),
    (("sqlite", "passwd:/etc/system/users", "pam:config"), False),
])  # fmt: skip
def test_when_users_of_this_machine_have_accounts(sources: tuple[str, ...], meant: bool) -> None:
    assert are_meant(sources) is meant


def test_an_account_is_what_passwd_says() -> None:
    assert result_of(source().lookup("ann@here.example")) == Entry(ANN)
    assert result_of(source().namesakes("ann")) == (Entry(ANN),)
    assert result_of(source().list()) == (ANN,)


def test_passwords_are_those_of_the_shadow_file(tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    shadow.write_text("root:*:19000:0:99999:7:::\nann:$6$salt$hash:19000:0:99999:7:::\nbob:!$6$salt$hash:::\n:x:\nbroken\n")
    entry = result_of(source(shadow=shadow).lookup("ann@here.example"))
    assert entry == Entry(ANN, "{CRYPT}$6$salt$hash")
    assert parse_shadow(shadow.read_text()) == {"ann": Shadow("{CRYPT}$6$salt$hash")}


@pytest.mark.parametrize(("ends", "can_log_in"), [
    pytest.param("", True, id="never"),
    pytest.param("20001", True, id="tomorrow"),
    pytest.param("20000", False, id="today"),
    pytest.param("1", False, id="as-usermod-locks-an-account"),
])  # fmt: skip
def test_whose_account_has_ended_gets_mail_and_cannot_log_in(ends: str, can_log_in: bool, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    shadow.write_text(f"ann:$6$salt$hash:19000:0:99999:7::{ends}:\n")
    entry = result_of(source(shadow=shadow).lookup("ann@here.example"))
    assert entry == Entry(ANN, "{CRYPT}$6$salt$hash" if can_log_in else "")


def test_a_shadow_file_that_cannot_be_read_is_a_trouble_and_no_open_door(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        result_of(source(shadow=tmp_path / "none").lookup("ann@here.example"))
