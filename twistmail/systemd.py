"""Sockets that systemd has opened for us (socket activation): ports below 1024 without ever having been root.

`listen = systemd:domain=INET:name=imap` takes the socket called so in the
.socket unit, `index=0` the first one (sd_listen_fds(3)).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.python.systemd import ListenFDs

from twistmail.endpoints import Listen

FAMILIES = {"INET": socket.AF_INET, "INET6": socket.AF_INET6, "UNIX": socket.AF_UNIX}


def adopt(reactor: Any, listen: Listen, factory: IProtocolFactory, environ: Mapping[str, str] = os.environ) -> IListeningPort:
    """A listening port on the socket that *listen* means. CannotListenError where systemd has given us none such."""
    given = ListenFDs.fromEnvironment(environ)
    try:
        descriptor = given.inheritedNamedDescriptors()[listen.name] if listen.name else given.inheritedDescriptors()[listen.index or 0]
    except (KeyError, IndexError):
        many = len(given.inheritedDescriptors())
        trouble = OSError(f"systemd has opened {many} sockets for this process, and none of them is that one")
        raise CannotListenError("systemd", str(listen), trouble) from None
    port: IListeningPort = reactor.adoptStreamPort(descriptor, FAMILIES[listen.domain], factory)
    os.close(descriptor)  # the reactor works with a copy
    return port
