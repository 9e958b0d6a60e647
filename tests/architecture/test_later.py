"""What functions import is in `twistmail.later`: a server that gives up root has it all by then."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.architecture.source import modules, tree
from twistmail import later, systemd
from twistmail.lab import site
from twistmail.service import MailService

#: Whose functions may import what they like: whoever runs them has been root at no time, or is root still.
FREE = ("cli", "lab.demo", "testing", "starting", "foreground")
#: What else functions import: (module, what).
KNOWN = {
    ("accounts.tokens", "jwt"),  # an extra: the configuration is not valid unless it can be imported, which is tried while we are root
    ("tls.acme.renewal", "twistmail.tls.acme.issue"),  # so is this
    ("accounts.cred", "twisted.cred.strcred"),  # imported where the configuration is read
    ("relay.carrying", "twisted.internet"),  # the reactor, of a process of its own
    ("web.templates", "jinja2"),  # of the classroom alone, as the next two: `lab.site.import_pages`
    ("lab.phone", "segno"),
    ("lab.pipes", "twisted.internet.ssl"),
}


ALL = """
import sys
from twistmail import later
from twistmail.lab import site
later.import_all()
site.import_pages()
print(*sys.modules)
"""


def late() -> set[tuple[str, str]]:
    """(module of ours, module that a function in it imports)."""
    found = set()
    for name, path in modules().items():
        functions = (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        for node in (inner for function in functions for inner in ast.walk(function)):
            if isinstance(node, ast.Import):
                found |= {(name, one.name) for one in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((name, str(node.module)))
    return found


def _is_free(module: str) -> bool:
    return any(module == free or module.startswith(free + ".") for free in FREE)


def test_what_functions_import_is_imported_before_root_is_given_up():
    needed = {row for row in late() if not _is_free(row[0]) and row not in KNOWN}
    there = {*later.MODULES, *later.AT_START} | {name.rpartition(".")[0] for name in later.MODULES}
    assert {row for row in needed if row[1] not in there} == set()
    ours = {name for name in (*later.MODULES, *later.AT_START) if name.startswith("twistmail.")}
    assert ours <= {what for _, what in needed}, "nobody imports these late"
    assert late() >= KNOWN, "take these off the list"


@pytest.mark.parametrize(("user", "does"), [(0, ["first"]), (65534, ["first", "all"])])
def test_a_server_has_what_is_waited_for_before_anybody_comes_and_all_before_it_gives_up_root(user, does, monkeypatch):
    done = []
    monkeypatch.setattr(later, "import_at_start", lambda: done.append("first"))
    monkeypatch.setattr(later, "import_all", lambda: done.append("all"))
    monkeypatch.setattr(systemd, "inherited", lambda: pytest.fail("now it opens ports"))
    server = MailService.__new__(MailService)
    server._user = user
    with pytest.raises(pytest.fail.Exception, match="ports"):
        server.privilegedStartService()
    assert done == does


def test_all_of_it_can_be_imported_now():
    run = subprocess.run([sys.executable, "-c", ALL], capture_output=True, text=True, timeout=60, check=True)
    imported = set(run.stdout.split())
    assert {name for name in (*later.MODULES, *later.AT_START) if name.startswith("twistmail.")} <= imported
    assert {"jinja2", "segno", "twisted.internet.ssl", *(f"{site.pages.__name__}.{name}" for name in site.PAGES)} <= imported
