"""What does not go together, though each value is right by itself. Components' own checks stand beside their assembly."""

from __future__ import annotations

from collections.abc import Iterator

from twistmail.config.own_name import HOSTS, LAST_RESORT
from twistmail.config.problem import WARNING, Problem
from twistmail.config.settled import Config
from twistmail.endpoints import ENDPOINTS, OFF, Listen, Transport


def listeners(config: Config) -> Iterator[tuple[str, str, Listen]]:
    """(section, key, Listen) of everything that listens."""
    for setting in config:
        if setting.option.kind is ENDPOINTS:
            for listen in getattr(config[setting.section], setting.option.key):
                yield setting.section, setting.option.key, listen


def one_place_one_service(config: Config) -> Iterator[Problem]:
    """Two services on one port, or one service on it twice."""
    earlier: list[tuple[str, Listen]] = []
    for section, key, listen in listeners(config):
        if owner := next((name for name, other in earlier if _clash(listen, other)), None):
            yield config.problem(section, key, f"{listen} is taken by [{owner}] already", "give one of them another port")
        earlier.append((section, listen))


def _clash(one: Listen, other: Listen) -> bool:
    """Can they not both be opened? No interface means all of them; port 0 means any that is free."""
    if one.place == other.place:
        return one.kind in (Transport.UNIX, Transport.SYSTEMD) or one.port != 0
    return one.place[0] == other.place[0] == "port" and one.port == other.port != 0 and not (one.interface and other.interface)


def somebody_listens(config: Config) -> Iterator[Problem]:
    """A server that nobody can reach is rarely meant."""
    settings = [setting for setting in config if setting.option.kind is ENDPOINTS]
    if settings and all(setting.text in ("", OFF) for setting in settings):
        suggestion = "set listen in " + ", ".join(f"[{setting.section}]" for setting in settings)
        yield config.problem(settings[0].section, "listen", "no service listens anywhere", suggestion, WARNING)


def we_have_a_name(config: Config) -> Iterator[Problem]:
    """Others do not believe who calls himself as everybody may."""
    if config["server"].hostname == LAST_RESORT:
        text = f"neither the system nor {HOSTS} knows a full name of this machine: it calls itself {LAST_RESORT}"
        yield config.problem("server", "hostname", text, "write hostname = mail.blue.example, as the world sees it", WARNING)


def lone_lf_is_for_classrooms(config: Config) -> Iterator[Problem]:
    """What no other server says, no port of a server that others find shall hear. A classroom's offices are below .test, where nothing
    can be found (RFC 6761 §6.2)."""
    if not config["server"].hostname.endswith(".test"):
        for setting in config.changed():
            if setting.option.key == "lone_lf" and config[setting.section].lone_lf:
                text = "lines that end with LF alone are for the classroom: elsewhere they let one message pass for two (SMTP smuggling)"
                yield config.problem(setting.section, "lone_lf", text, "remove it; by hand it is nc -C, or openssl s_client -crlf")


CHECKS = (one_place_one_service, somebody_listens, we_have_a_name, lone_lf_is_for_classrooms)
