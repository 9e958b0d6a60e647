"""Numbers as people say them: `12m`, `41 kB`."""

from __future__ import annotations

import time

import click

from twistmail.options import DURATION, SIZE

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


def span(seconds: float) -> str:
    """`45s`, `12m`, `2h`, `5d`: the largest unit that fits."""
    for size, letter in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{letter}"
    return f"{int(seconds)}s"


def amount(octets: int) -> str:
    """`412 bytes`, `41 kB`, `1.2 MB`."""
    if octets < 1000:
        return f"{octets} bytes"
    value = float(octets)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 1000 or unit == "TB":
            break
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def clock(at: float) -> str:
    """The time of day, with milliseconds, where the reader lives."""
    return time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at % 1 * 1000):03d}"


def duration(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """A click callback: `2h` as seconds."""
    try:
        return None if value is None else DURATION.read(value)
    except ValueError as trouble:
        raise click.BadParameter(str(trouble).replace("\n", "; ")) from None


def octets(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """A click callback: `50M` as octets."""
    try:
        return None if value is None else SIZE.read(value)
    except ValueError as trouble:
        raise click.BadParameter(str(trouble).replace("\n", "; ")) from None


def moment(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """A click callback: `90d` from now, or the end of the day `2027-01-31` where the reader lives, as POSIX seconds. In the future."""
    if value is None:
        return None
    try:
        at = time.mktime(time.strptime(value, "%Y-%m-%d")) + 86400 if value.count("-") == 2 else time.time() + DURATION.read(value)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value} is no time; write 90d, or 2027-01-31") from None
    if at <= time.time():
        raise click.BadParameter(f"{value} is over already")
    return at
