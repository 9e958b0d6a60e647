"""The verbs of `twistmail forward`: for operators, and for everybody by his own password."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import result_of
from twistmail import forwarding
from twistmail.accounts.config import OPTIONS as USERS
from twistmail.aliases.own import OPTIONS
from twistmail.control import Refusal
from twistmail.dotfiles_helper import Found
from twistmail.forwarding import CLEAR, SET, SHOW, ForwardDesk
from twistmail.mail.account import Account
from twistmail.own_passwords import Desk
from twistmail.store.mailstore import OPTIONS as STORE
from twistmail.tasks import Inline

BOB = Account("bob@dom2.test", forward=("set@far.test",))
ANN = Account("ann@blue.test", uid=1000)


class House:
    """A desk over the folder *place*; `changed` are those whose forward has become another."""

    def __init__(self, place: Path, **settings: Any) -> None:
        self.place = place
        self.changed: list[str] = []
        self.is_whole = True
        self.homes = Found()
        self.sources: tuple[str, ...] = ("pam:system",)
        self.settings = OPTIONS.defaults(**settings)
        self.desk = ForwardDesk(lambda: self, Inline(), self.changed.append, lambda: self)  # type: ignore[arg-type, return-value]

    # as much of a Config as is asked for, and a Reader

    data_dir = property(lambda self: self.place)

    def __contains__(self, section: str) -> bool:
        return self.is_whole

    def __getitem__(self, section: str) -> Any:
        if section == "users":
            return USERS.defaults(source=self.sources)
        return self.settings if section == "forward" else STORE.defaults()

    def read(self, user: int, extension: str) -> Found:
        return self.homes

    def ask(self, verb: str, account: Account = BOB, **arguments: Any) -> Any:
        return result_of(self.desk.answer(verb, account, arguments, "somebody"))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_what_is_set_is_shown_and_cleared(house: House) -> None:
    path = house.place / "mail" / "dom2.test" / "bob" / "forward"
    row = house.ask(SET, text="\\bob\nbob@far.test")
    assert row == {"name": "bob@dom2.test", "extension": "", "file": str(path), "text": "\\bob\nbob@far.test\n",
                   "goals": ["\\bob", "bob@far.test"], "problems": [], "settled": ["\\bob@dom2.test", "set@far.test"]}  # fmt: skip
    assert house.ask(SHOW) == row
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert (house.ask(CLEAR)["file"], path.exists()) == ("", False)
    assert house.changed == [BOB.name, BOB.name]
    assert house.ask(CLEAR)["text"] is None  # once more does no harm


def test_an_extension_has_its_own(house: House) -> None:
    house.ask(SET, text="list@far.test", extension="list")
    assert (house.ask(SHOW, extension="list")["goals"], house.ask(SHOW)["goals"]) == (["list@far.test"], [])


@pytest.mark.parametrize(("arguments", "exit_code", "said"), [
    pytest.param({"text": "/var/mail/bob"}, 65, "no file", id="a-file"),
    pytest.param({"text": '"|/bin/sort"'}, 65, "none is run", id="a-program"),
    pytest.param({"text": ":include:/etc/passwd"}, 65, ":include:", id="include"),
    pytest.param({"text": "a@x.test\n\"|vacation bob\""}, 65, "line 2: vacation is not built in yet", id="vacation"),
    pytest.param({"text": "a\0b@x.test"}, 65, "no text", id="nul"),
    pytest.param({"text": "x" * 70_000}, 65, "longer than", id="endless"),
    pytest.param({"text": ["a@x.test"]}, 64, "is no text", id="a-list"),
    pytest.param({}, 64, "is no text", id="nothing"),
    pytest.param({"text": "a@x.test", "extension": "../../x"}, 64, "cannot be the name", id="a-path"),
    pytest.param({"text": "a@x.test", "extension": 5}, 64, "cannot be the name", id="a-number"),
])  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_is_written(house: House, arguments: dict[str, Any], exit_code: int, said: str) -> None:
    with pytest.raises(Refusal, match=said) as raised:
        house.ask(SET, **arguments)
    assert (raised.value.exit_code, house.changed, os.listdir(house.place)) == (exit_code, [], [])


def test_what_stands_in_a_home_is_shown_but_nobody_changes_it_for_him(house: House) -> None:
    house.homes = Found(place="/home/ann/.forward", text="ann@far.test\n", unsafe=["/home/ann/.forward+x: it is a symbolic link"])
    row = house.ask(SHOW, ANN)
    assert (row["goals"], row["problems"]) == (["ann@far.test"], ["/home/ann/.forward+x: it is a symbolic link; it is passed over"])
    with pytest.raises(Refusal, match="a home on this machine") as raised:
        house.ask(SET, ANN, text="eve@far.test")
    assert raised.value.step == "as ann: twistmail forward set ann"


def test_what_somebody_has_broken_by_hand_is_told(house: House) -> None:
    house.ask(SET, text="a@x.test")
    (house.place / "mail/dom2.test/bob/forward").write_text("a@x.test\n/etc/passwd\n")
    (problem,) = house.ask(SHOW)["problems"]
    assert problem.endswith("forward:2: /etc/passwd is a file, and mail is put into no file for users without a home on this machine; "
                            "mail for it has to wait")  # fmt: skip


def test_where_users_may_not_nothing_is_changed(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="nobody changes") as raised:
        House(tmp_path, users=False).ask(SET, text="a@x.test")
    assert raised.value.exit_code == 77


def test_a_disk_that_will_not_is_told(house: House) -> None:
    (house.place / "mail").write_text("no folder")
    with pytest.raises(Refusal, match="Not a directory"):
        house.ask(SET, text="a@x.test")


def test_whether_a_home_counts_is_told_to_whoever_lives_in_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = pwd.struct_passwd(("ann", "x", 1000, 1000, "", "/home/ann", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", {1000: ann}.__getitem__)
    assert [result_of(house.desk.has_home(user))["home"] for user in (1000, 1001, None)] == [True, False, False]
    house.sources = ("sqlite",)
    assert result_of(house.desk.has_home(1000)) == {"home": False}
    house.sources, house.settings = ("system",), OPTIONS.defaults(homes=False)
    assert result_of(house.desk.has_home(1000)) == {"home": False}


# ----- when accounts change


@pytest.mark.parametrize(("before", "after"), [
    ("\\bob\nx@far.test\n", "\\ben@dom2.test\nx@far.test\n"),
    ("# mine\n\\Bob@dom2.test\n", "\\ben@dom2.test\n"),
    ("# mine\n\\ann\nx@far.test\n", "# mine\n\\ann\nx@far.test\n"),
    ("two words\n\\bob\n", "two words\n\\bob\n"),
])
def test_a_copy_stays_under_a_new_name(house: House, before: str, after: str) -> None:
    folder = house.place / "mail/dom2.test/ben"
    folder.mkdir(parents=True)
    for name in ("forward", "forward+list"):
        (folder / name).write_text(before)
    forwarding.renamed(house, "bob@dom2.test", "ben@dom2.test")  # type: ignore[arg-type]
    assert [(folder / name).read_text() for name in ("forward", "forward+list")] == [after, after]


def test_whoever_gets_the_name_later_does_not_inherit_where_the_mail_went(house: House) -> None:
    house.ask(SET, text="x@far.test")
    house.ask(SET, text="x@far.test", extension="list")
    (house.place / "mail/dom2.test/bob/dovecot-uidlist").write_text("3 V1 N1\n")
    forwarding.removed(house, "bob@dom2.test")  # type: ignore[arg-type]
    assert os.listdir(house.place / "mail/dom2.test/bob") == ["dovecot-uidlist"]
    forwarding.removed(house, "nobody@dom2.test")  # type: ignore[arg-type]
    house.is_whole = False
    forwarding.removed(house, "bob@dom2.test")  # type: ignore[arg-type]
    with pytest.raises(Refusal, match="mistakes"):
        house.ask(SHOW)


# ----- by one's own password


class Login:
    """Whoever says "right" is bob."""

    async def check(self, claim: Any, peer: str, mechanism: str, connection: str) -> Account | None:
        return BOB if claim.password == "right" else None


def own_desk(house: House) -> Desk:
    return Desk(Login(), None, None, Inline(), iter(("c1", "c2")), 10, house.desk)


def test_who_proves_who_he_is_changes_his_own(house: House) -> None:
    row = result_of(own_desk(house).answer("uid 1", SET, {"login": "bob", "old": "right", "text": "bob@far.test", "name": "ann@blue.test"}))
    assert (row["name"], row["goals"], house.changed) == ("bob@dom2.test", ["bob@far.test"], ["bob@dom2.test"])


def test_who_does_not_changes_nothing(house: House) -> None:
    with pytest.raises(Refusal, match="is wrong") as raised:
        result_of(own_desk(house).answer("uid 1", SET, {"login": "bob", "old": "wrong", "text": "eve@far.test"}))
    assert (raised.value.exit_code, house.changed) == (77, [])


def test_the_configuration_is_asked_for_each_time(house: House) -> None:
    house.ask(SET, text="a@x.test")
    house.settings = OPTIONS.defaults(users=False)
    assert house.ask(SHOW)["text"] is None
