"""Fixtures that many tests want."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import LogLevel, globalLogPublisher


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Every warning and error that is logged during the test, as text."""
    events: list[str] = []

    def observe(event: Any) -> None:
        if event["log_level"] >= LogLevel.warn:
            events.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)
