"""The sections that belong to no component: [server] and [log]."""

from __future__ import annotations

from twistmail.config.own_name import AUTO, own_name
from twistmail.mail.address import canonical_domain
from twistmail.options import DURATION, TEXT, WORDS, Kind, Option, Reload, Section, choice


def _read_hostname(text: str) -> str:
    try:
        name = canonical_domain(own_name() if text == AUTO else text)
    except ValueError:
        raise ValueError(f'"{text}" is not a host name\nwrite the full name, such as mail.blue.example') from None
    if "." not in name and name != "localhost":
        raise ValueError(f'"{text}" has no domain\nwrite the full name, such as {text}.blue.example')
    return name


HOSTNAME = Kind("a full host name", _read_hostname)

SERVER = Section(
    "server",
    "The machine and the process. To open ports below 1024, start as root with twistd --uid --gid, or let systemd open them.",
    Option("hostname", HOSTNAME, AUTO, "The full name of this machine, as the world sees it: greeting, Received fields, reports. "
           "auto: what the system and /etc/hosts call it, without asking the DNS.", Reload.NEW, starter="mail.blue.example"),
    Option("data_dir", TEXT, "/var/lib/twistmail",
           "Where everything is kept. A relative path starts at the folder of this file.", Reload.RESTART, starter="twistmail-data"),
    Option("control", TEXT, "run/control.sock", "The socket over which the twistmail command speaks to the server. "
           "Whoever may open it rules the server, so only its owner may.", Reload.RESTART),
    Option("postmaster", TEXT, "postmaster", "Who gets mail for <postmaster> without a domain, and reports to the operator: "
           "an address, or a name at the hostname's domain."),
    Option("include", WORDS, "conf.d/*.ini", "More files, read after this one in the order of their names. Relative to the folder "
           "of this file."),
)

LOG = Section(
    "log",
    "What is written down about the work. The log itself is twistd's: see twistd --logfile, --syslog and --logger.",
    Option("journal", DURATION, "90d", "How long it is remembered what happened to each message (twistmail trace).", Reload.RESTART),
    Option("transcripts", choice("off", "failures", "all"), "off",
           "Whose protocol dialogue is kept: of nobody, of connections that ended badly, of all. Secrets are masked.", Reload.RESTART),
    Option("transcripts_keep", DURATION, "14d", "How long.", Reload.RESTART),
)

OPTIONS = (SERVER, LOG)
