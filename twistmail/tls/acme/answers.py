"""What we answer to an authority that asks whether a name is ours, while it does.

Written by the thread that speaks to the authority, read by the reactor: single
operations on dicts, which need no lock. Who asks is not known, so an answer says
nothing that is secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cryptography import x509


@dataclass(slots=True)
class Answers:
    """`pages`: token -> key authorization (RFC 8555 §8.3). `certificates`: name -> (key, chain of one), for RFC 8737."""

    pages: dict[str, str] = field(default_factory=dict)
    certificates: dict[str, tuple[Any, tuple[x509.Certificate, ...]]] = field(default_factory=dict)
