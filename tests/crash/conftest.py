"""Figures of the crash tests are shown at the end of a run: a test that passed says how much it has seen."""

from __future__ import annotations

from tests.interop.conftest import pytest_runtest_setup

__all__ = ["pytest_runtest_setup", "pytest_terminal_summary"]


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.getreports("passed"):
        for name, said in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(f"{report.nodeid.rpartition('/')[2]}: {said}")
