"""The command line of `twistd twistmail`. Short on purpose: everything else is in the configuration file."""

from __future__ import annotations

from twisted.python import usage

_EXAMPLES = """
Examples:

  twistd -n twistmail --config config.ini
      in the foreground, with that file

  twistd --pidfile=/run/twistmail.pid --logfile=/var/log/twistmail.log --umask=077 twistmail --config /etc/twistmail/config.ini
      as a daemon; SIGHUP makes it read its configuration again

  twist twistmail --config config.ini --set imap.listen=tcp:2143:interface=127.0.0.1 --only imap
      one service on one port, log on the terminal

Without --config: $TWISTMAIL_CONFIG, ./config.ini, /etc/twistmail/config.ini, the first that exists.
"""


class Options(usage.Options):
    """After parsing: `["config"]` (str or None), `["set"]` and `["only"]` (lists of str), `["check"]` (bool)."""

    synopsis = "[--demo] [--config FILE] [--set section.key=value]... [--only mx,imap] [--check]"
    longdesc = ""  # folded by usage into one paragraph; see getUsage
    optParameters = [["config", "c", None, "The configuration file."]]
    optFlags = [["demo", None, "Serve the classroom: three pretend offices and their pages, on this computer only (docs/demo.md)."],
                ["check", None, "Check the configuration, tell all problems, and stop."]]

    def __init__(self) -> None:
        super().__init__()
        self["set"] = []
        self["only"] = []

    def opt_set(self, assignment: str) -> None:
        """Set one key, as section.key=value; goes before every file. Repeatable."""
        section_and_key, equals, _ = assignment.partition("=")
        if not equals or "." not in section_and_key:
            raise usage.UsageError(f"--set {assignment}: write --set section.key=value")
        self["set"].append(assignment)

    def opt_only(self, services: str) -> None:
        """Start these services only, such as mx,imap."""
        self["only"] += [word for word in services.replace(",", " ").split() if word]

    def getUsage(self, width: int | None = None) -> str:
        """The usual text, with the examples as they are written."""
        return f"{super().getUsage(width)}{_EXAMPLES}"
