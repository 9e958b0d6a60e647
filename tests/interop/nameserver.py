"""A name server for tests: every name is 127.0.0.1, and TXT records are what dynamic updates have made them (RFC 2136, TSIG)."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig

KEY = dns.tsig.Key("acme.", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0ISE=", "hmac-sha256")
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0ISE="


class NameServer:
    """Authoritative for *zone*. `texts`: what each name has; `seen`: the names that ever had a text; `port`: TCP and UDP of loopback."""

    def __init__(self, zone: str) -> None:
        self.zone = dns.name.from_text(zone)
        self.texts: dict[dns.name.Name, set[str]] = {}
        self.seen: list[str] = []
        self.port = 0

    def reply(self, octets: bytes) -> bytes:
        """What is said to a question or an update."""
        try:
            asked = dns.message.from_wire(octets, keyring={KEY.name: KEY})
        except dns.message.UnknownTSIGKey:
            return self._refusal(octets, dns.rcode.NOTAUTH)
        except dns.tsig.BadSignature:
            return self._refusal(octets, dns.rcode.NOTAUTH)
        answer = dns.message.make_response(asked)
        if asked.opcode() == dns.opcode.UPDATE:
            answer.set_rcode(self._update(asked) if asked.had_tsig else dns.rcode.REFUSED)
        else:
            answer.flags |= dns.flags.AA
            self._answer(answer)
        return answer.to_wire()

    def _refusal(self, octets: bytes, code: dns.rcode.Rcode) -> bytes:
        asked = dns.message.from_wire(octets, keyring=False)
        answer = dns.message.make_response(asked)
        answer.set_rcode(code)
        return answer.to_wire()

    def _update(self, asked: Any) -> dns.rcode.Rcode:
        if asked.zone[0].name != self.zone:
            return dns.rcode.NOTZONE
        for change in asked.update:
            texts = self.texts.setdefault(change.name, set())
            for record in change:
                text = record.strings[0].decode()
                if change.deleting is None:
                    texts.add(text)
                    self.seen.append(str(change.name))
                else:
                    texts.discard(text)
        return dns.rcode.NOERROR

    def _answer(self, answer: dns.message.Message) -> None:
        question = answer.question[0]
        records = {
            dns.rdatatype.A: ["127.0.0.1"],
            dns.rdatatype.TXT: [f'"{text}"' for text in self.texts.get(question.name, ())],
            dns.rdatatype.SOA: [f"ns.{self.zone} root.{self.zone} 1 60 60 60 60"] if question.name == self.zone else [],
        }.get(question.rdtype, [])
        if records:
            answer.answer.append(dns.rrset.from_text(question.name, 1, dns.rdataclass.IN, question.rdtype, *records))


@contextlib.contextmanager
def name_server(zone: str) -> Iterator[NameServer]:
    """A NameServer at work."""
    server = NameServer(zone)

    class ByTcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while head := self.rfile.read(2):
                octets = server.reply(self.rfile.read(int.from_bytes(head, "big")))
                self.wfile.write(len(octets).to_bytes(2, "big") + octets)

    class ByUdp(socketserver.DatagramRequestHandler):
        def handle(self) -> None:
            self.wfile.write(server.reply(self.rfile.read()))

    class Tcp(socketserver.ThreadingTCPServer):
        daemon_threads = allow_reuse_address = True

    with Tcp(("127.0.0.1", 0), ByTcp) as tcp, socketserver.UDPServer(tcp.server_address, ByUdp) as udp:
        server.port = tcp.server_address[1]
        for one in (tcp, udp):
            threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server
        finally:
            tcp.shutdown()
            udp.shutdown()


