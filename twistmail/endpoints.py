"""What stands in a `listen` setting: Twisted endpoint strings, read into values and opened by nobody here.

Pure: the listeners (`service`) turn a `Listen` into a port. We read the strings
ourselves for three reasons: a mistake is reported with its line instead of at
start; `tls:port=N` means *our* certificates (Twisted's own `tls:993` means the
certificate directory "993" and port 443); and a dropped port can be told from
a kept one at reload, because a `Listen` is a value.
"""

from __future__ import annotations

import ipaddress
import re
from enum import Enum

from twistmail.mail.values import frozen
from twistmail.options import Kind

OFF = "off"


class Transport(Enum):
    """How a listener is reached."""

    TCP = "tcp"
    TLS = "tls"  # TCP with TLS from the first byte
    UNIX = "unix"
    SYSTEMD = "systemd"  # a socket that systemd has opened


@frozen
class Listen:
    """One place to listen. `text` is what was written; two listeners with equal `place` exclude each other.

    `interface` is an IP address, empty for all. `path` and `mode` belong to UNIX sockets. `domain` (INET, INET6, UNIX) with
    `index` or `name` tells which socket of systemd is meant; `implicit_tls` is True where TLS starts with the first byte.
    """

    text: str
    kind: Transport
    port: int = 0
    interface: str = ""
    backlog: int = 128
    path: str = ""
    mode: int = 0o660
    domain: str = ""
    index: int | None = None
    name: str = ""
    implicit_tls: bool = False

    @property
    def place(self) -> tuple[str, ...]:
        match self.kind:
            case Transport.UNIX:
                return ("unix", self.path)
            case Transport.SYSTEMD:
                return ("systemd", self.domain, self.name or str(self.index))
            case _:
                return ("port", self.interface, str(self.port))

    def __str__(self) -> str:
        return self.text


def parse_all(text: str) -> tuple[Listen, ...]:
    """One Listen per line of *text*; none for "off" and for nothing. ValueError as `options.Kind.read` raises it."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if lines == [OFF] or not lines:
        return ()
    if OFF in lines:
        raise ValueError("off stands beside endpoints\nwrite off alone, or leave it out")
    return tuple(parse(line) for line in lines)


def parse(text: str) -> Listen:
    """The Listen that one endpoint string describes. ValueError with what is wrong, a line feed, and what would be right."""
    kind, *arguments = _split(text)
    positional = [value for key, value in arguments if not key]
    named = {key: value for key, value in arguments if key}
    read = _READERS.get(kind[1] if not kind[0] else "")
    if read is None:
        raise ValueError(f"{text}: {_unknown_kind(text)}")
    listen = read(text, positional, named)
    if named:
        raise ValueError(f'{text}: unknown argument "{next(iter(named))}"\n{_USAGE[listen.kind]}')
    if positional:
        raise ValueError(f'{text}: "{positional[0]}" is one argument too many\n{_USAGE[listen.kind]}')
    return listen


def _split(text: str) -> list[tuple[str, str]]:
    """(key, value) per colon-separated argument, key empty where there is no "="; a backslash takes the next character as it is."""
    arguments: list[tuple[str, str]] = []
    key, value, at = "", "", 0
    while at < len(text):
        character = text[at]
        if character == "\\" and at + 1 < len(text):
            at += 1
            value += text[at]
        elif character == ":":
            arguments.append((key, value))
            key, value = "", ""
        elif character == "=" and not key:
            key, value = value, ""
        else:
            value += character
        at += 1
    return [*arguments, (key, value)]


def _unknown_kind(text: str) -> str:
    head = text.partition(":")[0]
    if head == "ssl":
        return f'ssl: needs a key file of its own here\ndid you mean "tls:port={_digits(text) or 993}"?'
    if text.isdigit():
        return f'a number alone is no endpoint\ndid you mean "tcp:{text}"?'
    if match := re.fullmatch(r"\[?([0-9A-Fa-f.:]+?)\]?:(\d{1,5})", text):
        return f'an address and a port are no endpoint\ndid you mean "tcp:{match[2]}:interface={escape(match[1])}"?'
    if head == "tcp6":
        return f'tcp6 is spelled tcp here\ndid you mean "tcp:{_digits(text) or 25}:interface=\\:\\:"?'
    return "no such kind of endpoint\nwrite tcp:PORT, tls:port=PORT, unix:PATH, systemd:domain=INET:index=0, or off"


def escape(address: str) -> str:
    """*address* as an argument of an endpoint string."""
    return address.replace("\\", "\\\\").replace(":", "\\:").replace("=", "\\=")


def _digits(text: str) -> str:
    match = re.search(r"\d+", text)
    return match[0] if match else ""


def _port(text: str, positional: list[str], named: dict[str, str]) -> int:
    value = named.pop("port", None) or (positional.pop(0) if positional else "")
    if not re.fullmatch(r"\d{1,5}", value) or int(value) > 65535:
        raise ValueError(f'{text}: "{value}" is not a port\nwrite a number from 1 to 65535 (0: any free port)')
    return int(value)


def _interface(text: str, positional: list[str], named: dict[str, str]) -> str:
    value = named.pop("interface", "")
    if positional and re.fullmatch(r"[0-9A-Fa-f]*", positional[0]) and (value + ":".join(positional)).count(":"):
        right = escape(":".join([value, *positional]))
        raise ValueError(f'{text}: the colons of an IPv6 address need backslashes\nwrite "interface={right}"')
    try:
        return str(ipaddress.ip_address(value)) if value else ""
    except ValueError:
        raise ValueError(f'{text}: "{value}" is not an IP address\nwrite interface=127.0.0.1, or leave it out for all') from None


def _number(text: str, named: dict[str, str], key: str, default: str, base: int = 10) -> int:
    value = named.pop(key, default)
    if not re.fullmatch(r"\d{1,6}" if base == 10 else r"[0-7]{3,4}", value):
        raise ValueError(f'{text}: {key}="{value}" is not a number\nwrite {key}={default}')
    return int(value, base)


def _tcp(text: str, positional: list[str], named: dict[str, str]) -> Listen:
    port = _port(text, positional, named)
    backlog = _number(text, named, "backlog", "128")
    return Listen(text, Transport.TCP, port, _interface(text, positional, named), backlog)


def _tls(text: str, positional: list[str], named: dict[str, str]) -> Listen:
    if positional and "port" not in named:
        raise ValueError(f'{text}: Twisted reads "{positional[0]}" as a certificate directory, port 443\n'
                         f'did you mean "tls:port={_digits(text) or 993}"?')
    if positional and "interface" not in named:
        raise ValueError(f"{text}: the certificates come from [tls] directory\nwrite tls:port={named['port']} alone")
    port = _port(text, [], named)
    backlog = _number(text, named, "backlog", "128")
    return Listen(text, Transport.TLS, port, _interface(text, positional, named), backlog, implicit_tls=True)


def _unix(text: str, positional: list[str], named: dict[str, str]) -> Listen:
    path = named.pop("address", None) or (positional.pop(0) if positional else "")
    if not path:
        raise ValueError(f"{text}: the path of the socket is missing\nwrite unix:run/lmtp.sock")
    return Listen(text, Transport.UNIX, path=path, mode=_number(text, named, "mode", "660", 8))


def _systemd(text: str, positional: list[str], named: dict[str, str]) -> Listen:
    domain = named.pop("domain", "")
    if domain not in ("INET", "INET6", "UNIX"):
        raise ValueError(f'{text}: "{domain}" is not a domain of sockets\nwrite domain=INET, domain=INET6 or domain=UNIX')
    name, tls = named.pop("name", ""), named.pop("tls", "no")
    if tls not in ("yes", "no"):
        raise ValueError(f'{text}: tls="{tls}" is neither yes nor no\nwrite tls=yes where TLS starts with the first byte')
    if name and "index" in named:
        raise ValueError(f"{text}: name and index exclude each other\nwrite name={name} alone")
    index = None if name else _number(text, named, "index", "0")
    return Listen(text, Transport.SYSTEMD, domain=domain, index=index, name=name, implicit_tls=tls == "yes")


_READERS = {"tcp": _tcp, "tls": _tls, "unix": _unix, "systemd": _systemd}
_USAGE = {
    Transport.TCP: "write tcp:PORT[:interface=ADDRESS][:backlog=N]",
    Transport.TLS: "write tls:port=PORT[:interface=ADDRESS][:backlog=N]",
    Transport.UNIX: "write unix:PATH[:mode=660]",
    Transport.SYSTEMD: "write systemd:domain=INET:index=N or systemd:domain=INET:name=NAME[:tls=yes]",
}

#: The kind of a `listen` setting.
ENDPOINTS = Kind("endpoints", parse_all, lambda value: "\n".join(map(str, value)) or OFF)
