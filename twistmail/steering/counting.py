"""Whoever counts what happens (`meters`), where the package prometheus-client is installed.

Without it there are no numbers, and whoever asks for them is told so. It is
looked for when this module is imported: whoever is started as root may not be
able to read packages later.
"""

from __future__ import annotations

from typing import Any

from twistmail.facts import Facts

Meters: Any
try:
    from twistmail.steering.meters import Meters
except ImportError:
    Meters = None


def counting(facts: Facts, began: float) -> Any | None:
    """A `meters.Meters` that listens to *facts* from now on; None where its package is missing. *began*: POSIX seconds."""
    if Meters is None:
        return None
    meters = Meters(began)
    meters.stop = facts.listen(meters.note)
    return meters
