"""The classroom starts quickly and stays small: it does not import what only others need."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Each is big, and has its place in a function that many never call. `twistmail.later` has ours.
HEAVY = (
    "http.server", "jinja2", "ldap3", "multiprocessing", "playwright", "prometheus_client", "pydoc", "treq", "twisted.conch",
    "twisted.names", "twisted.trial", "twisted.web.client", "twistmail.accounts.fetching", "twistmail.accounts.posting",
    "twistmail.lab.course", "twistmail.lab.drafts", "twistmail.lab.inboxes", "twistmail.lab.lesson", "twistmail.lab.pages.map",
    "twistmail.mbox.store", "twistmail.memory.store", "twistmail.relay.stsfetch", "twistmail.testing", "twistmail.web.letters",
    "unittest", "webbrowser", "wsgiref", "xmlrpc",
)  # fmt: skip

#: Starts it, connects to its pages, and stops; its last line: 0 where all went well, and what it has imported.
DEMO = """
import sys
from pathlib import Path
from twisted.internet import reactor
from twistmail.lab.classroom import Classroom


def ready(classroom):
    import socket
    with socket.create_connection(("127.0.0.1", classroom.town.web_port)):
        pass
    reactor.stop()

classroom = Classroom(reactor, Path(sys.argv[1]), ready=ready)
classroom.startService()
reactor.addSystemEventTrigger("before", "shutdown", classroom.stopService)
reactor.run()
print(classroom.failed, *sorted(sys.modules))
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """What a classroom has imported that has started."""
    place = str(tmp_path_factory.mktemp("classroom"))
    run = subprocess.run([sys.executable, "-c", DEMO, place], capture_output=True, text=True, timeout=120)
    failed, *modules = run.stdout.splitlines()[-1].split()
    assert failed == "0", run.stderr
    return set(modules)


@pytest.mark.parametrize("name", HEAVY)
def test_what_only_others_need_is_not_imported(imported, name):
    assert name not in imported


def test_what_it_needs_is(imported):
    assert {"twistmail.service", "twistmail.lab.site", "twistmail.store.mailstore"} <= imported
