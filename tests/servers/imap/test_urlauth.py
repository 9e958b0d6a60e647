"""URLs that carry leave to read (RFC 4467): who can make one, and who can use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dialogues.imap_house import THREE, Guest, ImapHouse
from tests.helpers import result_of
from twistmail import disk
from twistmail.store.mailstore import MailStore as DiskStore
from twistmail.tasks import Inline

HERE = "imap://ann%40here.example@imap.here.example"
LETTER = f"{HERE}/INBOX/;UID=2"


@pytest.fixture
def house() -> ImapHouse:
    house = ImapHouse()
    house.put(*THREE)
    return house


@pytest.fixture
def ann(house: ImapHouse) -> Guest:
    return Guest(house)


@pytest.fixture
def bob(house: ImapHouse) -> Guest:
    guest = Guest(house, login=False)
    guest.say('l LOGIN bob@here.example "two words"')
    return guest


def made(guest: Guest, rump: str) -> str:
    """The URL with its token."""
    answer, end = guest.say(f'g GENURLAUTH "{rump}" INTERNAL')
    assert end == "g OK Done"
    url = answer.removeprefix("* GENURLAUTH ").strip('"')
    assert url.startswith(f"{rump}:internal:01")
    return url


def fetched(guest: Guest, url: str) -> str | None:
    """What the URL means to *guest*."""
    begin, *rest, end = guest.say(f'f URLFETCH "{url}"')
    assert end == "f OK Done"
    assert begin.startswith((f'* URLFETCH "{url}" ', f"* URLFETCH {url} "))
    if begin.endswith(" NIL"):
        assert not rest
        return None
    text = "\r\n".join(rest)
    assert begin.endswith(f" {{{len(text)}}}")
    return text


@pytest.mark.parametrize(("where", "text"), [
    pytest.param("", THREE[1].decode(), id="message"),
    pytest.param("/;SECTION=HEADER.FIELDS%20(SUBJECT)", "Subject: letter\r\n\r\n", id="fields"),
    pytest.param("/;SECTION=1", "plain", id="part"),
    pytest.param(";section=2.TEXT", "inside", id="text-of-a-message-inside"),
    pytest.param("/;SECTION=1/;PARTIAL=1.3", "lai", id="octets"),
    pytest.param("/;SECTION=9", None, id="no-such-part"),
    pytest.param("/;SECTION=FOO", None, id="no-such-section"),
])  # fmt: skip
def test_whoever_has_the_url_can_read_what_it_means(ann: Guest, bob: Guest, where: str, text: str | None) -> None:
    url = made(ann, f"{LETTER}{where};URLAUTH=anonymous")
    assert fetched(bob, url) == text
    assert fetched(ann, url) == text


def test_it_does_not_matter_what_is_selected_and_nothing_is_seen(ann: Guest, bob: Guest) -> None:
    bob.say("s SELECT INBOX")
    ann.say("s SELECT INBOX")
    assert fetched(bob, made(ann, f"{LETTER};URLAUTH=authuser")) == THREE[1].decode()
    assert ann.say("a FETCH 2 FLAGS") == ["* 2 FETCH (FLAGS (\\Recent))", "a OK Done"]


@pytest.mark.parametrize(("access", "for_ann", "for_bob"), [
    pytest.param("anonymous", True, True, id="anonymous"),
    pytest.param("authuser", True, True, id="authuser"),
    pytest.param("user+bob", False, True, id="bob"),
    pytest.param("user+ann%40here.example", True, False, id="ann"),
    pytest.param("user+nobody", False, False, id="nobody-here"),
    pytest.param("submit+bob", False, False, id="no-submission-server-fetches-here"),
])  # fmt: skip
def test_who_may_use_it(ann: Guest, bob: Guest, access: str, for_ann: bool, for_bob: bool) -> None:
    url = made(ann, f"{LETTER};URLAUTH={access}")
    assert [fetched(ann, url) is not None, fetched(bob, url) is not None] == [for_ann, for_bob]


def test_another_submission_server_logs_in_to_fetch_for_the_senders_whom_it_knows(house: ImapHouse, ann: Guest) -> None:
    house.settings["submission_servers"] = ["bob@here.example"]
    server = Guest(house, who='bob@here.example "two words"')
    assert fetched(server, made(ann, f"{LETTER};URLAUTH=submit+ann")) == THREE[1].decode()
    assert fetched(server, made(ann, f"{LETTER};URLAUTH=user+ann")) is None
    assert fetched(Guest(house), made(ann, f"{LETTER};URLAUTH=submit+ann")) is None, "its owner is no submission server"


def test_it_may_expire(house: ImapHouse, ann: Guest) -> None:
    assert fetched(ann, made(ann, f"{LETTER};EXPIRE=2026-11-21T03:20:00Z;URLAUTH=anonymous"))
    assert fetched(ann, made(ann, f"{LETTER};EXPIRE=2026-11-21T03:19:59Z;URLAUTH=anonymous")) is None


def test_nothing_of_it_can_be_changed(ann: Guest, bob: Guest) -> None:
    url = made(ann, f"{LETTER};URLAUTH=user+bob")
    assert fetched(bob, url) is not None
    changed = [url.replace("UID=2", "UID=1"), url.replace("user+bob", "anonymous"), url.replace("INBOX", "Drafts"), url[:-1] + "g",
               url.replace(":internal:01", ":internal:02"), url.replace(":internal:", ":other:"), url.partition(":internal")[0],
               url.replace("ann%40here", "bob%40here"), url.replace("imap.here", "imap.there"),
               url.replace("ann%40", "eve%40")]  # fmt: skip
    assert [fetched(bob, other) for other in changed] == [None] * len(changed)
    assert fetched(bob, url.upper().replace("IMAP://", "imap://")) is None


@pytest.mark.parametrize("rump", [
    pytest.param(LETTER, id="for-nobody"),
    pytest.param("/INBOX/;UID=2;URLAUTH=anonymous", id="no-server"),
    pytest.param("imap://imap.here.example/INBOX/;UID=2;URLAUTH=anonymous", id="no-user"),
    pytest.param("imap://bob@imap.here.example/INBOX/;UID=2;URLAUTH=anonymous", id="another-user"),
    pytest.param("imap://ann@imap.there.example/INBOX/;UID=2;URLAUTH=anonymous", id="another-server"),
    pytest.param(f"{HERE}/Nowhere/;UID=2;URLAUTH=anonymous", id="no-such-mailbox"),
    pytest.param(f"{HERE}/INBOX;URLAUTH=anonymous", id="mailbox"),
    pytest.param(f"{LETTER};URLAUTH=whoever", id="unknown-access"),
    pytest.param(f"{LETTER};URLAUTH=user+", id="no-name"),
    pytest.param(f"{LETTER};URLAUTH=anonymous:internal:" + "0" * 66, id="with-a-token"),
])  # fmt: skip
def test_for_what_no_token_is_made(ann: Guest, rump: str) -> None:
    (answer,) = ann.say(f'g GENURLAUTH "{rump}" INTERNAL')
    assert answer.startswith(f"g BAD [BADURL {rump}] ")


def test_the_short_name_of_a_user_will_do(ann: Guest) -> None:
    assert fetched(ann, made(ann, "imap://ann@IMAP.here.example:143/INBOX/;UID=2;URLAUTH=user+ann"))


def test_other_mechanisms_are_not_known(ann: Guest) -> None:
    assert ann.say(f'g GENURLAUTH "{LETTER};URLAUTH=anonymous" XSAMPLE') == ["g BAD The mechanism is called INTERNAL here"]
    assert ann.say("r RESETKEY INBOX XSAMPLE") == ["r NO The mechanism is called INTERNAL here"]


def test_a_new_key_ends_all_urls_of_a_mailbox(ann: Guest) -> None:
    ann.say("a APPEND Drafts {3+}\r\nabc")
    inbox, drafts = made(ann, f"{LETTER};URLAUTH=anonymous"), made(ann, f"{HERE}/Drafts/;UID=1;URLAUTH=anonymous")
    assert ann.say("r RESETKEY INBOX INTERNAL") == ["r OK [URLMECH INTERNAL] There is a new key"]
    assert (fetched(ann, inbox), fetched(ann, drafts)) == (None, "abc")
    inbox = made(ann, f"{LETTER};URLAUTH=anonymous")
    assert fetched(ann, inbox)
    assert ann.say("r RESETKEY") == ["r OK All keys are gone"]
    assert (fetched(ann, inbox), fetched(ann, drafts)) == (None, None)
    assert ann.say("r RESETKEY Nowhere")[0].startswith("r NO [NONEXISTENT]")


def test_keys_go_with_the_mailbox_and_are_for_nobody_s_eyes(house: ImapHouse, ann: Guest) -> None:
    ann.say("a APPEND Drafts {3+}\r\nabc")
    url = made(ann, f"{HERE}/Drafts/;UID=1;URLAUTH=anonymous")
    key = result_of(house.mailboxes().annotations("Drafts"))["/server/urlauth"].decode()
    said = [*ann.say("m GETMETADATA (DEPTH infinity) Drafts (/private /shared)"), *ann.say("m GETMETADATA Drafts /server/urlauth")]
    assert key not in " ".join(said)
    ann.say("n RENAME Drafts Elsewhere")
    assert fetched(ann, url) is None
    assert fetched(ann, made(ann, url.partition(":internal")[0].replace("Drafts", "Elsewhere"))) == "abc"


def test_who_fetches_makes_nothing(house: ImapHouse, bob: Guest) -> None:
    assert fetched(bob, f"{LETTER};URLAUTH=anonymous:internal:01" + "0" * 64) is None
    assert result_of(house.mailboxes().annotations("INBOX")) == {}
    assert fetched(bob, LETTER.replace("ann%40here.example", "eve") + ";URLAUTH=anonymous:internal:01" + "0" * 64) is None
    assert "eve" not in str(house.store._accounts)


def test_urls_outlive_a_restart(tmp_path: Path) -> None:
    def begin() -> ImapHouse:
        return ImapHouse(store=DiskStore(tmp_path, None, disk.InlineCommitter(), Inline(), now=lambda: 1795231200.0))

    house = begin()
    house.put(*THREE)
    guest = Guest(house)
    url = made(guest, f"{LETTER};URLAUTH=anonymous")
    guest.leave()
    house.store.close()
    house = begin()
    guest = Guest(house)
    assert fetched(guest, url) == THREE[1].decode()
    guest.leave()
    house.store.close()
