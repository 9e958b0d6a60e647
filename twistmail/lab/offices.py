"""The offices of the classroom: who works there, and where each is found. Values; nothing is running here."""

from __future__ import annotations

from twistmail.mail.values import frozen

#: Everybody's. The offices listen on loopback only (or in a class, with passwords of its own).
PASSWORD = "demo"
#: The usual numbers; an office adds its own thousands.
USUAL_PORTS = {"mx": 25, "submission": 587, "submissions": 465, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995, "dns": 53}


@frozen
class Office:
    """One office. `number`: 1, 2, 3 ...; `people`: their names before the @."""

    name: str
    number: int
    people: tuple[str, ...]

    @property
    def domain(self) -> str:
        return f"{self.name}.test"

    @property
    def host(self) -> str:
        """What its server is called."""
        return f"mx.{self.name}.test"

    @property
    def address(self) -> str:
        """Its pretend address (RFC 5737): what stands in the DNS. Only the pretend network knows the way there."""
        return f"192.0.2.{self.number * 10}"

    @property
    def accounts(self) -> tuple[str, ...]:
        return tuple(f"{person}@{self.domain}" for person in self.people)

    def port(self, service: str) -> int:
        """Where it listens on loopback, if that is free: the usual number and a thousand for each office."""
        return USUAL_PORTS[service] + 1000 * self.number


OFFICES = (Office("blue", 1, ("alice", "bob")), Office("green", 2, ("carol", "dave")), Office("red", 3, ("mallory",)))
