"""Tables of regular expressions, in the syntax of regexp_table(5) and pcre_table(5) of Postfix. Pure.

    /^(.*)-outgoing@(.*)$/        $1@$2
    !/@blue\\.example$/           anna@blue.example
    if /^sales/
    /^sales-(de|fr)@/             $1@sales.example, archive@blue.example
    endif
    ~^old~                        error:nouser 550 Nobody is called so any more

The first rule that fits answers; every rule is held against the whole address.
Letters count in either case, unless the flag `i` says otherwise. Expressions take linear time
(`policy.patterns`), so nobody can keep the server busy with an address. What a stranger
has written is put into addresses only: with `$1` in it, a right side is one address, and never
a file or a program, whatever `$1` is (Postfix forbids it in aliases altogether).
"""

from __future__ import annotations

import re

from twistmail.aliases import items, scan
from twistmail.aliases.items import Item
from twistmail.aliases.listed import Listed
from twistmail.aliases.parse import MOST_PROBLEMS, contradictions
from twistmail.aliases.virtual import built
from twistmail.mail.address import Address
from twistmail.mail.values import frozen
from twistmail.policy.groups import groups_in
from twistmail.policy.patterns import Pattern, PatternError
from twistmail.watched import Broken

MOST_RULES = 2000
MOST_NESTED = 50
#: Steps of an expression whose groups are used: each may have to be looked at for each letter of an address.
MOST_STEPS = 400
#: What one expression may remember of the addresses that it has seen: there are many expressions, and many strangers.
MEMORY = 2000

_IF = re.compile(r"if[ \t]*(!?)[ \t]*(?=[^\sA-Za-z0-9])", re.IGNORECASE)
_RULE = re.compile(r"(!?)[ \t]*(?=[^\sA-Za-z0-9])")
_SUBSTITUTE = re.compile(r"\$(?:(\$)|(\d{1,2})|\{(\d{1,2})\}|\((\d{1,2})\))")
#: Flags that change nothing in an address, which is one line.
_HARMLESS = frozenset("ms")


@frozen
class Template:
    """An address with gaps in it, `$1`: what stands before the last @ and behind it (None: nothing does)."""

    local: str
    domain: str | None

    def filled(self, groups: tuple[str, ...]) -> Address:
        """ValueError where that makes no address."""
        return built(_filled(self.local, groups), None if self.domain is None else _filled(self.domain, groups))


@frozen
class Rule:
    """One line. `otherwise`: it holds where the expression does not fit. `behind`: where to go on if it does not hold, of an `if`."""

    line: int
    pattern: Pattern
    otherwise: bool
    results: tuple[Item | Template, ...] = ()
    text: str = ""
    behind: int = 0

    def holds(self, text: str) -> bool:
        return self.pattern.found_in(text) is not self.otherwise


class Rules:
    """The rules of *text*. Broken, with everything that is wrong."""

    def __init__(self, text: str) -> None:
        self.rules: list[Rule] = []
        self._open: list[int] = []
        problems: scan.Problems = []
        scanner = scan.Scanner(text, problems)
        while len(problems) < MOST_PROBLEMS and (found := scanner.next()):
            try:
                self._read(found.text.strip(), found.line)
            except ValueError as error:
                problems.append((found.line, str(error).replace("\n", "; ")))
            if len(self.rules) > MOST_RULES:
                problems.append((found.line, f"there are more than {MOST_RULES} rules"))
                break
        problems += [(self.rules[place].line, "this if has no endif") for place in self._open]
        if problems:
            raise Broken(problems)

    def __len__(self) -> int:
        return sum(bool(rule.results) for rule in self.rules)

    def find(self, text: str) -> tuple[Rule, tuple[Item, ...]] | None:
        """The first rule that holds for *text*, and what it leads to; None where none does, or where that makes no address."""
        place = 0
        while place < len(self.rules):
            rule = self.rules[place]
            holds = rule.holds(text)
            if holds and rule.results:
                return _led(rule, text)
            place = place + 1 if holds or rule.results else rule.behind
        return None

    def listed(self, path: str) -> list[Listed]:
        return [Listed(rule.text, tuple(map(_written, rule.results)), f"{path}:{rule.line}") for rule in self.rules
                if rule.results]  # fmt: skip

    def _read(self, text: str, line: int) -> None:
        if text.split(None, 1)[0].lower() == "endif":
            if not self._open:
                raise ValueError("this endif closes nothing")
            place = self._open.pop()
            was = self.rules[place]
            self.rules[place] = Rule(was.line, was.pattern, was.otherwise, behind=len(self.rules))
            return
        if match := _IF.match(text):
            pattern, rest = _pattern(text, match.end())
            if rest and not rest.startswith("#"):
                raise ValueError(f"{rest!r} stands behind an if; write it into a line of its own")
            if len(self._open) >= MOST_NESTED:
                raise ValueError(f"more than {MOST_NESTED} ifs are open")
            self._open.append(len(self.rules))
            self.rules.append(Rule(line, pattern, bool(match[1])))
            return
        match = _RULE.match(text)
        if match is None:
            raise ValueError(f"{text.split()[0]} is no expression; write /^name@/ anna@blue.example, say")
        pattern, rest = _pattern(text, match.end())
        results = _results(rest, 0 if match[1] else pattern.groups)
        if any(isinstance(one, Template) for one in results) and len(pattern.marked) > MOST_STEPS:
            raise ValueError("the expression is too long for one whose groups are used")
        self.rules.append(Rule(line, pattern, bool(match[1]), results, text.removesuffix(rest).strip()))


def _pattern(text: str, at: int) -> tuple[Pattern, str]:
    """The expression that begins at *at* with its delimiter, and what stands behind its flags. ValueError."""
    delimiter, begins = text[at], at + 1
    at = begins
    while at < len(text) and text[at] != delimiter:
        at += 2 if text[at] == "\\" else 1
    if at >= len(text):
        raise ValueError(f"the expression has no {delimiter} at its end")
    flags, _, rest = text[at + 1 :].partition(" ")
    flags, _, more = flags.partition("\t")
    if unknown := set(flags) - _HARMLESS - {"i"}:
        raise ValueError(f"the flag {min(unknown)} is not done here; there is i (upper and lower case differ)")
    try:
        pattern = Pattern(text[begins:at].replace(f"\\{delimiter}", delimiter), folded=flags.count("i") % 2 == 0, memory=MEMORY)
    except PatternError as error:
        raise ValueError(str(error)) from None
    return pattern, f"{more} {rest}".strip()


def _results(text: str, groups: int) -> tuple[Item | Template, ...]:
    read = [_result(word, groups) for _, word in items.split(text)]
    if wrong := contradictions([Address("x") if isinstance(item, Template) else item for item in read]):
        raise ValueError(f"the expression {wrong[0]}")
    return tuple(read)


def _result(word: str, groups: int) -> Item | Template:
    found = list(_SUBSTITUTE.finditer(word))
    if not found:
        return items.read(word)
    for one in found:
        number = _number(one)
        if number is not None and not 1 <= number <= groups:
            raise ValueError(f"{one[0]} is no group of this expression, which has {groups}")
    local, sign, domain = word.rpartition("@") if "@" in word else (word, "", "")
    bare = _SUBSTITUTE.sub("x", local)
    if word[0] in '/|:"\\' or not re.fullmatch(r"[A-Za-z0-9._+=-]+", bare):
        raise ValueError(f"{word!r} is not an address: what a stranger writes is put into addresses only")
    template = Template(local, domain if sign else None)
    if sign and not _SUBSTITUTE.search(domain):
        template.filled(("x",) * groups)
    return template


def _number(found: re.Match[str]) -> int | None:
    """Which group; None for $$."""
    return None if found[1] else int(found[2] or found[3] or found[4])


def _filled(template: str, groups: tuple[str, ...]) -> str:
    return _SUBSTITUTE.sub(lambda one: "$" if (number := _number(one)) is None else groups[number - 1], template)


def _led(rule: Rule, text: str) -> tuple[Rule, tuple[Item, ...]] | None:
    """What *rule* makes of *text*."""
    if not any(isinstance(result, Template) for result in rule.results):
        return rule, rule.results  # type: ignore[return-value]
    groups = groups_in(rule.pattern, text) or ()
    try:
        return rule, tuple(one.filled(groups) if isinstance(one, Template) else one for one in rule.results)
    except (ValueError, IndexError):
        return None


def _written(result: Item | Template) -> str:
    if isinstance(result, Template):
        return result.local if result.domain is None else f"{result.local}@{result.domain}"
    return str(result)
