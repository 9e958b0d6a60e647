"""Sources of accounts that ask a service elsewhere, on a clock of ours and without threads; and one account that they all know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from tests import daemons
from tests.helpers import result_of
from twistmail.accounts.house import House
from twistmail.lasting import Lasting, inline
from twistmail.parts import LDAP, SQL
from twistmail.tasks import Inline

DOMAIN = "here.example"


def house(lasting: Lasting | None = None, source: Any = None, clock: Any = None) -> House:
    """What sources stand on; *source*(word) gives another source."""
    return House(DOMAIN, clock or Clock(), Inline(), lasting or inline(), Path, source or {}.__getitem__)


def read(section: Any, **texts: str) -> Any:
    """The settings of *section*, each value as somebody would write it."""
    return section.defaults(**{key: section.option(key).kind.read(text) for key, text in texts.items()})


def sql_settings(daemon: daemons.Daemon, driver: str, **texts: str) -> Any:
    """A server's settings, by TCP."""
    words = {"driver": driver, "host": "127.0.0.1", "port": str(daemon.port), "password": daemons.PASSWORD}
    names = {"user": "postgres", "database": "postgres"} if driver == "postgresql" else {}
    return read(SQL.options, **words | names | texts)


def ask(coroutine: Any) -> Any:
    """What *coroutine* returns or raises, at once."""
    return result_of(coroutine)


def ldap_settings(daemon: daemons.Daemon, **texts: str) -> Any:
    """A directory's settings: in clear, searching as its reader."""
    words = {
        "url": f"ldap://127.0.0.1:{daemon.port}", "base": f"ou=people,{daemons.SUFFIX}", "bind_dn": f"cn=reader,{daemons.SUFFIX}",
        "bind_password": daemons.PASSWORD, "filter": "(&(objectClass=inetOrgPerson)(mail=%u))",
    }  # fmt: skip
    return read(LDAP.options, **words | texts)
