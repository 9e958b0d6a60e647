"""How much mail may wait: a queue that is full says so before anything is promised. Pure.

Reports have a tenth more. They are what a message of the queue turns into before
it can go, so a queue that took none of them while it is full would stay full.
"""

from __future__ import annotations

from twistmail.mail.values import frozen

#: What reports have beside the limits: this part of them, and at least so many.
MORE, LEAST_MORE = 0.1, 16


@frozen
class Bounds:
    """At most so many `messages`, and so many `octets` of them (None: unlimited)."""

    messages: int = 100_000
    octets: int | None = None

    def refusal(self, messages: int, octets: int, size: int, *, report: bool = False) -> str:
        """Why one of *size* octets is not taken where so many wait already; "" where it is. *report*: it has no sender."""
        if messages >= self.messages + (max(LEAST_MORE, int(self.messages * MORE)) if report else 0):
            return f"the queue holds {messages} messages; its limit is {self.messages}"
        if self.octets is not None and octets + size > self.octets * (1.0 + MORE if report else 1.0):
            return f"the queue holds {octets} octets; its limit is {self.octets}"
        return ""
