"""What the operator can ask the running server: the verbs of the control socket (the list is in `control`).

Each verb looks at the service as it is at that moment, so a reload needs no
word here. Verbs only read, or call the same functions that the server calls
itself; what they may take long for is done in bounded pieces.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from twistmail import journal
from twistmail.alias_desk import AliasDesk
from twistmail.alias_views import Ends
from twistmail.certificate_desk import CertificateDesk
from twistmail.config.settled import Difference
from twistmail.control import Refusal, Speaker, Verb
from twistmail.dry_run import DryRun, read
from twistmail.explaining import ExplainDesk
from twistmail.forwarding import ForwardDesk
from twistmail.guests import Guests
from twistmail.hops import told_of
from twistmail.list_views import ListDesk
from twistmail.mail.address import Address, parse
from twistmail.policy import popauth
from twistmail.policy.pipeline import Pipeline
from twistmail.receiving import trial
from twistmail.registrar import Present, Registrar
from twistmail.route_views import RouteDesk
from twistmail.rows import HELD, told
from twistmail.steering.desk import MOST_ROWS, QueueDesk
from twistmail.steering.metrics import MetricsDesk
from twistmail.tables import TableDesk
from twistmail.tls_desk import TlsDesk
from twistmail.uplink_desk import UplinkDesk

USAGE, NO_USER, TEMPORARY = 64, 67, 75  # sysexits
#: Seconds after which the reactor stops: the answer to `stop` goes first.
LAST_WORDS = 0.1


class Operator:
    """The verbs over *service* (`service.MailService`), which must have laid its foundation."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self._began = service.foundation.ground.epoch()
        self._certificates = CertificateDesk(service)
        self._guests = Guests(service)

    def verbs(self) -> dict[str, Verb | Speaker]:
        present, foundation = Present(self._service), self._service.foundation
        registrar = Registrar(present)
        return {
            **QueueDesk(self._service.foundation).verbs(),
            **MetricsDesk(self._service.foundation).verbs(),
            **self._guests.verbs(),
            **UplinkDesk(self._service).verbs(),
            "policy.check": self._check_policy,
            "popauth.list": self._readers,
            "trace.story": self._story,
            "trace.find": self._find,
            "trace.message": self._message,
            "status": self._status,
            "reload": self._reload,
            "stop": self._stop,
            **self._certificates.verbs(),
            **TableDesk(self._service).verbs(),
            **TlsDesk(self._service).verbs(),
            **RouteDesk(self._service).verbs(),
            **registrar.verbs(),
            **ForwardDesk.of(present, foundation.threads, lambda: foundation.ground.reader).verbs(registrar.account),
            **ExplainDesk(self._service).verbs(),
            **AliasDesk(present, Ends(self._service)).verbs(),
            **ListDesk(present).verbs(),
        }

    @property
    def _runner(self) -> Any:
        return self._service.foundation.runner

    def _now(self) -> float:
        return self._service.foundation.ground.epoch()  # type: ignore[no-any-return]

    # ----- the house

    async def _status(self, arguments: Mapping[str, Any]) -> Any:
        config, now = self._service.config, self._now()
        queue = await QueueDesk(self._service.foundation).stats({"most": 1})
        return {
            "hostname": config["server"].hostname,
            "version": version("twistmail"),
            "pid": os.getpid(),
            "up_s": int(now - self._began),
            "config": str(config.path or ""),
            "services": self._services(),
            "queue": {**{key: queue[key] for key in ("count", "size", "oldest_s", "states")}, "held": queue["states"][HELD]},
            "offline_s": UplinkDesk(self._service).view(changed=False)["since_s"],
            "warnings": await self._certificates.warnings(),
        }

    def _services(self) -> list[dict[str, Any]]:
        """Every service that listens, with its connections of now."""
        places: dict[str, list[str]] = {}
        for service, listen in self._service.listeners:
            places.setdefault(service, []).append(str(listen))
        present = [one.service for one in self._guests.presence.visitors.values()]
        return [
            {"name": name, "listen": listens, "connections": present.count(name), "most": self._service.config[name].max_connections}
            for name, listens in places.items()
        ]

    # ----- what happened

    async def _story(self, arguments: Mapping[str, Any]) -> Any:
        identifier = arguments.get("id")
        if not isinstance(identifier, str) or not identifier:
            raise Refusal("which message?", USAGE)
        try:
            return await self._from_journal(journal.story, identifier)
        except KeyError:
            raise Refusal(f"nothing is known of {identifier}", NO_USER, "twistmail trace find --to ADDRESS   looks for messages") from None
        except ValueError as several:
            raise Refusal(str(several), USAGE, "type more of it") from None

    async def _message(self, arguments: Mapping[str, Any]) -> Any:
        """What is known here of messages with that Message-ID."""
        wanted, since = arguments.get("message_id"), arguments.get("since", 0.0)
        if not isinstance(wanted, str) or not isinstance(since, int | float):
            raise Refusal("which message?", USAGE)
        return {"server": self._service.config["server"].hostname, "entries": await self._from_journal(told_of, wanted, since)}

    async def _find(self, arguments: Mapping[str, Any]) -> Any:
        what, since, most, wanted = (arguments.get(key) for key in ("what", "since", "most", "wanted"))
        if not isinstance(since, int | float) or not isinstance(most, int) or most < 1 or not isinstance(wanted, dict):
            raise Refusal("the question cannot be read", USAGE)
        texts = {str(key): str(value) for key, value in wanted.items()}

        def look(folder: Path) -> list[Any]:
            return list(deque(told(journal.entries(folder, since), str(what), since, texts), maxlen=min(most, MOST_ROWS)))

        return await self._from_journal(look)

    async def _from_journal(self, read: Callable[..., Any], *arguments: Any) -> Any:
        """What *read* makes of the journal's folder, in a thread, after everything that gathered was written."""
        foundation = self._service.foundation
        try:
            for one in foundation.journals:
                await foundation.threads.run(one.write)
        except OSError as trouble:
            raise Refusal(f"the journal cannot be written: {trouble}", TEMPORARY) from None
        return await foundation.threads.run(read, foundation.journals[0].folder, *arguments)

    # ----- aliases

    @property
    def _expansion(self) -> Any:
        return self._service.parts.people.expansion

    def _address(self, text: Any) -> Address:
        try:
            address = parse(str(text or ""))
        except ValueError as trouble:
            raise Refusal(str(trouble), USAGE) from None
        return address if address.domain else Address(address.local, self._expansion.default_domain)

    # ----- the policy

    async def _check_policy(self, arguments: Mapping[str, Any]) -> Any:
        """Asks stages of their own, built anew from the configuration that holds: what the real ones have counted they do not know."""
        try:
            question = read(arguments)
        except ValueError as trouble:
            raise Refusal(str(trouble), USAGE) from None
        service, people = self._service, self._service.parts.people
        account = await people.accounts.find(self._address(question.login).folded) if question.login else None
        if question.login and account is None:
            raise Refusal(f"there is no account {question.login}", NO_USER, "twistmail user   lists them")
        policy = trial(Pipeline, question.role, service.config, service.foundation, people)
        return await DryRun(policy, people.expansion, question, account).run()

    async def _readers(self, arguments: Mapping[str, Any]) -> Any:
        return popauth.as_json(self._service.foundation.popauth)

    # ----- the process

    async def _reload(self, arguments: Mapping[str, Any]) -> Any:
        before = self._service.config
        problems = self._service.reload()
        after = self._service.config
        return {
            "applied": after is not before,
            "problems": [str(problem) for problem in problems],
            "changes": [_change(difference) for difference in before.differences(after)],
        }

    async def _stop(self, arguments: Mapping[str, Any]) -> Any:
        self._service.reactor.callLater(LAST_WORDS, self._service.reactor.stop)
        return {}


def _change(difference: Difference) -> dict[str, str]:
    before, now = difference.texts
    return {"section": difference.section, "key": difference.key, "before": before, "now": now, "reload": difference.reload.value}
