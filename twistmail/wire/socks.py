"""SOCKS version 5 (RFC 1928), the client's side, with the login of RFC 1929: a connection to somebody by way of a proxy. Pure.

`begin` is said first; what comes is fed to a `Socks`, which says what follows
and tells when the way is open. Nothing behind the proxy's last word is lost
(`rest`), and no more of the proxy is ever kept than one message.
"""

from __future__ import annotations

import ipaddress

#: RFC 1928 §3.
_NO_LOGIN, _PASSWORD, _NONE_OF_THESE = 0, 2, 0xFF
_CONNECT, _IPV4, _NAME, _IPV6 = 1, 1, 3, 4
#: RFC 1928 §6, in words.
_REFUSALS = {
    1: "the proxy has failed",
    2: "the proxy's rules do not allow it",
    3: "the network is not to be reached",
    4: "the host is not to be reached",
    5: "the connection was refused",
    6: "the way took too many steps",
    7: "the proxy does not connect",
    8: "the proxy does not know that kind of address",
}


class Refusal(Exception):
    """The proxy does not let us through, or speaks something else. The text says why."""


class Socks:
    """One way through a proxy to *address* (an IP address) and *port*; *user* empty: without a login."""

    def __init__(self, address: str, port: int, user: str = "", password: str = "") -> None:
        packed = ipaddress.ip_address(address).packed
        self._request = bytes((5, _CONNECT, 0, _IPV4 if len(packed) == 4 else _IPV6)) + packed + port.to_bytes(2, "big")
        self._user, self._password = user.encode(), password.encode()
        self._expects = self._method
        self._data = b""
        self.is_open = False
        #: What came behind the proxy's last word, once the way is open.
        self.rest = b""

    def begin(self) -> bytes:
        """What is said first (RFC 1928 §3)."""
        methods = bytes((_NO_LOGIN, _PASSWORD)) if self._user else bytes((_NO_LOGIN,))
        return bytes((5, len(methods))) + methods

    def feed(self, data: bytes) -> bytes:
        """What follows from *data*; empty while nothing does, and once `is_open`. Raises Refusal."""
        self._data += data
        answer = b""
        while not self.is_open and (said := self._expects()) is not None:
            answer += said
        if self.is_open:
            self.rest, self._data = self.rest + self._data, b""
        return answer

    def _take(self, count: int) -> bytes | None:
        if len(self._data) < count:
            return None
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def _method(self) -> bytes | None:
        """RFC 1928 §3: which login the proxy wants."""
        if (chosen := self._take(2)) is None:
            return None
        if chosen[0] != 5:
            raise Refusal("that is no SOCKS proxy")
        if chosen[1] == _PASSWORD and self._user:
            self._expects = self._verdict
            return bytes((1, len(self._user))) + self._user + bytes((len(self._password),)) + self._password
        if chosen[1] != _NO_LOGIN:
            wants = "wants a login" if chosen[1] == _NONE_OF_THESE else "wants a login of another kind"
            raise Refusal(f"the proxy {wants}")
        self._expects = self._reply
        return self._request

    def _verdict(self) -> bytes | None:
        """RFC 1929 §2."""
        if (said := self._take(2)) is None:
            return None
        if said[1] != 0:
            raise Refusal("the proxy does not accept our login")
        self._expects = self._reply
        return self._request

    def _reply(self) -> bytes | None:
        """RFC 1928 §6. The address at its end, of one of three kinds, tells us nothing."""
        if len(self._data) < 5:
            return None
        version, code, _, kind, length = self._data[:5]
        if version != 5:
            raise Refusal("that is no SOCKS proxy")
        if code:
            raise Refusal(_REFUSALS.get(code, "the proxy refuses"))
        octets = {_IPV4: 4, _IPV6: 16, _NAME: 1 + length}.get(kind)
        if octets is None:
            raise Refusal("that is no SOCKS proxy")
        if self._take(4 + octets + 2) is None:
            return None
        self.is_open = True
        return b""
