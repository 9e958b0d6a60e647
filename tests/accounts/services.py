"""Sources of accounts that ask a service elsewhere, on a clock of ours and without threads; and one account that they all know."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from twisted.internet.task import Clock

from tests import daemons
from tests.helpers import result_of
from twistmail.accounts.house import House
from twistmail.lasting import Lasting, inline
from twistmail.parts import HTTP, LDAP, SQL
from twistmail.tasks import Inline

DOMAIN = "here.example"


def house(lasting: Lasting | None = None, source: Any = None, clock: Any = None) -> House:
    """What sources stand on; *source*(word) gives another source."""
    return House(DOMAIN, clock or Clock(), Inline(), lasting or inline(), Path, source)


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


class Bridge:
    """An HTTP service by the contract of docs/accounts.md: people as {address: (password, members of the account)}, and `asked`.

    What `answer` holds, (status, octets), it says in the place of any answer.
    """

    def __init__(self, people: dict[str, tuple[str, dict[str, Any]]]) -> None:
        self.people = people
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.aliases: dict[str, list[str]] = {}
        self.answer: tuple[int, bytes] | None = None
        self._server: ThreadingHTTPServer | None = None
        self._connections: list[socket.socket] = []
        self.port = 0

    def start(self) -> None:
        """Listen, at the same port again after a stop."""
        bridge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                bridge._connections.append(self.connection)

            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                bridge.asked.append((self.headers.get("Authorization", ""), question))
                status, octets = bridge.answer or (200, json.dumps(bridge.said(question)).encode())
                self.send_response(status)
                self.send_header("Content-Length", str(len(octets)))
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, *arguments: Any) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *arguments: None  # type: ignore[method-assign]  # who goes away is no news
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """As a process that ends: those who keep a connection for the next question lose it."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody listens at its port, and nobody else can be given it meanwhile."""
        self.stop()
        try:
            with socket.socket() as holder:
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                holder.bind(("127.0.0.1", self.port))
                yield
        finally:
            self.start()

    def said(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to *question*."""
        if question["question"] == "lookup":
            return {"account": self.people[question["name"]][1] if question["name"] in self.people else None}
        if question["question"] == "verify":
            return {"right": self.people[question["name"]][0] == question["password"]}
        if question["question"] == "alias":
            return {"targets": self.aliases.get(question["name"], [])}
        if question["question"] == "namesakes":
            return {"accounts": [members for name, (_, members) in self.people.items() if name.startswith(question["local"] + "@")]}
        return {"accounts": [members for _, members in self.people.values()]}


def http_settings(bridge: Bridge, **texts: str) -> Any:
    """A bridge's settings."""
    return read(HTTP.options, **{"url": f"http://127.0.0.1:{bridge.port}/mail", "namesakes": "yes", "list": "yes"} | texts)
