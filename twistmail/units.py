"""Units for systemd, written for one configuration: the service, hemmed in, and a socket for every port below 1024. Pure.

With the sockets nobody ever is root: systemd opens the ports, the service runs as
its user from its first instruction on. What it may do besides is in `FENCES`;
whether a server lives with that is tried by tests/interop/test_units.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from twistmail.endpoints import Listen, Transport
from twistmail.mail.values import frozen

LOW = 1024
STATE = Path("/var/lib")
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))

#: spec/limits.md section 4. Not here: MemoryDenyWriteExecute (pyOpenSSL writes the little functions that OpenSSL calls at run time),
#: ProcSubset (the addresses of this machine are read from /proc/net), PrivateNetwork,
#: IPAddressDeny and PrivateUsers (groups that may read keys of certificates).
FENCES = """\
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
ProtectProc=invisible
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
LimitNOFILE=65536
LimitCORE=0
TasksMax=256
MemoryMax=75%
"""
#: Where mail belongs to users of the machine the service begins as root, to start the helper that gives files away
#: (`giving_helper`), and becomes its user by twistd --uid: what that needs (to read what is its user's, too), and what of FENCES
#: stands in its way.
RIGHTS = "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_SETGID CAP_SETUID\n"
IN_THE_WAY = ("CapabilityBoundingSet=\n", "RestrictSUIDSGID=yes\n", "SystemCallFilter=~@privileged\n")


@frozen
class Installation:
    """What is written into the units: how the server is started, whose it is, where it keeps things.

    `program` is twistd. `gives_files`: mail belongs to users of this machine. `pickup`: where they leave mail while the server does
    not run, if that is outside of `data_dir`.
    """

    program: Path
    config: Path
    user: str
    data_dir: Path
    gives_files: bool = False
    pickup: Path | None = None


def units(installation: Installation, listens: Iterable[tuple[str, Listen]]) -> Mapping[str, str]:
    """{name of the file: its text} for the service and for *listens*: (service, where it listens)."""
    sockets = {name: text for service, listen in listens if _is_low(listen) for name, text in [_socket(service, listen)]}
    return {"twistmail.service": _service(installation, sorted(sockets)), **sockets}


def _is_low(listen: Listen) -> bool:
    return listen.kind in (Transport.TCP, Transport.TLS) and 0 < listen.port < LOW


def _service(installation: Installation, sockets: list[str]) -> str:
    wants = f"Requires={' '.join(sockets)}\nAfter={' '.join(sockets)}\n" if sockets else ""
    opened = f"Sockets={' '.join(sockets)}\nNonBlocking=yes\n" if sockets else ""
    also = f"Also={' '.join(sockets)}\n" if sockets else ""
    return f"""\
[Unit]
Description=twistmail, the mail server
After=network-online.target
Wants=network-online.target
{wants}StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=notify
ExecStart={_quoted(_command(installation))}
ExecReload=/bin/kill -HUP $MAINPID
{opened}{_identity(installation)}Restart=always
RestartSec=2
TimeoutStopSec=60
{_places(installation)}{_fences(installation)}
[Install]
WantedBy=multi-user.target
{also}"""


def _command(installation: Installation) -> tuple[str, ...]:
    user = installation.user
    drop = ("--uid", user, "--gid", user) if installation.gives_files else ()
    return str(installation.program), "-n", "--pidfile=", "--umask=077", *drop, "twistmail", "--config", str(installation.config)


def _identity(installation: Installation) -> str:
    user = installation.user
    return "" if installation.gives_files else f"User={user}\nGroup={user}\n"


def _fences(installation: Installation) -> str:
    if not installation.gives_files:
        return FENCES
    fences = FENCES
    for line in IN_THE_WAY:
        fences = fences.replace(line, "")
    return fences + RIGHTS


def _places(installation: Installation) -> str:
    """Where the service may write; and homes, where anything of it lies in one."""
    data_dir = installation.data_dir
    if data_dir.parent == STATE and not installation.gives_files:
        written = f"StateDirectory={data_dir.name}\nStateDirectoryMode=0700\n"
    else:
        written = f"ReadWritePaths={_escaped(str(data_dir))}\n"
    if installation.pickup is not None:
        written += f"ReadWritePaths=-{_escaped(str(installation.pickup))}\n"
    places = (data_dir, installation.program, installation.config)
    at_home = any(home in place.parents for home in HOMES for place in places)
    return written + f"ProtectHome={'read-only' if at_home else 'yes'}\n"


def _socket(service: str, listen: Listen) -> tuple[str, str]:
    address = f"[{listen.interface}]" if ":" in listen.interface else listen.interface or "0.0.0.0"
    text = f"""\
[Unit]
Description=twistmail: {service} on port {listen.port}

[Socket]
ListenStream={address}:{listen.port}
FileDescriptorName={service}-{listen.port}
Service=twistmail.service
Backlog={max(listen.backlog, LOW)}
NoDelay=yes

[Install]
WantedBy=sockets.target
"""
    where = f"-{listen.interface.replace(':', '_')}" if listen.interface else ""
    return f"twistmail-{service}-{listen.port}{where}.socket", text


def _quoted(command: Iterable[str]) -> str:
    """A command line as systemd.service(5) reads it: no variables."""
    return " ".join(_escaped(word).replace("$", "$$") for word in command)


def _escaped(word: str) -> str:
    """One word as systemd reads it: no specifiers, what has a space in quotes."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{word}"' if any(c in word for c in " \t'\"\\;") else word
