"""The class in a LAN: which accounts the students have, and where the offices listen for them.

Nothing of it is there unless the teacher asks for it (`twistmail demo --lan`). `door` lets people in, `rules` says what they may.
"""

from __future__ import annotations

import csv
import io
import ipaddress
import re
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from twistmail.lab.offices import PASSWORD, Office
from twistmail.mail.values import frozen

STUDENTS = 30
MOST_STUDENTS = 200
DIGITS = 6
#: No l, 1, o or 0: people read it from paper.
LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
PASSWORD_LENGTH = 8
ROSTER = "roster.csv"
#: The code of the room, that of the teacher and the key of the browsers' cookies.
ROOM = "room.json"
COLUMNS = ("account", "password", "name")
#: What a student may do, so that one's flood does no harm to the class.
LIMITS = {
    "mx": "max_mails_per_ip = 120\nmax_connections_per_network = 500\nmax_message = 5M\n",
    "submission": "rate = 60/10m\nrecipient_rate = 200/10m\nmax_connections_per_network = 500\nmax_message = 5M\n",
}
#: What may be done in the name of those who are everybody's: thirty students may do it at once.
SHARED = {"rate": "1800/10m", "recipient_rate": "6000/10m"}
_LISTEN = re.compile(r"^(?:listen = +| +)(t(?:cp|ls):\S+):interface=127\.0\.0\.1$", re.MULTILINE)


class NoLan(Exception):
    """There is no address in a LAN, or the roster cannot be used; in words for people."""


def own_address(wish: str = "") -> str:
    """The address of this machine in the LAN: *wish* where it is one, else that by which others would be reached. NoLan.

    No packet is sent for that: a datagram socket that is connected asks the routing table and nobody else.
    """
    try:
        if wish:
            return str(ipaddress.IPv4Address(wish))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
    except ValueError:
        raise NoLan(f"{wish} is no IPv4 address; write that of this computer in the LAN, such as 192.168.1.20") from None
    except OSError:
        raise NoLan("this computer is in no network; say which address: --lan 192.168.1.20") from None


# ----- accounts


@frozen
class Student:
    account: str
    password: str
    name: str = ""


def students_of(offices: Iterable[Office], number: int = STUDENTS) -> tuple[Student, ...]:
    """s01, s02 ..., in turn at each of *offices*, each with a password of chance."""
    domains = [office.domain for office in offices]
    return tuple(Student(f"s{count + 1:02d}@{domains[count % len(domains)]}", _password()) for count in range(number))


def _password() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(PASSWORD_LENGTH))


def written(students: Iterable[Student]) -> str:
    """As CSV with a heading. What a spreadsheet would take for a formula is kept from being one."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(COLUMNS)
    table.writerows((one.account, one.password, "'" + one.name if one.name[:1] in ("=", "+", "-", "@") else one.name) for one in students)
    return text.getvalue()


def read(text: str, offices: Iterable[Office]) -> tuple[Student, ...]:
    """A roster as a teacher has it: columns account, password, name, in any order; a missing account or password is made up. NoLan.

    An account without a domain goes to one office after the other.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    try:
        return _read(csv.DictReader(io.StringIO(text)), [office.domain for office in offices])
    except csv.Error as error:
        raise NoLan(f"the roster is no CSV: {error}") from None


def _read(table: csv.DictReader[str], domains: list[str]) -> tuple[Student, ...]:
    if not table.fieldnames or not {"account", "name"} & set(table.fieldnames):
        raise NoLan("the roster needs a heading with the columns account, password, name")
    found: dict[str, Student] = {}
    for count, row in enumerate(table):
        if count >= MOST_STUDENTS:
            raise NoLan(f"the roster has more than {MOST_STUDENTS} lines")
        account = (row.get("account") or f"s{count + 1:02d}").strip().lower()
        local, _, domain = account.partition("@")
        domain = domain or domains[count % len(domains)]
        if domain not in domains or not local or not set(local) <= set(LETTERS + "lo01.-_"):
            raise NoLan(f"line {count + 2} of the roster: {account[:80]} is no account of {', '.join(domains)}")
        if (name := f"{local}@{domain}") in found:
            raise NoLan(f"line {count + 2} of the roster: {name} is there twice")
        found[name] = Student(name, (row.get("password") or "").strip() or _password(), (row.get("name") or "").strip()[:100])
    return tuple(found.values())


def roster_in(folder: Path, offices: Iterable[Office], given: Path | None = None) -> tuple[Student, ...]:
    """That of *given*, else the one that lies in *folder*, else a new one; it lies in *folder* from now on. NoLan, OSError."""
    offices = tuple(offices)
    place = folder / ROSTER
    source = given or (place if place.exists() else None)
    try:
        students = read(source.read_text("utf-8"), offices) if source else students_of(offices)
    except UnicodeDecodeError:
        raise NoLan(f"{source} is not UTF-8; save it as CSV UTF-8") from None
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place.touch(mode=0o600)
    place.write_text(written(students), "utf-8", newline="")
    return students


def with_students(offices: Iterable[Office], students: Iterable[Student]) -> tuple[Office, ...]:
    """*offices*, where *students* work too."""
    people: dict[str, list[str]] = {}
    for one in students:
        local, _, domain = one.account.partition("@")
        people.setdefault(domain, []).append(local)
    return tuple(replace(office, people=tuple(dict.fromkeys((*office.people, *people.get(office.domain, ()))))) for office in offices)


@dataclass(frozen=True)
class Lan:
    """What a town has to know of its class: `address` of this machine, `code` of the room, the `students`."""

    address: str
    students: tuple[Student, ...]
    code: str = field(default_factory=lambda: f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}")
    teacher: str = field(default_factory=lambda: _password())  # by which the teacher is known at other computers than his own
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)  # with which browsers are told who they are

    @property
    def passwords(self) -> Mapping[str, str]:
        """Of students; the people of the lessons keep the one that everybody knows (`offices.PASSWORD`)."""
        return {one.account: one.password for one in self.students}

    def password_of(self, account: str) -> str:
        return self.passwords.get(account, PASSWORD)


def lan_in(folder: Path, address: str, offices: Iterable[Office], roster: Path | None = None) -> Lan:
    """The class of *folder*, as `roster_in`, with the codes that it had: who was in comes in again. NoLan, OSError."""
    students = roster_in(folder, offices, roster)
    place = folder / ROOM
    kept = _kept(place)
    lan = Lan(address, students, *kept) if kept else Lan(address, students)
    place.touch(mode=0o600)
    place.write_text(orjson.dumps([lan.code, lan.teacher, lan.key.hex()]).decode())
    return lan


def _kept(place: Path) -> tuple[str, str, bytes] | None:
    """What `lan_in` has left; None where there is nothing, or something else."""
    try:
        code, teacher, key = map(str, orjson.loads(place.read_bytes()))
        is_ours = len(code) == DIGITS and code.isdigit() and teacher.isascii() and len(teacher) >= PASSWORD_LENGTH and len(key) == 64
        return (code, teacher, bytes.fromhex(key)) if is_ours else None
    except (OSError, ValueError, TypeError):
        return None


def opened(config: str, address: str) -> str:
    """The configuration of an office that listens at *address* too, within LIMITS."""
    both = _LISTEN.sub(lambda match: f"{match[0]}\n         {match[1]}:interface={address}", config)
    for section, limits in LIMITS.items():
        both = both.replace(f"[{section}]\n", f"[{section}]\n{limits}", 1)
    return both
