"""Measure twistmail beside Postfix with Dovecot and keep the table: `make bench BENCH=PATH`.

BENCH is a folder with a `run.py` that runs loads on a server told in JSON (`python -m benchmarks.serve --json`), beside
private instances of the peers; it needs root and Debian's postfix, dovecot-imapd, dovecot-pop3d, dovecot-lmtpd. The
table goes to benchmarks/RESULTS.md, between its marks.
"""

from __future__ import annotations

import argparse
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
PATIENCE = 30.0  # seconds until the server must listen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", type=Path, help="the folder with run.py")
    parser.add_argument("--rounds", default="3")
    parser.add_argument("--only", default="", help="beginnings of the names of loads, divided by commas")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "twistmail.json"
        server = subprocess.Popen([sys.executable, "-m", "benchmarks.serve", "--json", str(told)])
        try:
            wait_for(told)
            command = [sys.executable, str(options.bench / "run.py"), "--rounds", options.rounds, "--only", options.only]
            table = subprocess.run([*command, "postfix-dovecot", str(told)], check=True, stdout=subprocess.PIPE, text=True).stdout
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=PATIENCE)
    print(table)  # noqa: T201
    keep(table, f"Python {platform.python_version()}, {options.rounds} rounds, {time.strftime('%d %B %Y', time.gmtime())}")
    return 0


def wait_for(path: Path) -> None:
    """Return once *path* is there. TimeoutError."""
    end = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > end:
            raise TimeoutError("the server does not listen")
        time.sleep(0.1)


def keep(table: str, about: str) -> None:
    """Put *table* between the marks of RESULTS.md."""
    text = RESULTS.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    RESULTS.write_text(f"{before}{BEGIN}\n\n{about}:\n\n```\n{table.rstrip()}\n```\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
