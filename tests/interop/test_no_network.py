"""A start in a network namespace with nothing in it: no route, no name server, a name that only /etc/hosts knows (R58)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TWISTD = Path(sys.executable).with_name("twistd")

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace takes root"),
    pytest.mark.skipif(not all(map(shutil.which, ("unshare", "ip", "mount", "hostname"))), reason="util-linux or iproute2 is missing"),
]

#: In the namespace: the name, the hosts file and the resolver are ours; the server is started, spoken to, and stopped.
SCRIPT = """\
set -e
ip link set lo up
hostname box
mount --bind {folder}/hosts /etc/hosts
mount --bind {folder}/resolv.conf /etc/resolv.conf
setpriv --reuid=65534 --regid=65534 --clear-groups {twistd} -n --pidfile= twistmail --config {folder}/c.ini > {folder}/log 2>&1 &
server=$!
exec {python} {folder}/talk.py $server
"""
TALK = """\
import os, signal, smtplib, sys, time
for _ in range(600):
    try:
        client = smtplib.SMTP("127.0.0.1", 2525, "guest", timeout=10)
        break
    except OSError:
        time.sleep(0.1)
print(client.ehlo()[1].decode().split()[0])
print(client.sendmail("eve@far.example", ["ann@blue.example"], "Subject: Hello\\r\\n\\r\\nHello.\\r\\n"))
client.quit()
os.kill(int(sys.argv[1]), signal.SIGTERM)
"""
CONFIG = """\
[server]
data_dir = data
[domains]
local = blue.example
[users]
source = config
[user:ann@blue.example]
password = sesame street
[mx]
listen = tcp:2525:interface=127.0.0.1
"""


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        pytest.param("127.0.0.1 localhost MyHostname.local\n", "myhostname.local", id="a bogus name in the hosts file"),
        pytest.param("127.0.0.1 localhost\n", "localhost.localdomain", id="no name at all"),
    ],
)
def test_a_machine_without_network_and_name_serves_and_asks_nobody(tmp_path: Path, hosts: str, name: str) -> None:
    folder = Path("/tmp") / f"twistmail-{os.getpid()}"  # one that nobody may enter is above tmp_path
    folder.mkdir()
    try:
        for file, text in (("hosts", hosts), ("resolv.conf", "nameserver 192.0.2.1\n"), ("c.ini", CONFIG), ("talk.py", TALK)):
            (folder / file).write_text(text)
        os.chown(folder, 65534, 65534)
        script = SCRIPT.format(folder=folder, twistd=f"{sys.executable} {TWISTD}", python=sys.executable)
        ran = subprocess.run(["unshare", "--net", "--mount", "--uts", "sh", "-c", script], capture_output=True, text=True, timeout=60,
                             env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])})  # fmt: skip
        log = (folder / "log").read_text()
        assert ran.stdout.splitlines() == [name, "{}"], ran.stderr + log
        assert ("calls itself localhost.localdomain" in log) == (name == "localhost.localdomain")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
