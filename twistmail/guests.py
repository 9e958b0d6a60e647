"""Who is here and who may not come in: the verbs of the control socket about connections and bans.

`Presence` learns from the facts who is connected; how long somebody has said
nothing, and how he is shown out, is known by the connection itself (`servers.pump`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from twistmail.bans import OPERATOR, Ban, network_in
from twistmail.control import Refusal, Verb
from twistmail.facts import Closed, Connected, Fact, LoggedIn, TlsStarted
from twistmail.mail.values import frozen
from twistmail.networks import Network, address_of

USAGE, NO_USER = 64, 67  # sysexits
#: Characters of an operator's reason.
LONGEST_REASON = 200
#: Seconds that somebody has to go by himself who is shown out.
SHOWN_OUT = 5.0


@frozen
class Visitor:
    """One connection, as far as the facts tell. `since`: POSIX seconds. `proxy`: whom it came by, if anybody."""

    since: float
    service: str
    address: str
    port: int
    tls: str = ""
    user: str = ""
    proxy: str = ""

    def as_json(self, identifier: str, now: float, idle: float | None) -> dict[str, Any]:
        return {
            "id": identifier,
            "service": self.service,
            "user": self.user,
            "client": f"{self.address}:{self.port}",
            "tls": self.tls,
            "since_s": int(now - self.since),
            "idle_s": None if idle is None else int(idle),
            "proxy": self.proxy,
        }

    def is_meant(self, identifier: str, words: frozenset[str]) -> bool:
        """Whether one of *words* is the connection's id, its user, or its address."""
        return bool(words & {identifier, self.user or identifier, self.address})


class Presence:
    """Who is connected, learned from the facts."""

    HEARS = (Connected, Closed, TlsStarted, LoggedIn)

    def __init__(self) -> None:
        self.visitors: dict[str, Visitor] = {}

    def note(self, fact: Fact) -> None:
        """A listener of `facts.Facts`."""
        match fact.what:
            case Connected(service, address, port, via):
                self.visitors[fact.about] = Visitor(fact.at, service, address, port, proxy=via)
            case Closed():
                self.visitors.pop(fact.about, None)
            case TlsStarted(tls) if known := self.visitors.get(fact.about):
                self.visitors[fact.about] = replace(known, tls=tls.version)
            case LoggedIn(account) if known := self.visitors.get(fact.about):
                self.visitors[fact.about] = replace(known, user=account)


class Guests:
    """The verbs over *service* (`service.MailService`), which must have laid its foundation."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self.presence = Presence()
        service.foundation.facts.listen(self.presence.note, of=Presence.HEARS)

    def verbs(self) -> dict[str, Verb]:
        return {
            "session.list": self._sessions,
            "session.kick": self._kick,
            "ban.list": self._bans,
            "ban.add": self._ban,
            "ban.remove": self._lift,
        }

    def _now(self) -> float:
        return self._service.foundation.ground.epoch()  # type: ignore[no-any-return]

    # ----- who is here

    def _chosen(self, arguments: Mapping[str, Any]) -> dict[str, Visitor]:
        """The visitors whom `who` means; all, where it is empty."""
        who = arguments.get("who") or []
        if not isinstance(who, list) or not all(isinstance(word, str) for word in who):
            raise Refusal("whom?", USAGE)
        words = frozenset(_spelled(word) for word in who)
        return {
            identifier: one for identifier, one in self.presence.visitors.items() if not words or one.is_meant(identifier, words)
        }

    async def _sessions(self, arguments: Mapping[str, Any]) -> Any:
        now, pumps = self._now(), self._service.connections()
        return [
            one.as_json(identifier, now, pumps[identifier].silence if identifier in pumps else None)
            for identifier, one in self._chosen(arguments).items()
        ]

    async def _kick(self, arguments: Mapping[str, Any]) -> Any:
        """Show them out. They are told, and may finish the command that they are in; but not for long."""
        if not arguments.get("who"):
            raise Refusal("whom?", USAGE, "give ids, users or addresses; twistmail session lists them")
        pumps = self._service.connections()
        chosen = [identifier for identifier in self._chosen(arguments) if identifier in pumps]
        for identifier in chosen:
            pumps[identifier].shut_down("kicked")
            self._service.reactor.callLater(SHOWN_OUT, self._push, identifier)
        return {"count": len(chosen), "ids": chosen}

    def _push(self, identifier: str) -> None:
        """Whoever is here still takes nothing, or is in the middle of something long."""
        if (pump := self._service.connections().get(identifier)) is not None:
            pump.transport.abortConnection()

    # ----- who may not come in

    @property
    def _known_bans(self) -> Any:
        return self._service.foundation.gate.bans

    async def _bans(self, arguments: Mapping[str, Any]) -> Any:
        return self._told(self._known_bans.in_force(self._now()))

    async def _ban(self, arguments: Mapping[str, Any]) -> Any:
        networks, now = _networks(arguments), self._now()
        made = [banned(network, now, arguments.get("for_s"), arguments.get("reason")) for network in networks]
        for ban in made:
            self._known_bans.put(ban)
        await self._service.foundation.doorkeeper.write(self._service.foundation.threads)
        return self._told(made)

    def _told(self, bans: Iterable[Ban]) -> list[dict[str, Any]]:
        now, turned_away = self._now(), self._known_bans.turned_away
        return [ban.as_json(now, turned_away.get(ban.network, 0)) for ban in bans]

    async def _lift(self, arguments: Mapping[str, Any]) -> Any:
        """What the networks have done before is forgotten too: who is let in again may try again."""
        foundation, lifted = self._service.foundation, []
        for network in _networks(arguments):
            if (ban := self._known_bans.lift(network)) is not None:
                lifted.append(ban.place)
            foundation.throttle.forgive(str(network.network_address))
        await foundation.doorkeeper.write(foundation.threads)
        return {"lifted": lifted}


def _spelled(word: str) -> str:
    """*word* as the facts spell it: addresses in their short form, users in lower case."""
    address = address_of(word)
    return str(address) if address is not None else word.lower() if "@" in word else word


def _networks(arguments: Mapping[str, Any]) -> list[Network]:
    texts = arguments.get("networks")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise Refusal("which networks?", USAGE)
    try:
        return [network_in(text) for text in texts]
    except ValueError as trouble:
        what, _, right = str(trouble).partition("\n")
        raise Refusal(what, USAGE, right) from None


def banned(network: Network, now: float, seconds: Any, reason: Any) -> Ban:
    """An operator's ban of *network*, for *seconds* (None: for ever)."""
    if seconds is not None and (not isinstance(seconds, int | float) or seconds <= 0):
        raise Refusal("the length of the ban is no number of seconds", USAGE)
    return Ban(network, now, None if seconds is None else now + seconds, str(reason or "")[:LONGEST_REASON], OPERATOR)
