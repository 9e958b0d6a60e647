"""Values: small frozen dataclasses at a low price (`frozen`), and values that differ a little from others, quickly (`changed`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from functools import cache
from inspect import get_annotations
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")
Writer = Callable[[Any, Any], None]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """A decorator: *kind* as `@dataclass(frozen=True, slots=True)` makes it, for a third of the memory and half of the time at start.

    That one compiles seven functions for each class: thousands, which a process pays for and hardly ever calls. Here one is compiled,
    `__init__`, and none where a class adds no field to its base; it takes 0.6 of the time of the other one. The rest is shared by
    all values and takes 1.6 times as long, so the key of all big dicts, `Address`, is a dataclass.

    All of `dataclasses` works with values (`fields`, `replace`, `match` ...); fields may have defaults, `compare` and `repr`, but
    not `init` or `kw_only`, and there is no `__post_init__` (TypeError). A frozen dataclass and a value cannot be bases of each other.
    """
    own = kind.__dict__.keys() - {"__doc__"}
    kind.__doc__ = kind.__doc__ or kind.__name__  # dataclass() would write one from a signature, slowly
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True)(kind)
    if get_annotations(kind) or not hasattr(kind, "_compared"):
        if hasattr(kind, "__post_init__") or not all(one.init and not one.kw_only for one in fields(made)):
            raise TypeError(f"{kind.__name__} asks for more than a value has; make it a frozen dataclass")
        made.__init__ = _init(made)
        compared = [one.name for one in fields(made) if one.compare]
        made._compared = attrgetter(*compared) if compared else staticmethod(_nothing)
    for name, method in _SHARED.items():
        if name not in own and getattr(made, name, None) is not method:
            setattr(made, name, method)
    return made  # type: ignore[no-any-return]


def _init(kind: Any) -> Any:
    """An `__init__` that puts each field into its slot."""
    given: dict[str, Any] = {"__name__": kind.__module__}
    parameters, lines = ["self"], ["pass"]
    for one in fields(kind):
        name, content = one.name, one.name
        given[f"put_{name}"] = getattr(kind, name).__set__
        if one.default_factory is not MISSING:
            given[f"make_{name}"] = one.default_factory
            parameters.append(f"{name}=None")
            content = f"make_{name}() if {name} is None else {name}"
        elif one.default is not MISSING:
            given[f"default_{name}"] = one.default
            parameters.append(f"{name}=default_{name}")
        else:
            parameters.append(name)
        lines.append(f"put_{name}(self, {content})")
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines), given)
    made = given.pop("__init__")
    made.__qualname__ = f"{kind.__qualname__}.__init__"
    return made


def _nothing(_: Any) -> tuple[()]:
    return ()


# ----- what all values share


def _eq(self: Any, other: Any) -> Any:
    if other is self:
        return True
    if other.__class__ is not self.__class__:
        return NotImplemented
    return self._compared(self) == self._compared(other)


def _hash(self: Any) -> int:
    return hash(self._compared(self))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{self.__class__.__qualname__}({shown})"


def _setattr(self: Any, name: str, content: Any) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, one.name) for one in fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    for one, content in zip(fields(self), state, strict=True):
        object.__setattr__(self, one.name, content)


_SHARED: dict[str, Any] = {
    "__eq__": _eq, "__hash__": _hash, "__repr__": _repr, "__setattr__": _setattr, "__delattr__": _delattr,
    "__getstate__": _getstate, "__setstate__": _setstate,
}  # fmt: skip


# ----- values that differ a little


def changed(value: T, /, **fields: Any) -> T:
    """As `dataclasses.replace`, for dataclasses with slots and without a `__post_init__`, in a third of its time.

    KeyError where there is no field of that name.
    """
    kind: Any = type(value)
    copied, writers = _copying(kind)
    new: T = copied(value)
    for name, content in fields.items():
        writers[name](new, content)
    return new


@cache
def _copying(kind: Any) -> tuple[Callable[[Any], Any], dict[str, Writer]]:
    """What makes another of *kind* with the same content, slot by slot, and what writes each field of it."""
    writers: dict[str, Writer] = {name: kind.__dict__[name].__set__ for name in kind.__dict__["__slots__"]}
    given: dict[str, Any] = {"new": object.__new__, "kind": kind} | {f"put_{name}": put for name, put in writers.items()}
    lines = ["made = new(kind)", *(f"put_{name}(made, one.{name})" for name in writers), "return made"]
    exec("def copied(one):\n " + "\n ".join(lines), given)
    return given.pop("copied"), writers
