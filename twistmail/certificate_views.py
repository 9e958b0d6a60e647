"""Which certificates a configuration means, and what is told of them: by the running server, or by the command on the files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twistmail.config.settled import Config
from twistmail.tls import examination
from twistmail.tls.certificates import OWN_CERTIFICATES, Certificates


def certificates_of(config: Config, now: Callable[[], float], *, self_sign: bool) -> Certificates:
    """The certificates that *config* names, those in the data folder among them; *self_sign*: make one where there is none.

    Blocking. OSError where one cannot be made.
    """
    settings, own = config["tls"], config.data_dir / OWN_CERTIFICATES
    directory, hostname = config.file(settings.directory), config["server"].hostname
    return Certificates(directory, hostname, now, own=own, self_sign=self_sign, warn_before=settings.warn_before)


def listed(certificates: Certificates, now: float) -> list[dict[str, Any]]:
    """A row per pair of files: {"path", "names", "used_for", "trouble"} and, of a certificate, {"issuer", "self_signed", "begins",
    "ends", "left_s", "ends_soon"}."""
    return [examination.row(holding, now, certificates.warn_before) for holding in certificates.holdings]


def checked(certificates: Certificates, now: float) -> list[dict[str, Any]]:
    """What is wrong: {"path", "level": "error" or "warning", "what", "step"} each. Blocking."""
    return [finding.as_json() for finding in examination.findings(certificates, now)]


def warnings(certificates: Certificates, now: float) -> list[str]:
    """What the status screen tells: what is wrong, and not because somebody may want it so. Blocking."""
    found = examination.findings(certificates, now)
    return [f"{one.path}: {one.what}".removeprefix(": ") for one in found if not one.is_choice]
