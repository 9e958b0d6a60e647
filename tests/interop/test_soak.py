"""A small soak (R70): the programs of `make soak` on two hundred accounts; nothing grows and nobody in IDLE misses a letter."""

import os
import subprocess
import sys

import pytest

from tests.interop.house import ROOT, environment

pytestmark = pytest.mark.skipif(os.environ.get("REQUIRE_CLIENTS") != "1", reason="takes a minute: only where REQUIRE_CLIENTS=1")

#: Half of the time until all that is kept for later use is there, half to see whether anything grows.
SMALL = ["--accounts", "200", "--idle", "50", "--rate", "300", "--visits", "900", "--hup", "7", "--warm", "0.6", "--minutes", "0.6"]


def test_memory_and_descriptors_stay_as_they_are():
    done = subprocess.run([sys.executable, "-m", "benchmarks.soak", *SMALL], cwd=ROOT, env=environment(), capture_output=True, timeout=240)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-4000:]
