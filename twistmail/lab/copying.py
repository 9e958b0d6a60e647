"""The lines to copy: what one types in a terminal to meet the offices with the programs that everybody has. Pure.

The about page shows them, and a test runs every one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote as quoted
from string import Template
from typing import Any
from urllib.parse import quote

from twistmail.mail.values import frozen
from twistmail.web.guard import hostname
from twistmail.web.page import Asked
from twistmail.web.site import is_near


@frozen
class Copied:
    """`name`: for its place on the page; `program`: what has to be installed; `words`: what it does; `line`: for a shell."""

    name: str
    program: str
    words: str
    line: str


#: Where the offices listen for this computer. Passwords go there in clear; from elsewhere they are taken over TLS alone.
HERE = "127.0.0.1"
#: Lines that work on this computer only, as the name server does; and those that only others need.
HERE_ONLY = ("mx",)
ELSEWHERE_ONLY = ("trust",)
#: The certificate of the town's authority, for all who come by the pages.
CERTIFICATE = "town.pem"
#: (name, program, words, line). $blue_mx and so on are ports, $host is where the offices listen, $tls what curl needs for TLS,
#: $trusting what mutt does, $authority where the certificate of the town's authority lies.
LINES = (
    ("trust", "curl", "First of all: the certificate of the town's authority, by which the lines below know with whom they speak",
     "curl -sO ${pages}" + CERTIFICATE),
    ("stranger", "swaks", "A stranger writes to alice: straight to the MX of blue.test, as any server of the world does",
     "swaks --server $host:$blue_mx --helo pc.example --from eve@pc.example --to alice@blue.test"),
    ("submit", "swaks", "alice writes to carol in the next office: she logs in over TLS, with the certificate checked, and hands it to"
     " her own office, which relays it",
     "swaks --server $host:$blue_submission --tls --tls-verify --tls-ca-path $authority --auth PLAIN"
     " --auth-user alice@blue.test --auth-password $password --from alice@blue.test --to carol@green.test"),
    ("refused", "swaks", "Somebody who is not logged in wants blue.test to carry mail to green.test: refused",
     "swaks --server $host:$blue_mx --helo pc.example --from eve@pc.example --to carol@green.test"),
    ("mx", "dig", "Where does mail for green.test go? The same question that the office of blue.test asks",
     "dig @$host -p $blue_dns MX green.test"),
    ("imap", "curl", "How many messages carol has, by IMAP",
     "curl$tls -u carol@green.test:$password imap://$host:$green_imap/ -X 'STATUS INBOX (MESSAGES UNSEEN)'"),
    ("fetch", "curl", "The first of them, by IMAP: it is read, and it stays", "curl$tls -u carol@green.test:$password 'imap://$host:$green_imap/INBOX;MAILINDEX=1'"),
    ("pop3", "curl", "The same mailbox by POP3", "curl$tls -u carol@green.test:$password pop3://$host:$green_pop3/"),
    ("send", "curl", "Sending with curl: a letter from your keyboard, ended by Ctrl-D",
     "curl --crlf --ssl-reqd --cacert $authority -u bob@blue.test:$password --mail-from bob@blue.test --mail-rcpt dave@green.test -T -"
     " smtp://$host:$blue_submission/pc.blue.test"),
    ("checked", "curl", "carol's mailbox inside TLS from the beginning, with the certificate checked",
     "curl --cacert $authority -u carol@green.test:$password imaps://$host:$green_imaps/ -X 'STATUS INBOX (MESSAGES UNSEEN)'"),
    ("certificate", "openssl", "Who vouches for green.test? Its certificate, and whether it is in order",
     "openssl s_client -connect $host:$green_mx -starttls smtp -CAfile $authority -verify_ip $host -brief </dev/null"),
    ("mutt", "mutt", "A whole mail program in the terminal, with the certificate checked (where mutt has OpenSSL:"
     " certificate_file)",
     "mutt -n -F /dev/null -e $trusting -e 'set from=carol@green.test record=\"\" folder=~ smtp_authenticators=plain"
     " smtp_url=smtp://$carol:$password@$host:$green_submission/' -f imap://$carol:$password@$host:$green_imap/INBOX"),
    ("telnet", "telnet", "By hand: then type EHLO me, MAIL FROM:<me@pc.example>, RCPT TO:<alice@blue.test>, DATA, a letter, a dot, QUIT",
     "telnet $host $blue_mx"),
)  # fmt: skip


def lines(about: Mapping[str, Any], host: str, pages: str = "") -> tuple[Copied, ...]:
    """LINES for a town whose `lines()` are *about*. *host*: the address where its offices listen; *pages*: the URL of the map."""
    is_here = host == HERE
    file = about["authority"] if is_here else CERTIFICATE
    authority = quoted(file)
    tls = "" if is_here else f" --ssl-reqd --cacert {authority}"
    values: dict[str, Any] = {"host": host, "authority": authority, "pages": pages, "tls": tls}
    values["trusting"] = quoted(f'set ssl_force_tls=yes ssl_starttls=yes ssl_ca_certificates_file="{file}"')
    values |= {"password": about["password"], "carol": quote("carol@green.test", safe="")}
    for office in about["offices"]:
        values |= {f"{office['name']}_{service}": port for service, port in office["ports"].items()}
    shown = [line for line in LINES if line[0] not in (ELSEWHERE_ONLY if is_here else HERE_ONLY)]
    return tuple(Copied(name, program, words, Template(line).substitute(values)) for name, program, words, line in shown)


def host_of(asked: Asked) -> str:
    """Where this browser finds the offices: at the address at which it has found the page; they have no IPv6."""
    name = hostname(asked.headers.get("host", ""))
    return HERE if is_near(name) or name.endswith("localhost") else name


@frozen
class Setting:
    """One line of a mail program's account window."""

    way: str
    port: int
    security: str


OR_NONE = " or none"
#: (way, service, security): what a mail program is told, the better way first.
SETTINGS = (
    ("IMAP", "imaps", "SSL/TLS"),
    ("IMAP", "imap", "STARTTLS" + OR_NONE),
    ("POP3", "pop3s", "SSL/TLS"),
    ("POP3", "pop3", "STARTTLS" + OR_NONE),
    ("SMTP (outgoing)", "submissions", "SSL/TLS"),
    ("SMTP (outgoing)", "submission", "STARTTLS" + OR_NONE),
)


def settings(ports: Mapping[str, int], host: str = HERE) -> Sequence[Setting]:
    """For a mail program that finds the offices at *host*: elsewhere than here no password is taken in clear."""
    less = "" if host == HERE else OR_NONE
    return [Setting(way, ports[service], security.removesuffix(less)) for way, service, security in SETTINGS]
