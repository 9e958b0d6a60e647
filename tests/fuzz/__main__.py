"""`python -m tests.fuzz [--seconds N] [TARGET ...]`: each target for so many seconds, led by the branches that it takes.

Wants the extra `fuzz` (atheris). What makes a target raise is written to a file of its own, `crash-...`, and named; the
exit status is 1 then. Each target runs in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="which; all where none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return fuzz(options.targets[0], options.seconds)
    from tests.fuzz.targets import TARGETS

    failed = []
    for name in options.targets or TARGETS:
        print(f"--- {name}, {options.seconds} s", flush=True)  # noqa: T201
        command = [sys.executable, "-m", "tests.fuzz", "--inside", "--seconds", str(options.seconds), name]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    print("nothing was found" if not failed else f"found something: {', '.join(failed)}")  # noqa: T201
    return 1 if failed else 0


def fuzz(name: str, seconds: int) -> int:
    """Does not return: atheris ends the process."""
    import atheris

    with atheris.instrument_imports(include=["twistmail"]):
        from tests.fuzz.targets import SEEDS, TARGETS
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[name]):
            Path(corpus, str(number)).write_bytes(seed)
        arguments = [sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", "-print_final_stats=1", corpus]
        atheris.Setup(arguments, TARGETS[name])
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
