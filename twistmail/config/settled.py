"""The configuration as the program sees it: frozen, converted, and every value knows where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twistmail.config.problem import ERROR, Place, Problem
from twistmail.mail.values import frozen
from twistmail.options import Option, Reload, Section, Settings

MASK = "(secret)"
DEFAULT = "default"


@frozen
class Setting:
    """One key of one section that is there: `text` as written (or the default), `place` None for a default."""

    section: str
    option: Option
    text: str
    place: Place | None

    @property
    def origin(self) -> str:
        return self.place.short if self.place else DEFAULT

    @property
    def shown(self) -> str:
        """`text`, but never a secret; where a secret is to be found may be told."""
        if not self.option.secret or not self.text or self.text.partition(":")[0] in ("env", "file", "cred"):
            return self.text
        return MASK


@frozen
class Difference:
    """A setting that another Config has different. `texts`: before and now."""

    section: str
    key: str
    texts: tuple[str, str]
    reload: Reload


@dataclass(frozen=True)
class Config:
    """`config["imap"].idle_timeout`, `config.named("route")["partner.example"].via`. `path`: the file it was read from."""

    sections: tuple[Section, ...]
    _settings: Mapping[str, Settings]
    _details: Mapping[tuple[str, str], Setting]
    data_dir: Path
    path: Path | None = None
    _headers: Mapping[str, Place] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Settings:
        """The settings of `[name]`. KeyError where no component declares it."""
        return self._settings[name]

    def __contains__(self, name: str) -> bool:
        return name in self._settings

    def named(self, pattern: str) -> dict[str, Settings]:
        """The sections `[pattern:NAME]`, by NAME, in written order."""
        prefix = pattern + ":"
        return {name.removeprefix(prefix): found for name, found in self._settings.items() if name.startswith(prefix)}

    def file(self, name: str) -> Path:
        """The path that *name* in a setting means: relative ones start at data_dir."""
        return self.data_dir / name

    def origin(self, section: str, key: str) -> str:
        """Where the value came from, for people: "default", "config.ini:71", "environment NAME", "--set imap.listen"."""
        return self._details[section, key].origin

    def text(self, section: str, key: str) -> str:
        """The value as it was written; secrets are masked."""
        return self._details[section, key].shown

    def place(self, section: str, key: str = "") -> Place:
        """Where the value is set; else where the section begins; else the file as a whole."""
        setting = self._details.get((section, key))
        return (setting and setting.place) or self._headers.get(section) or Place(str(self.path or "configuration"))

    def __iter__(self) -> Iterator[Setting]:
        return iter(self._details.values())

    def changed(self) -> tuple[Setting, ...]:
        """What somebody has set, by section."""
        return tuple(setting for setting in self if setting.place)

    def problem(self, section: str, key: str, text: str, suggestion: str = "", level: str = ERROR) -> Problem:
        """For cross checks: a problem at the place of a setting."""
        return Problem(self.place(section, key), level, text, suggestion)

    def differences(self, newer: Config) -> tuple[Difference, ...]:
        """What *newer* has different; a setting of a section that one of them lacks counts with an empty text."""
        found = []
        for where in dict.fromkeys([*self._details, *newer._details]):
            mine, theirs = self._details.get(where), newer._details.get(where)
            either = theirs or mine
            assert either is not None
            if (mine.text if mine else None) != (theirs.text if theirs else None):
                texts = (mine.shown if mine else "", theirs.shown if theirs else "")
                found.append(Difference(*where, texts, either.option.reload))
        return tuple(found)
