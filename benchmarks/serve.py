"""A server to measure: `python -m benchmarks.serve --json FILE`.

Domain bench.test, users alice, bob, carol and dave, and as many more as asked for (password bench-password), loopback
only, free ports, plaintext login, no rate limits, durability as in production, a fresh folder that is removed at the
end. When everything listens, FILE tells where. SIGINT ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

DOMAIN = "bench.test"
USERS = ("alice", "bob", "carol", "dave")
PASSWORD = "bench-password"

CONFIG = """\
[server]
hostname = mx.bench.test
data_dir = {folder}
[domains]
local = bench.test
[mx]
listen = tcp:0:interface=127.0.0.1
max_connections = 4000
max_connections_per_ip = 100000
max_transactions = 1000000
max_message = 100M
max_rate_per_ip = 10000000
relay_networks = 127.0.0.0/8
[submission]
listen = tcp:0:interface=127.0.0.1
         tls:port=0:interface=127.0.0.1
max_connections = 4000
max_connections_per_ip = 100000
max_transactions = 1000000
max_rate_per_ip = 10000000
rate = unlimited
recipient_rate = unlimited
tls = offered
[imap]
max_connections = 20000
listen = tcp:0:interface=127.0.0.1
         tls:port=0:interface=127.0.0.1
tls = offered
max_connections_per_ip = 100000
max_connections_per_user = 100000
max_connections_per_user_ip = 100000
max_message = 100M
[pop3]
listen = tcp:0:interface=127.0.0.1
tls = offered
"""


def soldier(number: int) -> str:
    """The name of one of the additional accounts."""
    return f"soldier{number}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", required=True, type=Path, help="where to write what listens")
    parser.add_argument("--folder", type=Path, help="a folder below which the mail is kept (default: the system's temporary one)")
    parser.add_argument("--accounts", type=int, default=0, help="so many accounts more")
    parser.add_argument("--more", type=Path, help="a file with more sections of configuration")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="twistmail-bench-", dir=options.folder))
    try:
        return serve(folder, options.json, options.accounts, options.more.read_text() if options.more else "")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def serve(folder: Path, told: Path, accounts: int = 0, more: str = "") -> int:
    """Run until SIGINT; write *told* once everything listens."""
    from twistmail.foreground import run  # the reactor is installed in there

    def ready(ports: dict[str, list[int]]) -> None:
        about = {
            "name": "twistmail",
            "smtp": ports["mx"][0],
            "submission": ports["submission"][0],
            "submissions": ports["submission"][1],
            "lmtp": None,
            "imap": ports["imap"][0],
            "imaps": ports["imap"][1],
            "pop3": ports["pop3"][0],
            "pid": os.getpid(),
            "login": "{user}@bench.test",
            "maildir": str(folder / "mail" / DOMAIN / "{user}"),
        }
        half = told.with_name(told.name + ".half")  # whoever waits for the file reads it as soon as it is there
        half.write_text(json.dumps(about, indent=1))
        half.rename(told)

    config = folder / "bench.ini"
    soldiers = "".join(f"[user:{soldier(number)}@{DOMAIN}]\npassword = {{PLAIN}}{PASSWORD}\n" for number in range(accounts))
    config.write_text(CONFIG.format(folder=folder) + f"[users]\nsource = sqlite config\n{soldiers}{more}")
    config.chmod(0o600)
    users = {f"{user}@{DOMAIN}": PASSWORD for user in USERS}
    return run(config, users=users, ready=ready)


if __name__ == "__main__":
    sys.exit(main())
