"""JSON on one line, as compact as it gets: for what is written for every message (envelopes, the journal)."""

from __future__ import annotations

import json
from typing import Any

import orjson

_ANYTHING = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def line(value: Any) -> bytes:
    """*value* (of what `json` knows; keys are texts) as JSON in UTF-8, without a line end."""
    try:
        return orjson.dumps(value)
    except TypeError:  # a text that is none, or a number beyond 64 bits
        return _ANYTHING.encode(value).encode()
