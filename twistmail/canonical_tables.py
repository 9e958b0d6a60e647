"""What [canonical] names: plain tables, sendmail's domaintable, and tables of regular expressions (regexp_table(5), pcre_table(5) of
Postfix), as one kind.

`way_in` has them watched, `checks` looks whether they can be read. An expression is held against the whole address, in its domain,
as it was written; what it leads to is one address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twistmail.aliases.regexp import Rules, Template
from twistmail.canonical import table
from twistmail.canonical.table import Found
from twistmail.mail.address import Address
from twistmail.watched import Broken


class Expressions:
    """The rules in *text* as a `canonical.table.Table`. Broken, with everything that is wrong."""

    def __init__(self, text: str) -> None:
        self._rules = Rules(text)
        wrong = [
            (rule.line, f"{rule.text} wants one address behind it")
            for rule in self._rules.rules
            if rule.results and not (len(rule.results) == 1 and isinstance(rule.results[0], Address | Template))
        ]
        if wrong:
            raise Broken(wrong)

    def __len__(self) -> int:
        return len(self._rules)

    def find(self, address: Address, keys: Iterable[tuple[Address, str]]) -> Found | None:
        found = self._rules.find(str(address))
        if found is None or not isinstance(found[1][0], Address):
            return None
        return Found(found[0].line, found[1][0])


def table_at(word: str) -> tuple[str, Callable[[str], Any]]:
    """The file that *word*, a value of [canonical], names, and what reads it."""
    for kind, reads in KINDS.items():
        if word.startswith(kind):
            return word.removeprefix(kind), reads
    return word, table.parse


#: What stands before the name of a file that is no plain table, and what reads it.
KINDS: dict[str, Callable[[str], Any]] = {"regexp:": Expressions, "pcre:": Expressions, "domaintable:": table.parse_domains}
