"""What is imported by the function that needs it first, because many servers never do: their start and their memory do not pay for it.

Whoever is started as root imports all of it before he gives that up: perhaps the user whom he becomes cannot read packages. (What
the classroom's pages are made of has a table of its own, `lab.site.PAGES`.) A test looks for imports in functions that are not here.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

#: What takes more than 5 ms where the first who comes would wait for it: every server imports it before it lets anybody in, but the
#: classroom, where he waits 30 ms.
AT_START = ("twistmail.servers.imap.session", "twistmail.servers.pop3.session", "twistmail.mbox.store", "twistmail.notice_letter")
#: Those that are not installed are left out.
MODULES = ("twistmail.relay.stsfetch", "twistmail.accounts.fetching", "twistmail.accounts.posting", "prometheus_client.core",
           "prometheus_client.utils", "twistmail.memory.store")  # fmt: skip


def import_at_start() -> None:
    """Now. Blocking."""
    for name in AT_START:
        import_module(name)


def import_all() -> None:
    """Now, with what every server imports. Blocking."""
    import_at_start()
    for name in MODULES:
        with suppress(ImportError):
            import_module(name)
