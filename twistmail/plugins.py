"""Finding parts by name: whatever any installed package offers in its `twisted/plugins/` folder.

A part is an object there that provides `twisted.plugin.IPlugin` and `IPart` (or
IPolicyStageFactory). The modules are imported here and now: Twisted's
`dropin.cache` is not asked, because it may be older than the package it tells
of (pip gives files the times of the wheel). A module that cannot be imported is
reported by its name and harms no other. What a part becomes, and when, is
`assembly`'s business.
"""

from __future__ import annotations

import importlib
from typing import Any

import twisted.plugins
from twisted.plugin import IPlugin
from twisted.python.modules import getModule

from twistmail.interfaces import IPart, IPolicyStageFactory
from twistmail.mail.values import frozen
from twistmail.options import Section

POLICY_STAGE = "policy stage"


@frozen
class Part:
    """A factory that was found. `origin` is the module that offers it."""

    kind: str
    name: str
    factory: Any
    origin: str

    @property
    def options(self) -> Section | None:
        return self.factory.options  # type: ignore[no-any-return]


@frozen
class Broken:
    """A plugin (module, or object in it) that could not be loaded, and why."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"plugin {self.name} does not work: {self.why}"


@frozen
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
    """Look at every plugin module of *package*. Blocking: it imports them."""
    broken: list[Broken] = []
    parts: dict[tuple[str, str], Part] = {}
    for name in _module_names(package):
        try:
            module = importlib.import_module(name)
        except Exception as trouble:
            broken.append(Broken(name, _why(trouble)))
            continue
        for variable, value in vars(module).items():
            if not _is_part(value):
                continue
            try:
                part = _part(value, name)
            except Exception as trouble:
                broken.append(Broken(f"{name}.{variable}", _why(trouble)))
                continue
            other = parts.setdefault((part.kind, part.name), part)
            if other.factory is not part.factory:
                broken.append(Broken(f"{name}.{variable}", f"{other.origin} offers {part.kind} {part.name} already"))
    return Discovery(tuple(sorted(parts.values(), key=lambda part: (part.kind, part.name))), tuple(broken))


def _is_part(value: Any) -> bool:
    return not isinstance(value, type) and IPlugin.providedBy(value) and (IPart.providedBy(value) or IPolicyStageFactory.providedBy(value))


def _part(factory: Any, origin: str) -> Part:
    kind = POLICY_STAGE if IPolicyStageFactory.providedBy(factory) else factory.kind
    options = factory.options
    if options is not None and not isinstance(options, Section):
        raise TypeError(f"its options are {options!r}, neither a Section nor None")
    return Part(str(kind), str(factory.name), factory, origin)


def _module_names(package: Any) -> list[str]:
    """The plugin modules, but for Twisted's own, which have no parts of a mail server."""
    names = sorted(module.name for module in getModule(package.__name__).iterModules())
    return [name for name in names if not name.rpartition(".")[2].startswith(("twisted_", "cred_"))]


def _why(trouble: Exception) -> str:
    return f"{type(trouble).__name__}: {trouble}"
