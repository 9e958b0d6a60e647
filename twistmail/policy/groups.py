"""What the groups of an expression fit, found in linear time (Pike's machine over the programs of `patterns`). Pure.

The places of the program at which a match could be are kept in order: the first of
them is what Perl would try first. So of several matches it is Perl's that is
found, without ever going back; each place is looked at once for each letter.
"""

from __future__ import annotations

from twistmail.policy.patterns import WORD_LETTERS, Edge, Fork, Letters, Mark, Pattern, Program

#: What the groups fit so far: (begin, end) of each, -1 where it has not begun.
_Saves = tuple[int, ...]


def groups_in(pattern: Pattern, text: str) -> tuple[str, ...] | None:
    """What the groups of the first match of *pattern* in *text* fit, "" where one was passed by; None where nothing fits."""
    program, count = pattern.marked, pattern.groups
    found: _Saves | None = None
    waiting: list[tuple[int, _Saves]] = []
    for at in range(len(text) + 1):
        seen: set[int] = set()
        here: list[tuple[int, _Saves]] = []
        for place, saves in waiting:
            _reach(program, place, saves, text, at, seen, here)
        if found is None:
            _reach(program, 0, (-1,) * (2 * count), text, at, seen, here)
        waiting = []
        for place, saves in here:
            if place == len(program):
                found = saves
                break  # those behind it are worse
            step = program[place]
            assert isinstance(step, Letters)
            if at < len(text) and step.has(text[at]):
                waiting.append((place + 1, saves))
        if not waiting and found is not None:
            break
    if found is None:
        return None
    return tuple(text[found[2 * number] : found[2 * number + 1]] if found[2 * number + 1] >= 0 else "" for number in range(count))


def _reach(program: Program, place: int, saves: _Saves, text: str, at: int, seen: set[int], here: list[tuple[int, _Saves]]) -> None:
    """Add to *here* the steps that read a letter, and the end, to which *place* leads without reading one; the best first."""
    stack = [(place, saves)]
    while stack:
        place, saves = stack.pop()
        if place in seen:
            continue
        seen.add(place)
        step = program[place] if place < len(program) else None
        if isinstance(step, Fork):
            stack.extend((place + way, saves) for way in reversed(step.ways))
        elif isinstance(step, Mark):
            stack.append((place + 1, (*saves[: step.number], at, *saves[step.number + 1 :])))
        elif isinstance(step, Edge):
            if _holds(step, text, at):
                stack.append((place + 1, saves))
        else:
            here.append((place, saves))


def _holds(edge: Edge, text: str, at: int) -> bool:
    if edge.kind == "^":
        return at == 0
    if edge.kind == "$":
        return at == len(text)
    before = at > 0 and WORD_LETTERS.has(text[at - 1])
    behind = at < len(text) and WORD_LETTERS.has(text[at])
    return (before is not behind) is (edge.kind == "b")
