"""Finding parts by name: whatever any installed package offers in its `twisted/plugins/` folder.

A part is an object there that provides `twisted.plugin.IPlugin` and `IPart`
(or IPolicyStageFactory). Twisted finds the modules and remembers in its
`dropin.cache` what they offer; a module that cannot be imported is reported by
its name here and harms no other. What a part becomes, and when, is
`assembly`'s business.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import twisted.plugins
from twisted.plugin import getCache
from twisted.python.modules import getModule

from twistmail.interfaces import IPart, IPolicyStageFactory
from twistmail.options import Section

POLICY_STAGE = "policy stage"


@dataclass(frozen=True, slots=True)
class Part:
    """A factory that was found. `origin` is the module that offers it."""

    kind: str
    name: str
    factory: Any
    origin: str

    @property
    def options(self) -> Section | None:
        return self.factory.options  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin (module, or object in it) that could not be loaded, and why."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"plugin {self.name} does not work: {self.why}"


@dataclass(frozen=True, slots=True)
class Discovery:
    """All parts that there are, sorted by kind and name."""

    parts: tuple[Part, ...]
    broken: tuple[Broken, ...]

    def find(self, kind: str, name: str) -> Part | None:
        return next((part for part in self.parts if (part.kind, part.name) == (kind, name)), None)

    def of_kind(self, kind: str) -> dict[str, Part]:
        return {part.name: part for part in self.parts if part.kind == kind}

    def sections(self) -> tuple[Section, ...]:
        """The sections that parts bring; a section that several share is there once."""
        return tuple({part.options.name: part.options for part in self.parts if part.options}.values())


def discover(package: Any = twisted.plugins) -> Discovery:
    """Look at every plugin of *package*. May block: it imports what is new and writes Twisted's plugin cache."""
    cache = getCache(package)
    broken = [_broken_module(name) for name in _module_names(package) if name.rpartition(".")[2] not in cache]
    parts: dict[tuple[str, str], Part] = {}
    for dropin in cache.values():
        for plugin in dropin.plugins:
            if not _is_part(plugin.provided):
                continue
            try:
                part = _part(plugin.load(), dropin.moduleName)
            except Exception as trouble:
                broken.append(Broken(f"{dropin.moduleName}.{plugin.name}", _why(trouble)))
                continue
            other = parts.setdefault((part.kind, part.name), part)
            if other is not part:
                broken.append(Broken(f"{dropin.moduleName}.{plugin.name}", f"{other.origin} offers {part.kind} {part.name} already"))
    return Discovery(tuple(sorted(parts.values(), key=lambda part: (part.kind, part.name))), tuple(broken))


def _is_part(provided: Iterable[Any]) -> bool:
    return any(interface.isOrExtends(wanted) for interface in provided for wanted in (IPart, IPolicyStageFactory))


def _part(factory: Any, origin: str) -> Part:
    kind = POLICY_STAGE if IPolicyStageFactory.providedBy(factory) else factory.kind
    options = factory.options
    if options is not None and not isinstance(options, Section):
        raise TypeError(f"its options are {options!r}, neither a Section nor None")
    return Part(str(kind), str(factory.name), factory, origin)


def _module_names(package: Any) -> list[str]:
    return sorted(module.name for module in getModule(package.__name__).iterModules())


def _broken_module(name: str) -> Broken:
    """*name* is not in the cache, so importing it fails; once more, to hear why."""
    try:
        importlib.import_module(name)
    except Exception as trouble:
        return Broken(name, _why(trouble))
    return Broken(name, "it failed once and works now; try again")


def _why(trouble: Exception) -> str:
    return f"{type(trouble).__name__}: {trouble}"
