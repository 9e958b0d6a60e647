"""Building and installing packages without a network, for the tests in this folder and for tests/plugins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path | None = None, expect: int = 0, **environ: str) -> str:
    """What *command* prints on stdout and stderr; it must end with *expect*."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "TWISTMAIL"))}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean | environ,
        text=True,
        timeout=120,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == expect, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def build(source: Path, target: Path, *kinds: str) -> list[Path]:
    """Build *kinds* ("--wheel", "--sdist") of the project in *source* into *target*; the files made."""
    run(sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", target, source)
    return sorted(target.iterdir())


def install(target: Path, package: Path | str) -> None:
    """Install *package* into folder *target*, with nothing that it needs."""
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--target", target, package)
