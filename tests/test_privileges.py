"""What of root's would be found, and that nothing is left in a process that has given up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from twistmail.privileges import capabilities, left_over

ROOT = Path(__file__).parents[1]
NOBODY = 65534
#: PR_SET_KEEPCAPS
KEEP = "ctypes.CDLL(None).prctl(8, 1, 0, 0, 0)"


@pytest.mark.parametrize(("identities", "groups", "told"), [
    pytest.param(((1000,) * 3, (1000,) * 3), (), "", id="nothing"),
    pytest.param(((NOBODY,) * 3, (NOBODY,) * 3), (NOBODY,), "", id="its-own-group"),
    pytest.param(((0, NOBODY, 0), (0, NOBODY, 0)), (), "is root", id="euid-only"),
    pytest.param(((0,) * 3, (0,) * 3), (), "is root", id="uid-0"),
    pytest.param(((NOBODY, NOBODY, 0), (NOBODY,) * 3), (), "is root", id="saved"),
    pytest.param(((1000, 1000, 1001), (1000,) * 3), (), "differ", id="another-user"),
    pytest.param(((1000,) * 3, (1000, 1000, 0)), (), "differ", id="group-of-root-saved"),
    pytest.param(((NOBODY,) * 3, (NOBODY,) * 3), (0, NOBODY), "groups are left that the user 65534 is not in: 0", id="group-of-root"),
    pytest.param(((NOBODY,) * 3, (NOBODY,) * 3), (4, 27), "groups are left that the user 65534 is not in: 4 27", id="groups-of-another"),
    pytest.param(((54321,) * 3, (54321,) * 3), (54321,), "", id="a-number-without-a-name"),
])
def test_what_is_left_of_root_is_found(identities: tuple[tuple[int, ...], tuple[int, ...]], groups: tuple[int, ...], told: str) -> None:
    found = left_over(identities, groups)
    assert (told in found, bool(found)) == (True, bool(told))


@pytest.mark.parametrize(("status", "sets"), [
    pytest.param("Name:\tx\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n", [], id="none"),
    pytest.param("CapInh:\t0000000000000400\nCapPrm:\t400\nCapEff:\t0\nCapAmb:\t400\n", ["CapInh", "CapPrm", "CapAmb"], id="some"),
    pytest.param("", [], id="not-told"),
])
def test_capabilities_that_are_left_are_found(status: str, sets: list[str]) -> None:
    assert capabilities(status) == sets


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")
@pytest.mark.parametrize(("begin", "ending"), [
    pytest.param("os.setgroups([]); os.setgid(65534); os.setuid(65534)", "gone", id="dropped"),
    pytest.param("os.setgroups([0]); os.setgid(65534); os.setuid(65534)", "groups are left", id="with-a-group-of-roots"),
    pytest.param("os.setgroups([]); os.setegid(65534); os.seteuid(65534)", "is root", id="effective-only"),
    pytest.param("pass", "is root", id="not-at-all"),
    pytest.param(f"{KEEP}; os.setgroups([]); os.setgid(65534); os.setuid(65534)", "gone", id="with-kept-capabilities"),
])
def test_a_process_gives_up_or_says_what_is_left(begin: str, ending: str) -> None:
    program = (
        "import ctypes, os\n"
        "from twistmail.privileges import StillPrivileged, capabilities, give_up, STATUS\n"
        f"{begin}\n"
        "try:\n"
        "    give_up(began_as_root=True)\n"
        "    status = STATUS.read_text()\n"
        "    assert 'NoNewPrivs:\\t1' in status and not capabilities(status)\n"
        "    print('gone')\n"
        "except StillPrivileged as trouble:\n"
        "    print(trouble)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=30)
    assert ending in said.stdout, said.stderr
