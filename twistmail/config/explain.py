"""The declarations as text for people: config.example.ini, and `twistmail config explain`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from twistmail.config.schema import Schema
from twistmail.config.settled import Config
from twistmail.options import Option, Reload, Section

WIDTH = 100

HEADER = """\
# config.example.ini -- twistmail
#
# Start     twistd -n twistmail --config config.ini
# Check     twistmail config check          Apply    twistmail reload   (kill -HUP)
# Explain   twistmail config explain imap.idle_timeout
# "#key = value" shows the built-in default.
# Times 30s 15m 4h 5d   Sizes 10M 2G unlimited   yes/no   Lists: spaces, commas or new lines
# Secrets: env:NAME, file:path or cred:NAME (systemd) instead of the secret.
# Relative paths start at data_dir.  %u = user@domain  %n = user  %d = domain
#
# "listen" takes Twisted endpoint strings, one per line: tcp:25, tcp:25:interface=127.0.0.1,
# unix:PATH, systemd:domain=INET:index=0; in tls:port=N the certificates of [tls] are filled in.
# "off" switches a service off.  The ports below need no privileges and are not seen from outside;
# the usual ones are 25 (mx), 587 and 465 (submission), 143 and 993 (imap), 110 and 995 (pop3).
"""


def example(sections: Sequence[Section]) -> str:
    """The whole of config.example.ini: every option with its default and its help."""
    return HEADER + "".join("\n" + "\n".join(_section_lines(section)) + "\n" for section in sections)


def _section_lines(section: Section) -> Iterator[str]:
    mark = "#" if section.pattern else ""
    yield f"{mark}[{section.name}:NAME]" if section.pattern else f"[{section.name}]"
    yield from _wrapped(section.help)
    for option in section.options:
        yield mark
        yield from _wrapped(option.help + _remark(option))
        yield from _assignment(option)


def _remark(option: Option) -> str:
    """What the assignment below it does not show: the default where the example sets something else, or a value where there is none."""
    if option.starter and not option.required:
        return f" Default: {option.default}." if option.default else ""
    if option.example and not option.default:
        return " Such as: " + option.example.replace("\n", ", ")
    return ""


def _assignment(option: Option) -> Iterator[str]:
    """`key = value`, uncommented where the example sets it; the lines of a list below each other."""
    mark = "" if option.starter else "#"
    first, *rest = (option.starter or (option.example if option.required else option.default)).split("\n")
    yield f"{mark}{option.key} = {first}".rstrip()
    for line in rest:
        yield f"{mark}{' ' * (len(option.key) + 3)}{line}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False)


def explain(sections: Sequence[Section], target: str, config: Config | None = None) -> str:
    """All about `section.key`, `section`, or a key alone where only one section has it. KeyError with a sentence where it is unknown."""
    schema = Schema(sections)
    name, dot, key = target.rpartition(".")
    if not dot:
        name, key = _home(schema, target)
    section = schema.find(name) or next((other for other in schema if other.pattern and other.name == name), None)
    if section is None:
        raise KeyError(f"there is no section [{name}]")
    if not key:
        return "\n".join([f"[{section.name}]", *textwrap.wrap(section.help, WIDTH),
                          *(f"  {option.key:26} {option.default or '-'}" for option in section.options)])
    option = section.option(key)
    if option is None:
        raise KeyError(f'there is no "{key}" in [{name}]')
    return "\n".join(_option_lines(name, section, option, config))


def _home(schema: Schema, word: str) -> tuple[str, str]:
    """(section, key) that a lone *word* means."""
    if schema.find(word) or any(section.name == word for section in schema):
        return word, ""
    homes = [section.name for section in schema if section.option(word)]
    if not homes:
        raise KeyError(f'nothing is called "{word}"')
    if len(homes) > 1:
        raise KeyError(f'"{word}" is in several sections: ' + ", ".join(f"{home}.{word}" for home in homes))
    return homes[0], word


def _option_lines(name: str, section: Section, option: Option, config: Config | None) -> Iterator[str]:
    yield f"{name}.{option.key}"
    yield from textwrap.wrap(option.help, WIDTH, initial_indent="  ", subsequent_indent="  ")
    yield f"  what     {option.kind.name}"
    yield "  default  " + ("none, it must be set" if option.required else option.default.replace("\n", " ") or "nothing")
    if example := option.example or option.starter:
        yield "  example  " + example.replace("\n", "\n           ")
    yield f"  reload   {RELOADS[option.reload]}"
    if config is not None and name in config:
        yield f"  now      {config.text(name, option.key) or 'nothing'} ({config.origin(name, option.key)})"


RELOADS = {
    Reload.LIVE: "takes effect at once",
    Reload.NEW: "takes effect for new connections",
    Reload.RESTART: "takes effect when the server is started again",
}
