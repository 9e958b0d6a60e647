"""What becomes of a name in a query, a filter and a DN: never a part of the language."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.accounts.templates import FILTER, Query, Template, escape_dn, escape_filter

ANN = "ann@here.example"
EVIL = "x' OR '1'='1"


def bound(query: str, name: str = ANN) -> tuple[str, list[str]]:
    """The statement with $ for every value, and the values."""
    values: list[str] = []

    def parameter(value: str) -> str:
        values.append(value)
        return "$"

    return Query.read(query).statement(name, parameter), values


@pytest.mark.parametrize(("query", "statement", "values"), [
    pytest.param("SELECT 1 WHERE a = %u", "SELECT 1 WHERE a = $", [ANN], id="bare"),
    pytest.param("SELECT 1 WHERE a = '%u'", "SELECT 1 WHERE a = $", [ANN], id="quoted-as-dovecot-wants"),
    pytest.param("SELECT 1 WHERE a = '%n@%d'", "SELECT 1 WHERE a = $", [ANN], id="two-in-one-text"),
    pytest.param("WHERE n='%Ln' AND d='%Ld'", "WHERE n=$ AND d=$", ["ann", "here.example"], id="lower-case"),
    pytest.param("WHERE n=%{username} AND d = '%{domain}'", "WHERE n=$ AND d = $", ["ann", "here.example"], id="long-names"),
    pytest.param("WHERE n=%{user | username}", "WHERE n=$", ["ann"], id="long-names-of-dovecot-2.4"),
    pytest.param("WHERE a LIKE '%n+%%'", "WHERE a LIKE $", ["ann+%"], id="pattern"),
    pytest.param("WHERE a = '%n+%%'", "WHERE a = $", ["ann+%"], id="percent-in-a-value"),
    pytest.param("WHERE a % 2 = 0".replace("%", "%%"), "WHERE a % 2 = 0", [], id="percent-sign"),
    pytest.param("WHERE a LIKE 'x%%'", "WHERE a LIKE 'x%'", [], id="percent-in-a-text"),
    pytest.param("SELECT 'it''s %n'", "SELECT $", ["it's ann"], id="doubled-quote"),
    pytest.param("SELECT 'it''s'", "SELECT 'it''s'", [], id="text-without-variable-stays"),
    pytest.param('SELECT "a%%b", `c`', 'SELECT "a%b", `c`', [], id="names"),
    pytest.param("SELECT 1 -- what's %u\nWHERE a=%u", "SELECT 1 -- what's %u\nWHERE a=$", [ANN], id="line-comment"),
    pytest.param("SELECT /* it's */ 4 / 2 - 1", "SELECT /* it's */ 4 / 2 - 1", [], id="comment-and-operators"),
    pytest.param("SELECT '\\d' WHERE a=%u", "SELECT '\\d' WHERE a=$", [ANN], id="backslash-in-a-text"),
])  # fmt: skip
def test_every_variable_of_a_query_becomes_a_value(query: str, statement: str, values: list[str]) -> None:
    assert bound(query) == (statement, values)


def test_a_name_in_a_pattern_is_no_pattern() -> None:
    for like in ("LIKE", "not ilike /* x */", "LIKE\n"):
        assert bound(f"WHERE a {like} '%n%%'", "a_%\\b@here.example")[1] == ["a\\_\\%\\\\b%"]
    assert bound("WHERE a LIKE 'x%%' AND b = %n", "a_b@here.example")[1] == ["a_b"]


def test_what_looks_like_sql_in_a_name_stays_a_value() -> None:
    assert bound("WHERE a='%u' AND n=%n", f"{EVIL}@here.example") == ("WHERE a=$ AND n=$", [f"{EVIL}@here.example", EVIL])


@given(st.text(max_size=30), st.sampled_from(["%u", "'%u'", "'%n@%d'", "lower('%d')", "'%%%n'"]))
@settings(max_examples=100, deadline=None)
def test_no_name_changes_the_statement(name: str, where: str) -> None:
    query = f"SELECT a FROM b WHERE c = {where}"
    assert bound(query, name)[0] == bound(query)[0]


@pytest.mark.parametrize(("query", "says"), [
    pytest.param("WHERE a = %x", "%x is not a variable", id="unknown-letter"),
    pytest.param("WHERE a = %{home}", "%{home} is not a variable", id="unknown-word"),
    pytest.param("WHERE a LIKE 'x%'", "% is not a variable", id="percent-alone"),
    pytest.param("WHERE p = '%w'", "a password is compared here", id="password"),
    pytest.param('WHERE a = "%u"', "cannot hold a variable", id="variable-in-a-name"),
    pytest.param("WHERE a = 'x", "does not end", id="open-text"),
    pytest.param("WHERE a = 'x\\'", "does not end", id="backslash-before-a-quote"),
    pytest.param("SELECT /* x", "does not end", id="open-comment"),
    pytest.param("WHERE a ~* '^%n'", "behind ~\\*", id="regular-expression"),
    pytest.param("WHERE a NOT REGEXP %u", "behind REGEXP", id="regular-expression-of-mysql"),
    pytest.param("WHERE a = '\\d%u'", "what a backslash means", id="backslash-beside-a-variable"),
])  # fmt: skip
def test_a_query_that_cannot_be_meant_is_refused(query: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Query.read(query)


@pytest.mark.parametrize(("name", "filled"), [
    pytest.param(ANN, "(&(mail=ann@here.example)(uid=ann))", id="plain"),
    pytest.param("*@here.example", r"(&(mail=\2a@here.example)(uid=\2a))", id="star"),
    pytest.param("x)(uid=*@here.example", r"(&(mail=x\29\28uid=\2a@here.example)(uid=x\29\28uid=\2a))", id="parentheses"),
    pytest.param("a\\b\0@here.example", r"(&(mail=a\5cb\00@here.example)(uid=a\5cb\00))", id="backslash-and-nul"),
])  # fmt: skip
def test_a_name_in_a_filter_is_only_a_value(name: str, filled: str) -> None:
    assert FILTER.read("(&(mail=%u)(uid=%n))").fill(name, escape_filter) == filled


@given(st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_no_name_adds_a_parenthesis_or_a_star_to_a_filter(name: str) -> None:
    filled = FILTER.read("(uid=%u)").fill(name, escape_filter)
    assert (filled.count("("), filled.count(")"), filled.count("*"), filled.count("\0")) == (1, 1, 0, 0)


@pytest.mark.parametrize("text", ["mail=%u", "(mail=%u", "(mail=%u))", ")(mail=%u)(", ""])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a search filter"):
        FILTER.read(text)


def test_a_filter_is_written_as_it_was_read() -> None:
    assert FILTER.write(FILTER.read("(&(mail=%Lu)(cn=100%%))")) == "(&(mail=%u)(cn=100%%))"


@pytest.mark.parametrize(("value", "escaped"), [
    pytest.param("ann", "ann", id="plain"),
    pytest.param("ann,ou=admins", r"ann\,ou\=admins", id="comma-and-equals"),
    pytest.param("#ann ", r"\#ann\ ", id="at-the-edges"),
    pytest.param(" ", r"\ ", id="one-space"),
    pytest.param('a"b+c<d>e;f\\g\0', r"a\"b\+c\<d\>e\;f\\g\00", id="all-others"),
])  # fmt: skip
def test_a_name_in_a_dn_is_only_a_value(value: str, escaped: str) -> None:
    assert escape_dn(value) == escaped


def test_a_bare_name_has_no_domain() -> None:
    assert Template.read("%u|%n|%d").fill("ann@") == "ann|ann|"
    assert Template.read("%u|%n|%d").fill("a@b@") == "a@b|a@b|"
