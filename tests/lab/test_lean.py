"""The classroom starts quickly and stays small: it does not import what only others need."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Each is big, and has its place in a function that many never call. `twistmail.later` has ours.
HEAVY = (
    "email.policy", "http.server", "jinja2", "ldap3", "multiprocessing", "playwright", "prometheus_client", "pydoc", "treq",
    "twisted.conch", "twisted.cred.strcred", "twisted.names", "twisted.trial", "twisted.web.client", "twistmail.accounts.fetching",
    "twistmail.accounts.posting", "twistmail.lab.course", "twistmail.lab.drafts", "twistmail.lab.inboxes", "twistmail.lab.lesson",
    "twistmail.lab.pages.map", "twistmail.mbox.store", "twistmail.memory.store", "twistmail.notice_letter", "twistmail.relay.stsfetch",
    "twistmail.servers.imap.session", "twistmail.servers.pop3.session", "twistmail.testing", "twistmail.web.letters",
    "unittest", "webbrowser", "wsgiref", "xmlrpc",
)  # fmt: skip

#: KiB that an idle classroom may have in memory: 80 MiB.
MOST = 81_920

#: Starts it as the command does, connects to its pages, leaves it alone for a while, and stops; its last line: 0 where all went
#: well, KiB, and what it has imported.
DEMO = """
import sys
from pathlib import Path
from twistmail.cli.main import main
import twistmail.cli.demo
import twistmail.lab.demo
from twisted.internet import reactor
from twistmail.lab.classroom import Classroom


def ready(classroom):
    import socket
    with socket.create_connection(("127.0.0.1", classroom.town.web_port)):
        pass
    reactor.callLater(2, idle)


def idle():
    global resident
    resident = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS:"))
    reactor.stop()

classroom = Classroom(reactor, Path(sys.argv[1]), ready=ready)
classroom.startService()
reactor.addSystemEventTrigger("before", "shutdown", classroom.stopService)
reactor.run()
print(classroom.failed, resident, *sorted(sys.modules))
"""


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    """What a classroom has in memory that has started and that nobody looks at: (KiB, modules)."""
    place = str(tmp_path_factory.mktemp("classroom"))
    run = subprocess.run([sys.executable, "-c", DEMO, place], capture_output=True, text=True, timeout=120)
    failed, resident, *modules = run.stdout.splitlines()[-1].split()
    assert failed == "0", run.stderr
    return int(resident), set(modules)


@pytest.mark.parametrize("name", HEAVY)
def test_what_only_others_need_is_not_imported(idle, name):
    assert name not in idle[1]


def test_what_it_needs_is(idle):
    assert {"twistmail.service", "twistmail.lab.site", "twistmail.store.mailstore"} <= idle[1]


def test_it_is_small(idle):
    assert idle[0] < MOST
