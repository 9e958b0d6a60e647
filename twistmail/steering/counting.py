"""Whoever counts what happens (`meters`), where the package prometheus-client is installed.

Without it there are no numbers, and whoever asks for them is told so.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from twistmail.facts import Facts
from twistmail.steering.meters import Meters as _Meters

Meters: Any = _Meters if find_spec("prometheus_client") is not None else None


def counting(facts: Facts, began: float) -> Any | None:
    """A `meters.Meters` that listens to *facts* from now on; None where its package is missing. *began*: POSIX seconds."""
    if Meters is None:
        return None
    meters = Meters(began)
    meters.stop = facts.listen(meters.note, of=meters.hears)
    return meters
