import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.endpoints import ENDPOINTS, Transport, escape, parse


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        pytest.param("tcp:25", Transport.TCP, {"port": 25, "interface": ""}, id="tcp"),
        pytest.param(
            "tcp:port=25:interface=127.0.0.1:backlog=5", Transport.TCP, {"port": 25, "interface": "127.0.0.1", "backlog": 5}, id="tcp-named"
        ),
        pytest.param("tcp:25:interface=\\:\\:1", Transport.TCP, {"interface": "::1"}, id="tcp-over-ipv6"),
        pytest.param("tls:port=993", Transport.TLS, {"port": 993, "implicit_tls": True}, id="tls"),
        pytest.param("unix:/run/a\\:b.sock:mode=600", Transport.UNIX, {"path": "/run/a:b.sock", "mode": 0o600}, id="unix"),
        pytest.param(
            "systemd:domain=INET:index=2", Transport.SYSTEMD, {"domain": "INET", "index": 2, "implicit_tls": False}, id="systemd-index"
        ),
        pytest.param(
            "systemd:domain=INET6:name=imaps:tls=yes",
            Transport.SYSTEMD,
            {"name": "imaps", "index": None, "implicit_tls": True},
            id="systemd-name",
        ),
    ],
)
def test_an_endpoint_string_becomes_a_value(text, kind, expected):
    listen = parse(text)
    assert (listen.kind, listen.text) == (kind, text)
    assert {key: getattr(listen, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("text", "what", "right"),
    [
        pytest.param(
            "tls:993", 'Twisted reads "993" as a certificate directory, port 443', 'did you mean "tls:port=993"?', id="the-tls-trap"
        ),
        pytest.param("ssl:993", "key file", 'did you mean "tls:port=993"?', id="ssl"),
        pytest.param("25", "a number alone", 'did you mean "tcp:25"?', id="bare-number"),
        pytest.param("127.0.0.1:25", "an address and a port", 'did you mean "tcp:25:interface=127.0.0.1"?', id="address-and-port"),
        pytest.param("[::1]:25", "an address and a port", 'did you mean "tcp:25:interface=\\:\\:1"?', id="address-and-port-ipv6"),
        pytest.param("tcp:25:interface=::1", "backslashes", 'write "interface=\\:\\:1"', id="unescaped-colons"),
        pytest.param("tls:port=25:interface=::1", "backslashes", 'write "interface=\\:\\:1"', id="unescaped-colons-tls"),
        pytest.param("tcp:smtp", '"smtp" is not a port', "write a number", id="service-name"),
        pytest.param("tcp:70000", "is not a port", "write a number", id="port-too-large"),
        pytest.param("tcp:", "is not a port", "write a number", id="no-port"),
        pytest.param("tcp:25:interface=localhost", "not an IP address", "interface=127.0.0.1", id="interface-by-name"),
        pytest.param("tcp:25:reuse=1", 'unknown argument "reuse"', "tcp:PORT", id="unknown-argument"),
        pytest.param("tcp:25:80", '"80" is one argument too many', "tcp:PORT", id="too-many-arguments"),
        pytest.param("tls:port=993:privateKey=x", 'unknown argument "privateKey"', "tls:port=PORT", id="tls-with-its-own-key"),
        pytest.param("tls:/etc/certs:port=993", "[tls] directory", "tls:port=993", id="tls-with-its-own-directory"),
        pytest.param("systemd:index=0", "is not a domain of sockets", "domain=INET", id="systemd-without-domain"),
        pytest.param("systemd:domain=INET:index=0:name=x", "exclude each other", "name=x alone", id="systemd-twice"),
        pytest.param("unix:", "path of the socket is missing", "unix:run", id="unix-without-path"),
        pytest.param("quic:25", "no such kind", "tcp:PORT", id="unknown-kind"),
    ],
)
def test_a_wrong_string_says_what_would_be_right(text, what, right):
    with pytest.raises(ValueError) as trouble:
        ENDPOINTS.read(text)
    said, _, suggestion = str(trouble.value).partition("\n")
    assert what in said
    assert right in suggestion


def test_off_and_nothing_are_no_listener():
    assert ENDPOINTS.read("off") == ENDPOINTS.read("") == ()
    with pytest.raises(ValueError, match="off stands beside endpoints"):
        ENDPOINTS.read("off\ntcp:25")


def test_one_line_is_one_endpoint_and_writing_brings_it_back():
    text = "tcp:25\ntls:port=465:interface=127.0.0.1"
    assert [listen.port for listen in ENDPOINTS.read(text)] == [25, 465]
    assert ENDPOINTS.write(ENDPOINTS.read(text)) == text
    assert ENDPOINTS.write(()) == "off"


@given(st.text(alphabet="tcplsunixd:=\\/25.0ofe[]", max_size=40))
@settings(max_examples=200)
def test_any_text_is_read_or_refused_with_a_suggestion(text):
    said = ""
    try:
        ENDPOINTS.read(text)
    except ValueError as trouble:
        said = str(trouble)
    assert not said or "\n" in said


@given(st.ip_addresses(v=6))
@settings(max_examples=50)
def test_an_escaped_address_is_read_back(address):
    assert parse(f"tcp:25:interface={escape(str(address))}").interface == str(address)
