"""Rights, identifiers and access lists (RFC 4314)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail import acl
from twistmail.mail.acl import ALL, Acl, RightsChange
from twistmail.mail.circles import Circles, Role
from twistmail.mail.mailbox import StoreError

ANN = "ann@here.example"


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        pytest.param("", "", id="none"),
        pytest.param("lrs", "lrs", id="some"),
        pytest.param("lrlrl", "lr", id="repeated"),
        pytest.param("c", "kx", id="the-create-of-RFC-2086"),
        pytest.param("d", "et", id="the-delete-of-RFC-2086"),
        pytest.param("lrswicda", "lrswikxeta", id="as-an-old-client-says-it"),
        pytest.param("lrswipkxtea", "lrswipkxtea", id="all"),
    ],
)
def test_rights_are_read(text, letters):
    assert acl.read(text) == frozenset(letters)


@pytest.mark.parametrize("text", ["L", "lrQ", "q", "0", "l r", "lr+", "ä", "\0", "\r"])
def test_what_is_no_right_is_refused(text):
    with pytest.raises(ValueError, match=r"case|no right") as caught:
        acl.read(text)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("rights", "told"),
    [
        pytest.param("", "", id="none"),
        pytest.param("rl", "lr", id="in-order"),
        pytest.param("k", "kc", id="one-member-of-create"),
        pytest.param("x", "xc", id="the-other"),
        pytest.param("t", "td", id="one-member-of-delete"),
        pytest.param("aetxkpiwsrl", "lrswipkxteacd", id="all"),
    ],
)
def test_rights_are_told_with_those_that_old_clients_know(rights, told):
    assert acl.told(frozenset(rights)) == told


@given(st.frozensets(st.sampled_from(acl.LETTERS)))
def test_what_is_told_can_be_read_only_where_the_virtual_rights_add_nothing(rights):
    assert rights <= acl.read(acl.told(rights))
    assert acl.read("".join(rights)) == rights


@pytest.mark.parametrize(("flag", "right"), [("\\Seen", "s"), ("\\SEEN", "s"), ("\\Deleted", "t"), ("\\Draft", "w"), ("Junk", "w")])
def test_each_class_of_flags_has_its_right(flag, right):
    assert acl.right_for(flag) == right
    assert acl.permitted((flag,), ALL) == (flag,)
    assert acl.permitted((flag,), ALL - {right}) == ()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("anyone", "anyone", id="anyone"),
        pytest.param("Anyone", "anyone", id="in-any-case"),
        pytest.param("authenticated", "authenticated", id="authenticated"),
        pytest.param("owner", "owner", id="owner"),
        pytest.param("-anyone", "-anyone", id="negative"),
        pytest.param("group=Office", "group=Office", id="group"),
        pytest.param("-GROUP=Office", "-group=Office", id="negative-group"),
        pytest.param("ann", ANN, id="a-name-without-domain"),
        pytest.param("Ann@Here.Example", ANN, id="an-address-in-any-case"),
        pytest.param("-ann", "-" + ANN, id="negative-user"),
        pytest.param("a\u00adnn", ANN, id="what-cannot-be-seen-is-dropped"),
        pytest.param("\uff41nn", ANN, id="wide-letters"),
    ],
)
def test_an_identifier_is_kept_in_one_form(text, kept):
    assert acl.identifier(text, "here.example") == kept
    assert acl.identifier(kept, "here.example") == kept


@pytest.mark.parametrize("text", ["", "-", "\u00ad", "a\0b", "ann\u0000", "\ue000", "\u0627x", "a" * 400, "two words", "@here.example"])
def test_what_can_be_no_identifier_is_refused(text):
    with pytest.raises(ValueError):
        acl.identifier(text, "here.example")


LIST = Acl(
    {
        ANN: frozenset("lr"),
        "group=office": frozenset("sw"),
        "anyone": frozenset("l"),
        "authenticated": frozenset("p"),
        "owner": ALL,
        "-bob@here.example": frozenset("sp"),
        "-group=guests": frozenset("rl"),
    }
)


@pytest.mark.parametrize(
    ("account", "groups", "owns", "rights"),
    [
        pytest.param("carol@here.example", (), False, "lp", id="a-stranger"),
        pytest.param(ANN, (), False, "lrp", id="a-user"),
        pytest.param(ANN, ("office",), False, "lrswp", id="with-his-groups"),
        pytest.param("bob@here.example", ("office",), False, "lw", id="negative-rights-win"),
        pytest.param(ANN, ("guests",), False, "p", id="negative-rights-of-a-group-win-over-a-user's-own"),
        pytest.param("carol@here.example", (), True, acl.LETTERS, id="the-owner"),
        pytest.param("group=office", (), False, "lp", id="no-login-is-a-group"),
        pytest.param("-bob@here.example", (), False, "lp", id="no-login-is-a-negative-right"),
    ],
)
def test_rights_are_those_of_all_identifiers_but_for_the_negative_ones(account, groups, owns, rights):
    assert LIST.rights_of(acl.identifiers(account, groups, owns=owns)) == frozenset(rights)


@pytest.mark.parametrize(
    ("change", "given_rights", "left"),
    [
        pytest.param(RightsChange.SET, "swi", "swi", id="set"),
        pytest.param(RightsChange.ADD, "swi", "lrswi", id="add"),
        pytest.param(RightsChange.REMOVE, "ri", "l", id="remove"),
        pytest.param(RightsChange.REMOVE, "lr", "", id="remove-all"),
    ],
)
def test_a_list_changes(change, given_rights, left):
    after = LIST.changed(ANN, change, frozenset(given_rights))
    assert after.entries[ANN] == frozenset(left)
    assert {**after.entries, ANN: frozenset("lr")} == LIST.entries
    assert (ANN in dict(after.told())) == bool(left)
    assert after.without(ANN).entries.keys() == LIST.entries.keys() - {ANN}


def test_a_list_has_an_end():
    full = Acl({f"u{number}@here.example": frozenset("l") for number in range(acl.MOST_ENTRIES)})
    assert full.changed("u0@here.example", RightsChange.ADD, frozenset("r"))
    with pytest.raises(StoreError, match="at most"):
        full.changed("one@more.example", RightsChange.ADD, frozenset("r"))


def test_a_list_says_otherwise_than_the_house():
    house = Acl({"owner": ALL, ANN: ALL})
    assert acl.NOBODY.over(house) == house
    assert Acl({ANN: frozenset()}).over(house).rights_of({ANN}) == frozenset()
    assert Acl({ANN: frozenset("l")}).over(house).rights_of({ANN, "owner"}) == ALL


identifiers = st.sampled_from(["anyone", "owner", "group=a b", "group=ü", "-anyone", ANN])


@given(st.dictionaries(identifiers, st.frozensets(st.sampled_from(acl.LETTERS))))
def test_a_list_is_kept_as_it_is(entries):
    assert acl.load(Acl(entries).dump()) == Acl(entries)


@pytest.mark.parametrize("kept", [b"", b"[]", b"{", b'{"ann": 1}', b'{"ann": "q"}', b"null", b"\xff", b'"x"'])
def test_what_is_no_list_is_an_error(kept):
    with pytest.raises(ValueError):
        acl.load(kept)


CIRCLES = Circles(
    {"office": frozenset({ANN, "bob@here.example"})},
    {"info@here.example": Role(("group=office", "carol@here.example"), frozenset("lrs"), ("carol@here.example",))},
)


@pytest.mark.parametrize(("name", "belongs"), [("ann", True), ("bob", True), ("carol", True), ("dan", False)])
def test_who_belongs_to_a_role(name, belongs):
    account = f"{name}@here.example"
    assert CIRCLES.sends_for(account, "info@here.example") == (name == "carol")
    assert not CIRCLES.sends_for(account, "sales@here.example")
    assert CIRCLES.roles["info@here.example"].acl.grants(acl.identifiers(account, CIRCLES.groups_of(account))) == belongs
