"""Mailboxes by name: what is told of them when they are many, limited, or strangely called."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.dialogues.imap_house import ANN, NOW, THREE, Guest, ImapHouse, mail
from tests.helpers import result_of
from twistmail import disk
from twistmail.mail.account import Account
from twistmail.memory.store import MailStore
from twistmail.servers.imap.quota import QuotaOffice
from twistmail.servers.imap.service import ImapService
from twistmail.store.mailstore import MailStore as DiskStore
from twistmail.tasks import Inline

LIMITS: dict[str, tuple[int | None, int | None]] = {ANN: (2000, 5)}


async def limits(account: str) -> tuple[int | None, int | None]:
    return LIMITS.get(account, (None, None))


@pytest.fixture
def house() -> ImapHouse:
    house = ImapHouse()
    house.put(*THREE)
    return house


@pytest.fixture
def limited() -> ImapHouse:
    house = ImapHouse(store=MailStore(lambda: NOW, quota_of=limits))
    house.put(*THREE)
    return house


# ----- quotas (RFC 9208)


def test_storage_is_told_in_whole_units_of_1024_octets(limited: ImapHouse) -> None:
    guest = Guest(limited)
    assert guest.say("a GETQUOTAROOT inbox") == [
        "* QUOTAROOT INBOX ann@here.example",
        "* QUOTA ann@here.example (STORAGE 1 2 MESSAGE 3 5)",
        "a OK Done",
    ]
    assert guest.say("b GETQUOTA ann@here.example")[0] == "* QUOTA ann@here.example (STORAGE 1 2 MESSAGE 3 5)"


@pytest.mark.parametrize("command", [
    pytest.param("COPY 1:3 Trash", id="copy"),
    pytest.param("UID COPY 1:3 Trash", id="uid-copy"),
    pytest.param("APPEND INBOX {2000+}\r\n" + "x" * 2000, id="append"),
])  # fmt: skip
def test_what_finds_no_room_is_over_quota(limited: ImapHouse, command: str) -> None:
    guest = Guest(limited, select="INBOX")
    assert guest.say("x " + command) == ["x NO [OVERQUOTA] The mailbox is full"]
    assert guest.say("y STATUS Trash (MESSAGES)")[0] == "* STATUS Trash (MESSAGES 0)"


class Office:
    """Keeps quotas; carol's stands in a file."""

    def __init__(self) -> None:
        self.limits: dict[str, tuple[int | None, int | None]] = {ANN: (2000, 5)}

    async def of(self, account: str) -> tuple[int | None, int | None]:
        return self.limits.get(account, (None, None))

    async def change(self, account: str, octets: int | None) -> None:
        if account.startswith("carol"):
            raise KeyError(account)
        self.limits[account] = (octets, self.limits.get(account, (None, None))[1])


@dataclass
class AdministeredHouse(ImapHouse):
    """Bob may set the quotas of others."""

    office: Any = field(default=None)

    def service(self) -> ImapService:
        return replace(super().service(), quotas=QuotaOffice(self.people.find, self.office.change))


@pytest.fixture
def administered() -> ImapHouse:
    house = AdministeredHouse(settings={"quota_admins": ("bob@here.example",)})
    house.office = Office()
    house.store = MailStore(lambda: NOW, quota_of=house.office.of)
    house.people.add(Account("carol@here.example"), "three")
    house.put(*THREE)
    return house


def test_an_administrator_sets_the_quotas_of_others(administered: ImapHouse) -> None:
    bob, ann = Guest(administered, login=False), Guest(administered)
    assert " QUOTASET " in bob.say('a LOGIN bob "two words"')[-1]
    assert bob.say("b GETQUOTA ann@here.example")[0] == "* QUOTA ann@here.example (STORAGE 1 2 MESSAGE 3 5)"
    assert bob.say("c SETQUOTA ann@here.example (STORAGE 100)") == [
        "* QUOTA ann@here.example (STORAGE 1 100 MESSAGE 3 5)", "c OK Done"
    ]  # fmt: skip
    assert ann.say("d GETQUOTA ann@here.example")[0] == "* QUOTA ann@here.example (STORAGE 1 100 MESSAGE 3 5)"
    assert bob.say("e SETQUOTA ann@here.example ()")[0] == "* QUOTA ann@here.example (MESSAGE 3 5)"
    assert bob.say("f SETQUOTA ann@here.example (STORAGE 9223372036854775807)")[0].startswith("* QUOTA ann@here.example (STORAGE 1 9007")


@pytest.mark.parametrize(("command", "answer"), [
    pytest.param("SETQUOTA ann@here.example (MESSAGE 100)", "NO [CANNOT]", id="messages"),
    pytest.param("SETQUOTA ann@here.example (STORAGE 0)", "NO [CANNOT]", id="nothing"),
    pytest.param("SETQUOTA ann@here.example (STORAGE 1 HERONS 2)", "NO [CANNOT]", id="no-resource"),
    pytest.param("SETQUOTA carol@here.example (STORAGE 1)", "NO [CANNOT]", id="in-a-file"),
    pytest.param("SETQUOTA nobody@here.example (STORAGE 1)", "NO [NOPERM]", id="nobody"),
    pytest.param('SETQUOTA "no address" (STORAGE 1)', "NO [NOPERM]", id="no-address"),
    pytest.param("GETQUOTA nobody@here.example", "NO [NONEXISTENT]", id="get-nobody"),
])  # fmt: skip
def test_quotas_that_cannot_be_set(administered: ImapHouse, command: str, answer: str) -> None:
    bob = Guest(administered, login=False)
    bob.say('a LOGIN bob "two words"')
    assert bob.say(f"x {command}")[-1].startswith(f"x {answer}")
    assert administered.office.limits == {ANN: (2000, 5)}  # type: ignore[attr-defined]


def test_who_is_no_administrator_sets_no_quota_and_sees_none_of_others(administered: ImapHouse) -> None:
    ann = Guest(administered)
    assert "QUOTASET" not in ann.say("a CAPABILITY")[0]
    assert ann.say("b SETQUOTA ann@here.example (STORAGE 100)")[-1].startswith("b NO [NOPERM]")
    assert ann.say("c SETQUOTA bob@here.example (STORAGE 100)")[-1].startswith("c NO [NOPERM]")
    assert ann.say("d GETQUOTA bob@here.example")[-1].startswith("d NO [NONEXISTENT]")


def test_deleted_messages_are_counted_with_their_octets(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    guest.say("a STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    sizes = len(THREE[0]) + len(THREE[2])
    assert guest.say("b STATUS INBOX (DELETED-STORAGE DELETED)")[0] == f"* STATUS INBOX (DELETED-STORAGE {sizes} DELETED 2)"


# ----- what is told of a message beside itself


def test_identifiers_of_a_message_go_with_its_copies(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    guest.say("a COPY 1 Trash")
    told = guest.say("b FETCH 1 (EMAILID THREADID)")[0]
    match = re.fullmatch(r"\* 1 FETCH \(EMAILID \(([A-Za-z0-9_-]{1,255})\) THREADID \(([A-Za-z0-9_-]{1,255})\)\)", told)
    assert match, told
    assert match[1] != match[2]
    guest.say("c SELECT Trash")
    assert guest.say("d FETCH 1 (EMAILID THREADID)")[0] == told


def test_a_message_tells_when_it_was_saved(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    assert guest.say("a FETCH 1 SAVEDATE")[0] == '* 1 FETCH (SAVEDATE "21-Nov-2026 03:20:00 +0000")'


def test_a_preview_is_text(house: ImapHouse) -> None:
    house.put(mail("four", body="Gr\u00fc\u00dfe\r\n", more="Content-Type: text/plain; charset=utf-8\r\n"))
    guest = Guest(house, select="INBOX")
    assert guest.say("a FETCH 1 (PREVIEW UID)")[0] == '* 1 FETCH (PREVIEW "Hello" UID 1)'
    assert guest.say("b UID FETCH 1 (PREVIEW (LAZY))")[0] == '* 1 FETCH (UID 1 PREVIEW "Hello")'
    assert guest.say("c FETCH 4 PREVIEW")[:2] == ["* 4 FETCH (PREVIEW {7}", "Gr\u00fc\u00dfe)"]


def test_nobody_waits_for_a_lazy_preview(tmp_path: Path) -> None:
    house = ImapHouse(store=DiskStore(tmp_path, None, disk.InlineCommitter(), Inline(), now=lambda: NOW))
    house.put(*THREE)
    guest = Guest(house, select="INBOX")
    assert guest.say("a FETCH 1 PREVIEW (LAZY)")[0] == "* 1 FETCH (PREVIEW NIL)"
    assert guest.say("b FETCH 1 PREVIEW")[0] == '* 1 FETCH (PREVIEW "Hello")'
    assert guest.say("c FETCH 1:2 PREVIEW (LAZY)")[:2] == ['* 1 FETCH (PREVIEW "Hello")', "* 2 FETCH (PREVIEW NIL)"]
    assert '"plain' in guest.say("d FETCH 2 (PREVIEW (LAZY) BODY)")[0]
    house.store.close()


# ----- annotations (RFC 5464 §4.4.2)


def test_who_has_enabled_it_hears_of_annotations_that_others_change(house: ImapHouse) -> None:
    quiet, asking, busy = Guest(house), Guest(house), Guest(house)
    assert asking.say("a ENABLE METADATA") == ["* ENABLED METADATA", "a OK Done"]
    busy.say('b SETMETADATA INBOX (/private/comment "x" /Shared/comment "y")')
    busy.say('c SETMETADATA INBOX (/private/comment "z")')
    busy.say('d SETMETADATA "" (/private/vendor/x/y "z")')
    assert asking.heard() == []
    assert asking.say("e NOOP") == [
        "* METADATA INBOX /private/comment /shared/comment", '* METADATA "" /private/vendor/x/y', "e OK Done"
    ]  # fmt: skip
    assert asking.say("f NOOP") == ["f OK Done"]
    assert quiet.say("g NOOP") == ["g OK Done"]
    assert asking.say('h SETMETADATA INBOX (/private/comment "mine")') == ["h OK Done"]


def test_an_idle_client_hears_of_annotations_at_once(house: ImapHouse) -> None:
    idle, busy = Guest(house, select="INBOX"), Guest(house)
    idle.say("a ENABLE METADATA")
    idle.say("b IDLE")
    busy.say('c SETMETADATA Sent (/private/specialuse "\\\\All")')
    assert idle.heard() == ["* METADATA Sent /private/specialuse"]
    idle.say("DONE")
    idle.say("d UNAUTHENTICATE")
    busy.say('e SETMETADATA Sent (/private/comment "x")')
    assert idle.say("f NOOP") == ["f OK Done"]


def test_news_of_annotations_do_not_pile_up(house: ImapHouse) -> None:
    asking, busy = Guest(house), Guest(house)
    asking.say("a ENABLE METADATA")
    for number in range(1100):
        busy.say(f'b SETMETADATA INBOX (/private/{number} "x")')
        busy.say(f"b SETMETADATA INBOX (/private/{number} NIL)")
    told = asking.say("c NOOP")
    assert len(told[0].split()) == 3 + 1000
    assert told[1:] == ["c OK Done"]


# ----- many names, strange names


@pytest.fixture(scope="module")
def crowded() -> ImapHouse:
    """Ten thousand mailboxes."""
    house = ImapHouse()
    mailboxes = house.mailboxes()
    for number in range(9_900):
        result_of(mailboxes.create(f"Projects/{number // 100}/number {number}"))
    return house


@pytest.mark.parametrize(("command", "lines"), [
    pytest.param('LIST "" *', 10_006, id="all"),
    pytest.param('LIST "" %', 7, id="one-level"),
    pytest.param('LIST "" "Projects/%/*7"', 990, id="wildcards-in-the-middle"),
    pytest.param('LIST (SUBSCRIBED RECURSIVEMATCH) "" *', 6, id="recursive"),
    pytest.param('LSUB "" *', 6, id="lsub"),
    pytest.param('LIST "" "Projects/1/*" RETURN (STATUS (MESSAGES UNSEEN) SUBSCRIBED)', 200, id="status"),
])  # fmt: skip
def test_ten_thousand_names_are_told_in_pieces(crowded: ImapHouse, monkeypatch: Any, command: str, lines: int) -> None:
    guest = Guest(crowded)
    turns = []
    later = crowded.clock.callLater
    monkeypatch.setattr(crowded.clock, "callLater", lambda delay, *args, **named: turns.append(delay) or later(delay, *args, **named))
    said = guest.say(f"x {command}")
    assert len(said) == lines + 1
    assert turns.count(0) >= (40 if command.startswith("LIST") else 0)


@pytest.mark.parametrize(("spelled", "answer"), [
    pytest.param("..", "NO [CANNOT]", id="dots"),
    pytest.param("a/../b", "NO [CANNOT]", id="dots-between"),
    pytest.param("a//b", "NO [CANNOT]", id="nothing-between-slashes"),
    pytest.param("/a", "NO [CANNOT]", id="slash-in-front"),
    pytest.param("&AAA-", "NO [CANNOT]", id="nul-as-utf7"),
    pytest.param("&AAo-", "NO [CANNOT]", id="line-feed-as-utf7"),
    pytest.param("&AH8-", "NO [CANNOT]", id="delete-as-utf7"),
    pytest.param("&2AA-", "BAD", id="half-a-surrogate-pair"),
    pytest.param("a&b", "BAD", id="ampersand-alone"),
    pytest.param("&AGE-", "BAD", id="ascii-as-utf7"),
    pytest.param("&APw", "BAD", id="utf7-without-end"),
    pytest.param('"a\tb"', "BAD", id="tab"),
    pytest.param("x" * 255, "OK", id="longest-part"),
    pytest.param("x" * 256, "NO [CANNOT]", id="part-too-long"),
    pytest.param("/".join("x" * 16), "OK", id="deepest"),
    pytest.param("/".join("x" * 17), "NO [CANNOT]", id="too-deep"),
    pytest.param("/".join(["x" * 250] * 5), "NO [CANNOT]", id="too-long"),
])  # fmt: skip
def test_what_a_mailbox_may_be_called(spelled: str, answer: str) -> None:
    guest = Guest(ImapHouse())
    for line in (f"x CREATE {spelled}", f"x RENAME Sent {spelled}"):
        said = guest.say(line)
        assert said[-1].startswith(f"x {answer}") or (answer == "OK" and "ALREADYEXISTS" in said[-1]), said
    if answer != "OK":
        for command in ("SELECT", "STATUS", "DELETE", "GETMETADATA"):
            rest = {"STATUS": " (MESSAGES)", "GETMETADATA": " /private/comment"}.get(command, "")
            assert guest.say(f"y {command} {spelled}{rest}")[-1].startswith("y BAD" if answer == "BAD" else "y NO [NONEXISTENT]")


def test_the_name_of_a_mailbox_outlives_a_rename(house: ImapHouse) -> None:
    guest = Guest(house)
    made = guest.say("a CREATE One/Two")[-1].partition("MAILBOXID ")[2].partition("]")[0]
    assert made != guest.say("b CREATE One/Three")[-1].partition("MAILBOXID ")[2].partition("]")[0]
    guest.say("c RENAME One Four")
    assert guest.say("d STATUS Four/Two (MAILBOXID)")[0] == f"* STATUS Four/Two (MAILBOXID {made})"
    assert f"* OK [MAILBOXID {made}] The same under any name" in guest.say("e SELECT Four/Two")
    guest.say("f CREATE One/Two")
    assert made not in guest.say("g STATUS One/Two (MAILBOXID)")[0]


