"""Questions to directories, written once by the operator and asked for every name: SQL queries, LDAP filters and DNs.

In all of them `%u` is the whole address, `%n` what stands before the @, `%d` the
domain, `%%` a percent sign, as Dovecot spells it (also `%Lu`, `%{user}`,
`%{username}`, `%{domain}`). A name never becomes part of a query: in SQL each
variable, or the quoted text that it stands in, becomes one bound parameter; in
filters, DNs and the patterns of LIKE the characters that mean something there
are escaped. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from twistmail.mail.values import frozen
from twistmail.options import Kind

VARIABLES = "%u (address), %n (before the @), %d (domain) and %% (a percent sign)"
#: The same three in Dovecot's long spellings, those of its version 2.4 too.
_LONG = {"user": "u", "username": "n", "domain": "d", "user|username": "n", "user|domain": "d"}
_VARIABLE = re.compile(r"%(?:L?([A-Za-z%])|\{([^{}]{0,40})\})?")
#: What a query consists of for us: quoted text and names, comments, variables, and all that lies between.
_SQL = re.compile(r"""
    (?P<text>    '(?:[^'\\]|''|\\[^'])*' )
  | (?P<name>    "[^"]*" | `[^`]*` )
  | (?P<comment> --[^\n]* | /\*.*?\*/ )
  | (?P<open>    ['"`] | /\* )
  | (?P<percent> %(?:L?[A-Za-z%]|\{[^{}]{0,40}\})? )
  | (?P<other>   [^'"`%/-]+ | . )
""", re.VERBOSE | re.DOTALL)  # fmt: skip
#: What makes a pattern of the value behind it; and a regular expression.
_LIKE = re.compile(r"(?i)\bI?LIKE\s*$")
_REGEX = re.compile(r"(?i)(\bREGEXP|\bRLIKE|\bSIMILAR\s+TO|!?~\*?)\s*$")


@frozen
class Variable:
    """One of "u", "n" and "d"."""

    letter: str

    def of(self, name: str) -> str:
        """Its value for *name*, a full address; for a local part without a domain (`ann@`) that is the address too."""
        local, _, domain = name.rpartition("@")
        return {"u": name if domain else local, "n": local, "d": domain}[self.letter]


@frozen
class Template:
    """Text with variables in it. `parts` are str and Variable. `is_pattern`: it is one of LIKE, and values in it are taken literally."""

    parts: tuple[str | Variable, ...]
    is_pattern: bool = False

    @classmethod
    def read(cls, text: str) -> Template:
        """ValueError where there is a variable that we do not know."""
        return cls(tuple(_parts(text)))

    def fill(self, name: str, escape: Callable[[str], str] = str) -> str:
        """The text for *name*; each value goes through *escape*."""
        return "".join(part if isinstance(part, str) else escape(part.of(name)) for part in self.parts)


def _parts(text: str) -> Iterator[str | Variable]:
    end = 0
    for match in _VARIABLE.finditer(text):
        if match.start() > end:
            yield text[end : match.start()]
        yield _variable(match[0], match[1], match[2])
        end = match.end()
    if end < len(text):
        yield text[end:]


def _variable(written: str, short: str | None, long: str | None) -> str | Variable:
    letter = _LONG.get(re.sub(r"\s", "", long)) if long is not None else short
    if written == "%%":
        return "%"
    if letter == "w" or (long or "").strip() == "password":
        raise ValueError(f"{written}: a password is compared here, and told to no database\nselect what is kept of it as password")
    if letter is None or letter not in "und":
        raise ValueError(f"{written} is not a variable\nthose that there are: {VARIABLES}")
    return Variable(letter)


# ----- SQL


@frozen
class Query:
    """An SQL query. `parts` are str, which is SQL as it was written, and Template, whose value for a name is one parameter."""

    parts: tuple[str | Template, ...]

    @classmethod
    def read(cls, text: str) -> Query:
        """ValueError where a variable stands where no value can, or a quotation does not end."""
        return cls(tuple(_sql_parts(text)))

    def statement(self, name: str, parameter: Callable[[str], str], literally: Callable[[str], str] = str) -> str:
        """The statement for *name*: *parameter*(value) stands for a value, *literally*(text) for written SQL."""
        return "".join(
            literally(part) if isinstance(part, str) else parameter(part.fill(name, escape_pattern if part.is_pattern else str))
            for part in self.parts
        )


def _sql_parts(query: str) -> Iterator[str | Template]:
    before = ""  # the SQL in front, without comments
    for match in _SQL.finditer(query):
        part = _sql_part(query, match)
        if isinstance(part, Template):
            if regex := _REGEX.search(before):
                raise ValueError(f"behind {regex[1]} a name would be a regular expression\nwrite = or LIKE")
            part = replace(part, is_pattern=bool(_LIKE.search(before)))
            before = ""
        elif match.lastgroup != "comment":
            before = before[-40:] + part
        yield part


def _sql_part(query: str, match: re.Match[str]) -> str | Template:
    """One piece of *query*: SQL as it was written, or a value."""
    written = match[0]
    if match.lastgroup == "open":
        raise ValueError(f"what begins with {query[match.start() : match.start() + 20]} does not end\nwrite '' for a quote in a text")
    if match.lastgroup == "percent":
        part = Template.read(written).parts[0]
        return part if isinstance(part, str) else Template((part,))
    if match.lastgroup == "text" and "%" in written:
        return _quoted(written)
    if match.lastgroup == "name":
        if any(isinstance(part, Variable) for part in Template.read(written).parts):
            raise ValueError(f"{written}: a name in double quotes cannot hold a variable\nwrite text in single quotes")
        return written.replace("%%", "%")
    return written


def _quoted(written: str) -> str | Template:
    """A text in single quotes: with variables it is a value as a whole (`'%n@%d'`), without it stays what it was."""
    template = Template.read(written[1:-1].replace("''", "'"))
    if not any(isinstance(part, Variable) for part in template.parts):
        return written.replace("%%", "%")
    if "\\" in written:
        raise ValueError(f"{written}: databases differ in what a backslash means there\nwrite it without")
    return template


def escape_pattern(value: str) -> str:
    """*value* as it stands in a pattern of LIKE, whose escape character is the backslash unless ESCAPE says otherwise."""
    return re.sub(r"[\\%_]", r"\\\g<0>", value)


# ----- LDAP


def escape_filter(value: str) -> str:
    """*value* as it stands in a search filter (RFC 4515 §3)."""
    return re.sub(r"[\\*()\0]", lambda match: f"\\{ord(match[0]):02x}", value)


def escape_dn(value: str) -> str:
    """*value* as it stands in a distinguished name (RFC 4514 §2.4)."""
    escaped = re.sub(r'[\\,+"<>;=]', r"\\\g<0>", value).replace("\0", "\\00")
    if escaped.startswith((" ", "#")):
        escaped = "\\" + escaped
    return escaped[:-1] + "\\ " if len(value) > 1 and value.endswith(" ") else escaped


def _read_filter(text: str) -> Template:
    depth = lowest = 0
    for step in re.findall(r"[()]", text):
        depth += 1 if step == "(" else -1
        lowest = min(lowest, depth)
    if not text.startswith("(") or depth or lowest < 0:
        raise ValueError(f"{text} is not a search filter\nwrite it in parentheses, such as (&(objectClass=person)(mail=%u))")
    return Template.read(text)


# ----- settings


def _written(parts: Sequence[str | Variable]) -> str:
    return "".join(part.replace("%", "%%") if isinstance(part, str) else f"%{part.letter}" for part in parts)


#: None where it is empty.
QUERY = Kind("an SQL query with %u, %n and %d", lambda text: Query.read(text) if text else None)
FILTER = Kind("a search filter with %u, %n and %d", _read_filter, lambda template: _written(template.parts))
#: None where it is empty.
TEMPLATE = Kind("text with %u, %n and %d", lambda text: Template.read(text) if text else None,
                lambda template: _written(template.parts) if template else "")  # fmt: skip
