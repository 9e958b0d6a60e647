"""How faults are set and mended: each is a real change of the network, the DNS, a server's settings, its accounts or its process.

An act knows the places where it can happen, and tells from the thing itself whether it has: nobody keeps a second list.
Which faults there are, and what they teach, is in `faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, permutations
from typing import Any, Protocol

from twistmail.lab import fault_settings
from twistmail.lab.fault_settings import NotNow
from twistmail.lab.links import WHOLE
from twistmail.lab.offices import Office
from twistmail.lab.zones import usual as usual_records
from twistmail.mail.values import frozen
from twistmail.registrar import Present, Registrar

ALL_OF_IT = 1  # octets: there is no room for any letter


class Act(Protocol):
    """`places`: what a place is called, such as "green", "blue>green", "green.test" or "carol@green.test"."""

    def places(self, town: Any) -> tuple[str, ...]: ...

    def is_set(self, town: Any, place: str) -> bool: ...

    async def set(self, town: Any, place: str) -> None:
        """NotNow."""

    async def clear(self, town: Any, place: str) -> None:
        """NotNow."""


def names(town: Any) -> tuple[str, ...]:
    return tuple(office.name for office in town.offices)


# ----- offices and lines


class Off:
    """The server is stopped as its operator would: its ports are closed, and its mail lies on the disk."""

    def places(self, town: Any) -> tuple[str, ...]:
        return names(town)

    def is_set(self, town: Any, place: str) -> bool:
        return town.service(place) is None

    async def set(self, town: Any, place: str) -> None:
        await town.switch_off(place)

    async def clear(self, town: Any, place: str) -> None:
        await town.switch_on(place)


class Crash:
    """Everything ends in the middle; then the office starts again from its disk. Over at once, so it is never set."""

    def places(self, town: Any) -> tuple[str, ...]:
        return names(town)

    def is_set(self, town: Any, place: str) -> bool:
        return False

    async def set(self, town: Any, place: str) -> None:
        if town.service(place) is None:
            raise NotNow(f"{place} is off")
        await town.crash(place)

    async def clear(self, town: Any, place: str) -> None:
        """It has started again by itself."""


@frozen
class Line:
    """A line is in this `state` (`links.LINK_STATES`)."""

    state: str

    def places(self, town: Any) -> tuple[str, ...]:
        return tuple(f"{start}>{end}" for start, end in permutations(names(town), 2))

    def is_set(self, town: Any, place: str) -> bool:
        return bool(town.network.link(*place.split(">")).state == self.state)

    async def set(self, town: Any, place: str) -> None:
        town.network.set_link(*place.split(">"), self.state)

    async def clear(self, town: Any, place: str) -> None:
        if self.is_set(town, place):
            town.network.set_link(*place.split(">"), WHOLE)


# ----- the DNS


@frozen
class Unanswered:
    """Who asks for a domain meets this `trouble` (`zones.TROUBLES`)."""

    trouble: str

    def places(self, town: Any) -> tuple[str, ...]:
        return tuple(office.domain for office in town.offices)

    def is_set(self, town: Any, place: str) -> bool:
        return bool(town.zones.trouble.get(place) == self.trouble)

    async def set(self, town: Any, place: str) -> None:
        town.zones.break_name(place, self.trouble)
        tell_dns(town, place, self.trouble)

    async def clear(self, town: Any, place: str) -> None:
        if self.is_set(town, place):
            town.zones.break_name(place, "")
            tell_dns(town, place, "mended")


#: {name: {kind: values}} that stand in the zone while the fault is set; no values: nothing of that kind.
Records = Mapping[str, Mapping[str, Sequence[str]]]


@frozen
class OtherRecords:
    """Other records stand in the DNS: those that `of`(office) gives. When it is mended, those of the beginning."""

    word: str
    of: Callable[[Office], Records]

    def places(self, town: Any) -> tuple[str, ...]:
        return tuple(office.domain for office in town.offices)

    def is_set(self, town: Any, place: str) -> bool:
        return all(
            sorted(town.zones.records.get(name, {}).get(kind, ())) == sorted(values)
            for name, kinds in self._records(town, place).items()
            for kind, values in kinds.items()
        )

    async def set(self, town: Any, place: str) -> None:
        put_records(town, self._records(town, place))
        tell_dns(town, place, self.word)

    async def clear(self, town: Any, place: str) -> None:
        if self.is_set(town, place):
            usual = usual_records(town.offices)
            put_records(town, {name: {kind: usual.get(name, {}).get(kind, ()) for kind in kinds}
                               for name, kinds in self._records(town, place).items()})
            tell_dns(town, place, "mended")

    def _records(self, town: Any, place: str) -> Records:
        return self.of(next(office for office in town.offices if office.domain == place))


def put_records(town: Any, records: Records) -> None:
    """Let these stand in the zone; what has no values goes."""
    for name, kinds in records.items():
        for kind, values in kinds.items():
            if values:
                town.zones.set(name, kind, values)
            elif kind in town.zones.records.get(name, {}):
                town.zones.remove(name, kind)


def tell_dns(town: Any, name: str, state: str) -> None:
    town.ring.add("", "switch", name, {"what": "dns", "state": state})


# ----- settings and accounts


@frozen
class Setting:
    """The office has these further settings: `sections`(town, office's name) in the syntax of the configuration."""

    name: str
    sections: Callable[[Any, str], str]

    def places(self, town: Any) -> tuple[str, ...]:
        return names(town)

    def is_set(self, town: Any, place: str) -> bool:
        return fault_settings.is_set(town, place, self.name)

    async def set(self, town: Any, place: str) -> None:
        change(town, place, self.name, self.sections(town, place))
        _tell(town, place, self.name, "set")

    async def clear(self, town: Any, place: str) -> None:
        if self.is_set(town, place):
            change(town, place, self.name, "")
            _tell(town, place, self.name, "mended")


@frozen
class Between:
    """As Setting, at two offices at a time: `sections`(office, other)."""

    name: str
    sections: Callable[[Office, Office], str]

    def places(self, town: Any) -> tuple[str, ...]:
        return tuple(f"{one}+{other}" for one, other in combinations(names(town), 2))

    def is_set(self, town: Any, place: str) -> bool:
        return all(fault_settings.is_set(town, office.name, self._block(other)) for office, other in self._pairs(town, place))

    async def set(self, town: Any, place: str) -> None:
        for office, other in self._pairs(town, place):
            change(town, office.name, self._block(other), self.sections(office, other))
        _tell(town, place, self.name, "set")

    async def clear(self, town: Any, place: str) -> None:
        if self.is_set(town, place):
            for office, other in self._pairs(town, place):
                change(town, office.name, self._block(other), "")
            _tell(town, place, self.name, "mended")

    def _block(self, other: Office) -> str:
        return f"{self.name}-{other.name}"

    def _pairs(self, town: Any, place: str) -> tuple[tuple[Office, Office], tuple[Office, Office]]:
        one, other = (next(office for office in town.offices if office.name == name) for name in place.split("+"))
        return (one, other), (other, one)


def change(town: Any, office: str, name: str, sections: str) -> None:
    """As `fault_settings.change`. Connections of other offices that are open there end: they would go by what was before."""
    fault_settings.change(town, office, name, sections)
    for other in names(town):
        if other != office:
            town.network.link(other, office).cut()


class Full:
    """The account may keep one octet: whatever it has, there is no room for more."""

    def places(self, town: Any) -> tuple[str, ...]:
        return accounts(town)

    def is_set(self, town: Any, place: str) -> bool:
        account = None if (service := service_of(town, place)) is None else service.foundation.database.get(place)
        return account is not None and account.quota == ALL_OF_IT

    async def set(self, town: Any, place: str) -> None:
        await self._change(town, place, "1")
        _tell(town, place, "mailbox-full", "set")

    async def clear(self, town: Any, place: str) -> None:
        if self.is_set(town, place):
            await self._change(town, place, "unlimited")
            _tell(town, place, "mailbox-full", "mended")

    async def _change(self, town: Any, place: str, quota: str) -> None:
        await registrar(town, place)["user.change"]({"name": place, "fields": {"quota": quota}})  # type: ignore[misc]


class Gone:
    """The account is removed, as when somebody leaves; the letters that are there stay on the disk."""

    def places(self, town: Any) -> tuple[str, ...]:
        return accounts(town)

    def is_set(self, town: Any, place: str) -> bool:
        service = service_of(town, place)
        return service is not None and service.foundation.database.get(place) is None

    async def set(self, town: Any, place: str) -> None:
        if not self.is_set(town, place):
            await registrar(town, place)["user.remove"]({"name": place})  # type: ignore[misc]
            _tell(town, place, "unknown-user", "set")

    async def clear(self, town: Any, place: str) -> None:
        if self.is_set(town, place):
            await town.make_accounts(office_of(town, place).name)
            Present(service_of(town, place)).user_changed(place)
            _tell(town, place, "unknown-user", "mended")


def accounts(town: Any) -> tuple[str, ...]:
    return tuple(account for office in town.offices for account in office.accounts)


def office_of(town: Any, account: str) -> Office:
    found: Office = next(office for office in town.offices if account in office.accounts)
    return found


def service_of(town: Any, account: str) -> Any:
    return town.service(office_of(town, account).name)


def registrar(town: Any, account: str) -> Mapping[str, Any]:
    """The verbs by which an operator changes accounts. NotNow."""
    service = service_of(town, account)
    if service is None:
        raise NotNow(f"{office_of(town, account).name} is off")
    return Registrar(Present(service)).verbs()


def _tell(town: Any, place: str, name: str, state: str) -> None:
    town.ring.add(place if place in names(town) else "", "switch", place, {"what": name, "state": state})
