"""What the operator can ask about certificates: verbs of the control socket (`control`), beside those of `operator`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twistmail import certificate_views as views
from twistmail.control import Refusal, Verb
from twistmail.tls.acme.settings import Failed
from twistmail.tls.certificates import Certificates

UNAVAILABLE, TEMPORARY = 69, 75  # sysexits


class CertificateDesk:
    """The verbs over *service* (`service.MailService`), as it is at that moment."""

    def __init__(self, service: Any) -> None:
        self._service = service

    def verbs(self) -> dict[str, Verb]:
        return {"cert.list": self._list, "cert.check": self._check, "cert.look": self._look, "cert.renew": self._renew}

    @property
    def _certificates(self) -> Certificates:
        return self._service.parts.contexts.certificates  # type: ignore[no-any-return]

    def _now(self) -> float:
        return self._service.foundation.ground.epoch()  # type: ignore[no-any-return]

    async def _list(self, arguments: Mapping[str, Any]) -> Any:
        return views.listed(self._certificates, self._now())

    async def _check(self, arguments: Mapping[str, Any]) -> Any:
        await self._service.look_at_certificates()
        return await self._service.foundation.threads.run(views.checked, self._certificates, self._now())

    async def _look(self, arguments: Mapping[str, Any]) -> Any:
        """Read what has changed now, and not within the next seconds."""
        await self._service.look_at_certificates()
        return views.listed(self._certificates, self._now())

    async def _renew(self, arguments: Mapping[str, Any]) -> Any:
        """Whether there is a new one, and what there is now; it may take minutes."""
        renewal = self._service.foundation.renewal
        if renewal.wish is None:
            step = "[acme] enabled = yes, and twistmail reload; or certbot renew, which is noticed"
            raise Refusal("certificates are got elsewhere: [acme] is switched off", UNAVAILABLE, step)
        try:
            renewed = await renewal.renew(force=arguments.get("force") is True)
        except Failed as failure:
            raise Refusal(f"no certificate for {' '.join(renewal.wish.names)}: {failure}", TEMPORARY, "see docs/certificates.md") from None
        await self._service.look_at_certificates()
        path = str(renewal.path)
        row = next((row for row in views.listed(self._certificates, self._now()) if row["path"] == path), None)
        return {"renewed": renewed, "certificate": row}

    async def warnings(self) -> list[str]:
        """What the status screen tells."""
        found: list[str] = await self._service.foundation.threads.run(views.warnings, self._certificates, self._now())
        renewal = self._service.foundation.renewal
        if renewal.wish is not None and (trouble := renewal.past.trouble):
            found.append(f"acme: no certificate for {' '.join(renewal.wish.names)}: {trouble}")
        return found
