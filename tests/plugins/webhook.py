"""The package of the webhook courier, imported from where it lies, and a web application in memory to go with it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.web.iweb import IAgent
from zope.interface import implementer

PLACE = Path(__file__).parent / "webhook_courier"


def package() -> Any:
    """The module `twistmail_webhook`."""
    name = "twistmail_webhook"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, PLACE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


class _Response:
    def __init__(self, code: int) -> None:
        self.code = code
        self.unread = True

    def deliverBody(self, protocol: Any) -> None:
        self.unread = False
        protocol.dataReceived(b"whatever")


class _Consumer:
    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


@implementer(IAgent)
class Application:
    """`answers`: an HTTP status, or an exception, by recipient; others get 200. `posts`: (headers as a dict, body) of each post.

    `silent`: nothing is answered at all.
    """

    def __init__(self, answers: dict[str, Any] | None = None, *, silent: bool = False) -> None:
        self.answers = answers or {}
        self.silent = silent
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.responses: list[_Response] = []

    def request(self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None) -> Deferred[Any]:
        consumer = _Consumer()
        bodyProducer.startProducing(consumer)
        assert len(consumer.written) == bodyProducer.length
        said = {name.decode(): values[0].decode() for name, values in headers.getAllRawHeaders()}
        self.posts.append((said, consumer.written))
        if self.silent:
            return Deferred()
        answer = self.answers.get(said["X-Mail-To"], 200)
        if isinstance(answer, Exception):
            return fail(answer)
        self.responses.append(_Response(answer))
        return succeed(self.responses[-1])
