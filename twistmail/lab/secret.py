"""What "Find the fault" has broken, and how the town seems to those who look for it: as if that were whole.

It is kept from pages and programs that tell what is switched; what it does to letters, connections and answers of the DNS
is there for everybody to see, for that is how it is found.
"""

from __future__ import annotations

from typing import Any

from twistmail.lab.links import WHOLE

#: What the ring tells of it.
SOMETHING = {"what": "something", "state": "broken"}


def seems_on(town: Any, office: str) -> bool:
    return town.service(office) is not None or town.secret == ("office-off", office)


def seems(town: Any, start: str, end: str) -> str:
    """In which state the line is."""
    state: str = town.network.link(start, end).state
    return WHOLE if town.secret == (fault_of(state), f"{start}>{end}") else state


def fault_of(state: str) -> str:
    """What a line in *state* is called as a fault."""
    return state.lower().replace(" ", "-")


def is_about(town: Any, domain: str) -> bool:
    """Whether it is in the DNS of *domain*."""
    return town.secret is not None and bool(town.secret[1] == domain)
