"""What the operator says of the way out: the verbs `uplink.*` of the control socket, behind `twistmail offline` and `online`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.logger import Logger

from twistmail.control import Refusal, Verb
from twistmail.rows import iso

log = Logger()

TEMPORARY = 75  # sysexits


class UplinkDesk:
    """Over *service* (`service.MailService`), which must have laid its foundation."""

    def __init__(self, service: Any) -> None:
        self._service = service

    def verbs(self) -> dict[str, Verb]:
        return {"uplink.show": self._show, "uplink.down": self._down, "uplink.up": self._up, "uplink.places": self._places}

    async def _show(self, arguments: Mapping[str, Any]) -> Any:
        return self.view(changed=False)

    async def _down(self, arguments: Mapping[str, Any]) -> Any:
        return self._go(offline=True)

    async def _up(self, arguments: Mapping[str, Any]) -> Any:
        return self._go(offline=False)

    def _go(self, *, offline: bool) -> dict[str, Any]:
        foundation = self._service.foundation
        try:
            changed = foundation.uplink.go(offline=offline, now=foundation.ground.epoch())
        except OSError as trouble:
            raise Refusal(f"it cannot be written down: {trouble}", TEMPORARY, "nothing has changed") from None
        foundation.runner.go(offline=offline)
        if changed:
            log.info("mail for others {does}", does="stays here until twistmail online" if offline else "goes out again")
        return self.view(changed=changed)

    def view(self, *, changed: bool) -> dict[str, Any]:
        """`waiting`: messages in the queue, whatever they wait for."""
        foundation = self._service.foundation
        since, now = foundation.uplink.absence.since, foundation.ground.epoch()
        return {
            "offline": since is not None,
            "since": iso(since) if since is not None else "",
            "since_s": None if since is None else max(0, int(now - since)),
            "changed": changed,
            "waiting": len(foundation.runner.queue.items()),
        }

    async def _places(self, arguments: Mapping[str, Any]) -> Any:
        """What the queue knows of the places where mail goes, those first for which most waits."""
        foundation = self._service.foundation
        now = foundation.ground.epoch()
        rows = [place.view(now) for place in foundation.runner.places]
        return sorted(rows, key=lambda row: (-row["waiting"], row["place"]))
