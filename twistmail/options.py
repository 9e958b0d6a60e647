"""How a component declares its settings: once, beside the code that uses them.

A component has a module-level `OPTIONS = Section("imap", "...", Option(...), ...)`.
From the declarations come the checker, `config.example.ini`, `config explain`
and the values themselves: `config.load` turns a section into `Settings`, a
frozen namespace with one attribute per option, already converted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import Any

from twistmail.mail.values import frozen


class Reload(Enum):
    """Who sees a changed value after SIGHUP."""

    LIVE = "live"  # everybody, at once
    NEW = "new connections"
    RESTART = "restart"  # nobody, before the server is started again


@frozen
class Kind:
    """A type of value: its name for people, how to read it, how to write it.

    `read` takes the text and raises ValueError with two lines: what is wrong, and (after a line feed) what would be right.
    """

    name: str
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str


@frozen
class Option:
    """One key. `default` is written as in the file; `example` stands in config.example.ini where there is no default.

    `starter` is what config.example.ini sets, so that it starts as it is. `required`: `default` only holds the place, and the
    file must set the key.
    """

    key: str
    kind: Kind
    default: str
    help: str
    reload: Reload = Reload.LIVE
    secret: bool = False
    example: str = ""
    starter: str = ""
    required: bool = False


@dataclass(frozen=True)
class Section:
    """A section of the configuration file. `pattern` True: `[name:something]` sections, any number of them."""

    name: str
    help: str
    options: tuple[Option, ...] = ()
    pattern: bool = False

    def __init__(self, name: str, help: str, *options: Option, pattern: bool = False) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "help", help)
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "pattern", pattern)

    def option(self, key: str) -> Option | None:
        return next((option for option in self.options if option.key == key), None)

    def defaults(self, **changes: Any) -> Settings:
        """The settings of an empty section, with *changes* (already converted values): for tests and embedders."""
        values = {option.key: option.kind.read(option.default) for option in self.options}
        if unknown := set(changes) - set(values):
            raise KeyError(f"[{self.name}] has no {', '.join(sorted(unknown))}")
        return Settings(values | changes)


class Settings:
    """The converted values of one section, as attributes. Frozen."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("settings do not change; a reload makes new ones")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.__dict__)))

    def __getattr__(self, name: str) -> Any:  # for the type checker: the attributes come from the declarations
        raise AttributeError(f"no setting is called {name}")

    def __repr__(self) -> str:
        return f"Settings({', '.join(sorted(self.__dict__))})"


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "ms": 0.001}
_SIZES = {"": 1, "B": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
#: Unlimited is this word, never 0 (spec/limits.md).
UNLIMITED = "unlimited"


def _read_duration(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])", text)
    if not match:
        hint = f"write {text}s for seconds or {text}m for minutes" if text.isdigit() else "write 30s, 15m, 4h or 5d"
        raise ValueError(f"{text} is not a length of time\n{hint}")
    return float(match[1]) * _UNITS[match[2]]


def _read_size(text: str) -> int | None:
    if text == UNLIMITED:
        return None
    match = re.fullmatch(r"(\d+)\s*([BKMGT]?)(?:i?B)?", text, re.IGNORECASE)
    if not match:
        raise ValueError(f"{text} is not a size\nwrite 500K, 50M or 2G, or the word unlimited")
    if int(match[1]) == 0:
        raise ValueError(f"{text} would let nothing pass\nwrite unlimited if that is what you mean")
    return int(match[1]) * _SIZES[match[2].upper()]


def _read_count(text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise ValueError(f"{text} is not a whole number\nwrite digits only, such as 20")
    return int(text)


def _read_switch(text: str) -> bool:
    match text.lower():
        case "yes" | "on" | "true" | "1":
            return True
        case "no" | "off" | "false" | "0":
            return False
    raise ValueError(f"{text} is neither yes nor no\nwrite yes or no")


def _read_rate(word: str) -> tuple[int, float]:
    count, slash, seconds = word.partition("/")
    if not slash or not count.isdigit() or int(count) == 0:
        raise ValueError(f"{word} is not a rate\nwrite 10/1m for ten in a minute")
    return int(count), _read_duration(seconds)


def _read_separators(text: str) -> str:
    """Characters of a local part that divide a name from a suffix; "none" where there are none, though others have some."""
    wrong = [character for character in text if not character.isprintable() or character.isalnum() or character in ' .@"\\,;:<>()[]']
    if wrong and text != "none":
        raise ValueError(f"{wrong[0]!r} cannot divide a name from a suffix\nwrite characters such as + - = without anything between them")
    return text


TEXT = Kind("text", str)
DURATION = Kind("a length of time", _read_duration, lambda value: f"{value:.12g}s")
SIZE = Kind("a size", _read_size, lambda value: UNLIMITED if value is None else str(value))


@frozen
class Share:
    """A part (0 to 1) of something whose size is known only where it is used, such as a file system."""

    part: float

    def of(self, whole: int) -> int:
        return int(self.part * whole)


def _read_size_or_share(text: str) -> int | Share | None:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text)
    if not match:
        try:
            return _read_size(text)
        except ValueError as trouble:
            raise ValueError(str(trouble).replace("or the word", "20%, or the word")) from None
    if not 0 < float(match[1]) <= 100:
        raise ValueError(f"{text} is no part of a whole\nwrite more than 0% and at most 100%")
    return Share(float(match[1]) / 100)


def size_or(word: str) -> Kind:
    """A size, or *word*, which means None."""

    def read(text: str) -> int | None:
        if text == word:
            return None
        try:
            if (size := _read_size(text)) is not None:
                return size
        except ValueError as trouble:
            what = str(trouble).partition("\n")[0] if text.strip("0") else f"{text} is no size"
        else:
            what = f"{text} is no size"
        raise ValueError(f"{what}\nwrite 500K, 50M or 2G, or the word {word}")

    return Kind(f"a size, or {word}", read, lambda value: word if value is None else str(value))


SIZE_OR_SHARE = Kind(
    "a size, or a percentage",
    _read_size_or_share,
    lambda value: f"{value.part * 100:g}%" if isinstance(value, Share) else SIZE.write(value),
)
COUNT = Kind("a whole number", _read_count)
COUNT_OR_UNLIMITED = Kind(
    "a whole number, or unlimited",
    lambda text: None if text == UNLIMITED else _read_count(text),
    lambda value: UNLIMITED if value is None else str(value),
)


def count_from(least: int) -> Kind:
    """A whole number from *least* on, or unlimited, which is None."""

    def read(text: str) -> int | None:
        if text == UNLIMITED:
            return None
        if _read_count(text) < least:
            raise ValueError(f"{text} is too few\nwrite {least} or more, or the word {UNLIMITED}")
        return int(text)

    return Kind(f"a whole number from {least} on, or unlimited", read, lambda value: UNLIMITED if value is None else str(value))


SWITCH = Kind("yes or no", _read_switch, lambda value: "yes" if value else "no")
#: Words divided by spaces, commas or line ends.
SEPARATORS = Kind("separators", _read_separators)
WORDS = Kind("a list of words", lambda text: tuple(re.split(r"[\s,]+", text.strip())) if text.strip() else (), " ".join)
LINES = Kind("lines", lambda text: tuple(line.strip() for line in text.splitlines() if line.strip()), "\n".join)
DURATIONS = Kind(
    "lengths of time",
    lambda text: tuple(_read_duration(word) for word in re.split(r"[\s,]+", text.strip())),
    lambda v: " ".join(f"{s:.12g}s" for s in v),
)

#: "10/1m 50/1d" -> ((10, 60.0), (50, 86400.0))
RATES = Kind("rates", lambda text: tuple(map(_read_rate, WORDS.read(text))), lambda rates: " ".join(f"{n}/{s:.12g}s" for n, s in rates))
#: None: unlimited.
RATES_OR_UNLIMITED = Kind(
    "rates, or unlimited",
    lambda text: None if text == UNLIMITED else RATES.read(text) or None,
    lambda rates: UNLIMITED if rates is None else RATES.write(rates),
)


def choice(*words: str) -> Kind:
    """One of *words*."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text} is not one of {', '.join(words)}")
        return text

    return Kind(" | ".join(words), read)


def words_of(*known: str) -> Kind:
    """Some of *known*, in any case, divided by spaces, commas or line ends."""

    def read(text: str) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(word.upper() for word in WORDS.read(text)))
        for word in words:
            if word not in known:
                near = get_close_matches(word, known, 1, 0.6)
                raise ValueError(f"{word} is not one of {', '.join(known)}" + (f"\ndid you mean {near[0]}?" if near else ""))
        return words

    return Kind("a list of words", read, " ".join)


def duration_or(word: str) -> Kind:
    """A length of time, or *word*, which means None."""

    def read(text: str) -> float | None:
        return None if text == word else _read_duration(text)

    return Kind(f"a length of time, or {word}", read, lambda value: word if value is None else f"{value:.12g}s")
