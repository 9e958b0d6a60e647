"""The programs with a screen, driven without one. They are big: only `make clients` runs them, and there a missing one is a failure."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def pytest_runtest_setup(item):
    """Only where CLIENTS=1. `pytest.mark.needs({"chromedriver": "chromium-driver"})`: programs or files, and the packages with them."""
    if os.environ.get("CLIENTS") != "1":
        pytest.skip("a program with a screen: only where CLIENTS=1 (make clients)")
    for mark in item.iter_markers("needs"):
        missing = {what: package for what, package in mark.args[0].items() if not (Path(what).exists() or shutil.which(what))}
        if missing:
            packages = " ".join(sorted(set(missing.values())))
            pytest.fail(f"not installed: {' '.join(missing)} (apt-get install {packages})", pytrace=False)
