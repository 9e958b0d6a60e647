"""The numbers of the house in Prometheus' text form: its settings, and who says them. Who counts is found by `counting`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twistmail.control import Refusal, Verb
from twistmail.endpoints import ENDPOINTS
from twistmail.options import COUNT, Option, Section
from twistmail.servers.pages import open_connection
from twistmail.steering.desk import QueueDesk

UNAVAILABLE = 69  # sysexits
PATH = "/metrics"

OPTIONS = Section(
    "metrics",
    "Counters and gauges for Prometheus. Needs the package twistmail[metrics].",
    Option("listen", ENDPOINTS, "off", "Where Prometheus fetches /metrics, by HTTP and without a password: let it be an address that only "
           "he can reach. twistmail metrics tells the same.", example="tcp:9125:interface=127.0.0.1"),
    Option("max_connections", COUNT, "10", "Connections at a time; more are sent away."),
)  # fmt: skip


def open_metrics(foundation: Any) -> Callable[..., Any]:
    """What makes connections to [metrics] listen."""
    return partial(open_connection, {PATH: MetricsDesk(foundation).page})


class MetricsDesk:
    """Says the numbers of *foundation* (`foundation.Foundation`)."""

    def __init__(self, foundation: Any) -> None:
        self._foundation = foundation
        self._queue = QueueDesk(foundation)

    def verbs(self) -> dict[str, Verb]:
        return {"metrics": self._told}

    async def page(self) -> tuple[str, bytes] | None:
        """(content type, text) of now; None where nobody counts. The queue is looked at in pieces."""
        meters = self._foundation.meters
        if meters is None:
            return None
        now = self._foundation.ground.epoch()
        places = [place.view(now) for place in self._foundation.runner.places]
        return meters.page(await self._queue.stats({"most": 1}), places)  # type: ignore[no-any-return]

    async def _told(self, arguments: Mapping[str, Any]) -> Any:
        page = await self.page()
        if page is None:
            step = "pip install twistmail[metrics], and start the server again"
            raise Refusal("nothing is counted: the package prometheus-client is not installed", UNAVAILABLE, step)
        return page[1].decode()
