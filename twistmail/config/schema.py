"""What may stand in the configuration, and what somebody probably meant who wrote something else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from twistmail.config.problem import Place, Problem, error
from twistmail.options import Option, Section

#: How alike a suggestion must be (difflib's ratio).
ALIKE = 0.6


class Schema:
    """The declared sections, found by the names that stand in a file. `[route:partner.example]` belongs to pattern "route"."""

    def __init__(self, sections: Iterable[Section]) -> None:
        #: Once each: several parts may share a section.
        self.sections = tuple({(section.name, section.pattern): section for section in sections}.values())
        self._plain = {section.name: section for section in self.sections if not section.pattern}
        self._patterns = {section.name: section for section in self.sections if section.pattern}

    def __iter__(self) -> Iterator[Section]:
        return iter(self.sections)

    def find(self, name: str) -> Section | None:
        """The Section that `[name]` belongs to."""
        stem, colon, rest = name.partition(":")
        return self._patterns.get(stem) if colon and rest.strip() else self._plain.get(name)

    def option(self, section: str, key: str) -> Option | None:
        found = self.find(section)
        return found.option(key) if found else None

    def unknown_section(self, place: Place, name: str) -> Problem:
        """Says that there is no `[name]`, and which one was probably meant."""
        stem, colon, rest = name.partition(":")
        if stem in self._patterns:
            return error(place, f"[{name}] needs a name", f"write [{stem}:NAME]")
        if colon and stem in self._plain:
            return error(place, f"[{stem}] takes no name", f"write [{stem}]")
        known = self._patterns if colon else self._plain
        matches = get_close_matches(stem.lower(), known, 1, ALIKE)
        suggestion = f"did you mean [{matches[0]}{colon}{rest}]?" if matches else f"sections: {', '.join(sorted(self._plain))}"
        return error(place, f"unknown section [{name}]", suggestion)

    def unknown_key(self, place: Place, name: str, key: str) -> Problem:
        """Says that `[name]` has no *key*, and which one was probably meant or where it belongs."""
        return error(place, f'unknown key "{key}" in [{name}]', self._meant(name, key))

    def _meant(self, name: str, key: str) -> str:
        section = self.find(name)
        assert section is not None
        if matches := get_close_matches(key, [option.key for option in section.options], 1, ALIKE):
            return f'did you mean "{matches[0]}"?'
        if homes := [other.name for other in self.sections if other.option(key)]:
            return f'"{key}" belongs in ' + " or ".join(f"[{home}]" for home in homes)
        return f"keys: {', '.join(option.key for option in section.options)}" if section.options else f"[{name}] has no keys"
