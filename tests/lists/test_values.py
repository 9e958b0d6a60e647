"""The pure parts of mailing lists: addresses, tokens, what is known of a member, who may write."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.lists import notes, rights, sources
from twistmail.lists.names import Call, Role, address_of, called
from twistmail.lists.notes import DAY, FRESH, TRIAL, Note
from twistmail.lists.settings import LIST
from twistmail.lists.tokens import BOUNCE, LEAVE, Given, Tokens
from twistmail.mail.address import Address, parse
from twistmail.watched import Partly

NEWS, OTHER = parse("news@blue.test"), parse("news-owner@red.test")
NAMES = {NEWS, OTHER}
RULES = LIST.defaults(suspend_after=3, forget_after=10 * DAY, retry_after=7 * DAY)
NOW = 1_800_000_000.0

# ----- addresses


@pytest.mark.parametrize(("text", "call"), [
    pytest.param("news@blue.test", Call(NEWS, Role.POST), id="the-list"),
    pytest.param("news-owner@blue.test", Call(NEWS, Role.OWNER), id="its-owner"),
    pytest.param("news-bounces+abc@blue.test", Call(NEWS, Role.BOUNCES, "abc"), id="with-a-token"),
    pytest.param("news-bounces+a+b@blue.test", Call(NEWS, Role.BOUNCES, "a+b"), id="all-behind-the-first-plus-is-the-token"),
    pytest.param("news-owner@red.test", Call(OTHER, Role.POST), id="a-list-that-is-called-so"),
    pytest.param("news-owner-request@red.test", Call(OTHER, Role.REQUEST), id="and-its-own-addresses"),
    pytest.param("news-nothing@blue.test", None, id="no-such-address"),
    pytest.param("news-@blue.test", None, id="only-a-dash"),
    pytest.param("-owner@blue.test", None, id="no-name"),
    pytest.param("news-owner@green.test", None, id="another-domain"),
    pytest.param("news+owner@blue.test", None, id="a-suffix-is-the-expansion-s-business"),
])  # fmt: skip
def test_which_list_is_called_and_what_for(text: str, call: Call | None) -> None:
    assert called(parse(text), NAMES) == call


@given(st.sampled_from(sorted(Role, key=str)), st.text("abc234", max_size=20))
def test_what_is_put_together_is_taken_apart(role: Role, token: str) -> None:
    if role is Role.POST:
        token = ""
    assert called(address_of(NEWS, role, token), {NEWS}) == Call(NEWS, role, token)


@given(st.text(max_size=80))
def test_any_name_is_one_or_none(local: str) -> None:
    found = called(Address(local, "blue.test"), NAMES)
    assert found is None or found.name in NAMES


# ----- tokens


def test_a_token_stands_for_one_member_of_one_list_for_one_purpose() -> None:
    tokens, everybody = Tokens(b"secret"), [parse(f"M{number}@far.test") for number in range(100)]
    given = Given(tokens, NEWS, (LEAVE, BOUNCE))
    given.add(everybody)
    token = tokens.of(LEAVE, NEWS, everybody[42])
    assert given.whose(LEAVE, token) == parse("m42@far.test")
    assert given.whose(LEAVE, token.upper()) == parse("m42@far.test"), "the case may change on the way"
    others = [
        given.whose(BOUNCE, token),
        given.whose(LEAVE, tokens.of(LEAVE, OTHER, everybody[42])),
        given.whose(LEAVE, token[:-1]),
        given.whose(LEAVE, ""),
        given.whose(LEAVE, "\u00e4" * 16),
        given.whose(LEAVE, Tokens(b"another").of(LEAVE, NEWS, everybody[42])),
        given.whose(LEAVE, tokens.of(LEAVE, NEWS, parse("m100@far.test"))),
    ]
    assert others == [None] * len(others)


@pytest.mark.parametrize(("text", "expected"), [
    pytest.param(Tokens(b"x").of(LEAVE, NEWS, NEWS), True, id="a-token"),
    pytest.param("ABCDEFGHIJKLMN27", True, id="capitals"),
    pytest.param("a" * 15, False, id="too-short"),
    pytest.param("a" * 17, False, id="too-long"),
    pytest.param("abcdefghijklmn18", False, id="other-figures"),
    pytest.param("\u0130" * 8, False, id="letters-that-grow"),
    pytest.param("\u212a" * 16, True, id="a-sign-that-is-a-letter-folded"),
])  # fmt: skip
def test_what_may_be_a_token(text: str, expected: bool) -> None:
    assert Tokens(b"x").is_one(text) is expected


def test_the_longest_name_of_a_list_leaves_room_for_a_token() -> None:
    longest = address_of(Address("a" * 34, "blue.test"), Role.UNSUBSCRIBE, Tokens(b"x").of("leave", NEWS, NEWS))
    assert len(longest.local) <= 64


# ----- what is known of a member


def bounced_on(*days: float, note: Note = FRESH) -> Note:
    for day in days:
        note = notes.after_bounce(note, NOW + day * DAY, "550", RULES)
    return note


@pytest.mark.parametrize(("days", "bounces", "suspended"), [
    pytest.param((0,), 1, False, id="once"),
    pytest.param((0, 0.1, 0.5, 0.9), 1, False, id="often-on-one-day-is-once"),
    pytest.param((0, 1, 2), 3, True, id="on-three-days"),
    pytest.param((0, 1, 12), 1, False, id="what-is-long-past-is-forgotten"),
    pytest.param((0, 9, 18), 3, True, id="not-quite-so-long"),
    pytest.param((0, 1, 2, 3), 3, True, id="reports-behind-it-are-late-ones"),
])  # fmt: skip
def test_when_a_member_is_suspended(days: tuple[float, ...], bounces: int, suspended: bool) -> None:
    note = bounced_on(*days)
    assert (note.bounces, bool(note.suspended)) == (bounces, suspended)


def test_a_list_may_suspend_nobody() -> None:
    never = LIST.defaults(suspend_after=0)
    note = FRESH
    for day in range(100):
        note = notes.after_bounce(note, NOW + day * DAY, "550", never)
    assert not note.suspended


def test_a_suspended_member_is_tried_once_and_that_decides() -> None:
    note = notes.suspended(FRESH, NOW, "550")
    assert notes.at_post(note, NOW + 6.9 * DAY, RULES) == (False, note)
    sends, tried = notes.at_post(note, NOW + 7 * DAY, RULES)
    assert (sends, tried.tried) == (True, NOW + 7 * DAY)
    assert notes.at_post(tried, NOW + 7 * DAY + TRIAL - 1, RULES) == (False, tried)
    assert notes.at_post(tried, NOW + 7 * DAY + TRIAL, RULES) == (True, notes.resumed(tried))
    again = notes.after_bounce(tried, NOW + 8 * DAY, "551", RULES)
    assert (again.suspended, again.tried, again.why) == (NOW + 8 * DAY, 0.0, "551")


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 20))))
def test_whatever_happens_who_is_not_suspended_gets_what_is_sent(events: list[tuple[bool, float]]) -> None:
    note, now = replace(FRESH, subscribed=True), NOW
    for comes_back, days in events:
        now += days * DAY
        if comes_back:
            note = notes.after_bounce(note, now, "550", RULES)
        else:
            was_suspended = bool(note.suspended)
            sends, note = notes.at_post(note, now, RULES)
            assert sends or was_suspended
        assert note.subscribed
        assert note.bounces >= 0
        assert not (note.tried and not note.suspended)


# ----- who writes


EVE = "Eve@far.test"


@pytest.mark.parametrize(("sender", "header", "account", "writers"), [
    pytest.param(EVE, b"From: Eve <EVE@far.test>\r\n", (), ["eve@far.test"], id="a-stranger-is-whom-envelope-and-header-name"),
    pytest.param(EVE, b"From: bob@far.test\r\n", (), [], id="a-stranger-with-the-name-of-another"),
    pytest.param(EVE, b"From: eve@far.test, bob@far.test\r\n", (), [], id="a-stranger-who-is-two"),
    pytest.param(EVE, b"From: eve@far.test\r\nFrom: eve@far.test\r\n", (), [], id="a-stranger-who-says-it-twice"),
    pytest.param(EVE, b"From: eve@far.test, <>\r\n", (), [], id="a-stranger-and-nobody"),
    pytest.param(EVE, b"From: nobody, <>, undisclosed:;\r\n", (), [], id="no-author"),
    pytest.param(EVE, b"", (), [], id="no-header"),
    pytest.param(None, b"From: bob@far.test\r\n", (), [], id="no-sender"),
    pytest.param(EVE, b"From: x@y.test\r\n", ("eve@blue.test", "E@blue.test"), ["eve@blue.test", "e@blue.test"], id="a-user-is-himself"),
])  # fmt: skip
def test_who_a_message_is_from(sender: str | None, header: bytes, account: tuple[str, ...], writers: list[str]) -> None:
    post = rights.Post(parse(sender) if sender else None, header + b"\r\n", 10, account)
    assert [str(one) for one in post.writers] == writers


def test_whom_a_stranger_says_he_belongs_to() -> None:
    header = b"From: " + b"x@far.test," * 500 + b"\r\nFrom: Boss <boss@BLUE.test>, no, <>\r\n\r\n"
    assert rights.Post(parse("eve@Evil.test"), header, 10).claimed == {"far.test", "blue.test", "evil.test"}
    assert rights.Post(parse("eve@evil.test"), header, 10, ("ann@blue.test",)).claimed == frozenset()
    assert rights.Post(None, b"\r\n", 10).claimed == frozenset()


# ----- files of members


def test_a_file_of_members() -> None:
    text = '# all\n\n anna@blue.test # chief\nBert "B" <bert@blue.test>\r\nbert\nno address\n\x00\n<>\n' + "x" * 5000 + "\n"
    found = sources.read(text)
    assert isinstance(found, Partly)
    assert [str(one) for one in found.value] == ["anna@blue.test", "bert@blue.test", "bert"]
    assert [line for line, _ in found.problems] == [6, 7, 8, 9]


@pytest.mark.parametrize("text", ["", "\n", "# nobody\n", "no, body\n"])
def test_a_file_of_nobody_takes_no_other_s_place(text: str) -> None:
    assert (sources.read(text).value, sources.read(text).is_hollow) == ((), True)
    assert not sources.read(text + "bob").is_hollow


def test_a_list_has_an_end() -> None:
    found = sources.read("a@b.test\n" * (sources.MOST_MEMBERS + 10))
    assert len(found.value) == sources.MOST_MEMBERS
    assert [line for line, _ in found.problems] == [sources.MOST_MEMBERS + 1]
