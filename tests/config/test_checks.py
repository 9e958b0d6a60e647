"""What is wrong with a configuration as a whole."""

import sys
from types import SimpleNamespace

import pytest

from tests.tls.authority import Authority, pem
from twistmail import checks as checks_module
from twistmail.config.load import load
from twistmail.plugins import discover
from twistmail.sections import checks, everything

LISTEN = "[server]\nhostname = mail.blue.example\n[mx]\nlisten = tcp:2525:interface=127.0.0.1\n"


@pytest.fixture(scope="module")
def discovery():
    return discover()


@pytest.fixture
def told(tmp_path, discovery):
    """A function: the problems of a text, as lines without the folder."""

    def run(text: str) -> list[str]:
        (tmp_path / "c.ini").write_text(LISTEN + text)
        loaded = load(everything(discovery), tmp_path / "c.ini", (), {}, checks(discovery))
        return [str(problem).replace(f"{tmp_path}/", "") for problem in loaded.problems]

    return run


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "stages = limits realying\n",
            "c.ini:5:1: error: no policy stage is called realying\n    did you mean relaying?",
            id="unknown-stage",
        ),
        pytest.param(
            "stages = limits relaying recipients\ndnsbl = zen.example\n",
            "c.ini:6:1: warning: only the stage blocklists looks at this\n    add blocklists to stages",
            id="a-list-that-nobody-asks",
        ),
        *(
            pytest.param(f"[{section}]\nlisten = tcp:{port}:interface=127.0.0.1\nlone_lf = yes\n",
                         "c.ini:7:1: error: lines that end with LF alone are for the classroom",
                         id=f"what-nc-says-to-{section}")
            for section, port in (("submission", 2587), ("lmtp", 2424), ("imap", 2143), ("pop3", 2110))
        ),
        pytest.param("lone_lf = yes\n", "c.ini:5:1: error: lines that end with LF alone", id="what-nc-says"),
        pytest.param("dnswl = list.example\n", "c.ini:5:1: warning: it is asked only where a blocklist is", id="an-allowlist-alone"),
        pytest.param("dnsbl = zen\n", "c.ini:5:9: error: dnsbl = zen is not the zone of a list", id="no-list"),
        pytest.param("hello = own_name\n", "c.ini:5:9: error: hello = own_name is no rule about names of clients", id="no-rule-for-hello"),
        pytest.param(
            "[store]\nuse = mbox\n", "c.ini:6:1: error: no store is called mbox\n    there are: maildir, memory", id="unknown-store"
        ),
        pytest.param("[aliases]\nsource = config ldapp\n", "c.ini:6:1: error: no alias source is called ldapp", id="unknown-alias-source"),
        pytest.param(
            "[relay]\nretry = 6d\n", "c.ini:6:1: error: the first retry comes after a message has expired", id="retry-after-expiry"
        ),
        pytest.param("[relay]\nexpire = 1h\n", "c.ini:5:1: warning: the sender would be warned after", id="warning-after-expiry"),
        pytest.param(
            "[domain:red.example]\n[route:red.example]\nvia = a.example\n",
            "c.ini:6:1: error: red.example is a local domain",
            id="local-and-routed",
        ),
        pytest.param(
            "[srs]\nenabled = yes\ndomain = far.example\n[domains]\nlocal = blue.example\n",
            "c.ini:7:1: warning: far.example is no domain of ours: reports would go elsewhere",
            id="reports-elsewhere",
        ),
        pytest.param(
            "[srs]\nenabled = yes\nexpire = 600d\n", "c.ini:7:1: error: such an address tells its age in whole days", id="too-long-to-tell"
        ),
        pytest.param(
            "[relay]\nverp = news\nverp_delimiters = -=\n", "c.ini:7:1: error: reports would find nobody: - does not", id="verp-to-nobody"
        ),
        pytest.param("[relay]\nverp_delimiters = @=\n", "c.ini:6:19: error: verp_delimiters = @= is no pair", id="no-delimiters"),
        pytest.param(
            "[rewrite]\nmasquerade_domains = *.lan\n", "c.ini:6:1: error: without masquerade_as nothing is masqueraded", id="half-a-mask"
        ),
        pytest.param("[rewrite]\nmasquerade_as = a..b\n", "c.ini:6:17: error: masquerade_as = a..b is no domain", id="no-mask"),
        pytest.param("[rewrite]\nsender_map = missing\n", "c.ini:6:1: error: ", id="no-sender-map"),
        pytest.param("[canonical]\ntable = missing\n", "c.ini:6:1: error: ", id="no-canonical-table"),
        pytest.param("[canonical]\nsenders = regexp:missing\n", "c.ini:6:1: error: ", id="no-canonical-expressions"),
        pytest.param(
            "[alias:a@blue.example]\nto = b\n[alias:b@blue.example]\nto = A@blue.example\n",
            "c.ini:6:1: error: a@blue.example leads in a circle",
            id="circle",
        ),
        pytest.param(
            "[alias:a b@blue.example]\nto = c\n", "c.ini:5:1: error: 'a b@blue.example' is not an address", id="alias-of-no-address"
        ),
        pytest.param("[domain:blue example]\n", "c.ini:5:1: error: 'blue example' is not a domain name", id="domain-of-no-name"),
        pytest.param(
            "[domain:blue.example]\ncatchall = @\n", "c.ini:6:1: error: '@' has nothing before the @", id="catchall-of-no-address"
        ),
        pytest.param(
            "[domain:Blue.example]\n",
            "c.ini:5:1: error: Blue.example would never match an address\n    write blue.example",
            id="upper-case",
        ),
        pytest.param("[domains]\nlocal = a..b\n", "c.ini:6:1: error: 'a..b' is not a domain name", id="local-of-no-name"),
        pytest.param("[role:a b]\nmembers = c\n", "c.ini:5:1: error: 'a b' is not an address", id="role-of-no-address"),
        pytest.param("[group:office]\nmembers = @\n", "c.ini:6:1: error: '@' has nothing before the @", id="member-of-no-address"),
        pytest.param("[role:a@blue.example]\nmembers = group=b\n", "c.ini:6:1: error: there is no group b", id="group-not-there"),
        pytest.param("[role:a@blue.example]\nmembers = b\nrights = lq\n", "c.ini:7:10: error: rights = lq are no rights", id="no-right"),
        pytest.param("[user:a@blue.example]\npassword = b\n[role:a@blue.example]\nmembers = b\n",
                     "c.ini:8:1: error: a@blue.example is a user too", id="role-and-user"),
        pytest.param("[sharing]\nenabled = no\n[role:a@blue.example]\nmembers = b\n",
                     "c.ini:6:1: warning: nobody sees the mailbox of the role", id="not-shared"),
        pytest.param("[sharing]\nshared = a/b\n", "c.ini:6:10: error: shared = a/b cannot be a level", id="a-level-of-two-levels"),
        pytest.param("[imap]\nlisten = tcp:2525\n", "c.ini:6:1: error: tcp:2525 is taken by [mx] already", id="port-taken"),
    ],
)
def test_what_does_not_go_together_is_told_where_it_stands(told, text, problem):
    found = told(text)
    assert any(line.startswith(problem) for line in found), found


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[alias:a@blue.example]\nto = a\n", id="an-alias-that-names-itself-means-the-mailbox"),
        pytest.param("[alias:a@blue.example]\nto = b c@x.example\n[alias:b@blue.example]\nto = a\n", id="a-circle-with-a-way-out"),
        pytest.param("[domain:blue.example]\ncatchall = anna\n[route:red.example]\nvia = mx.red.example\n", id="a-usual-configuration"),
    ],
)
def test_what_goes_together_is_not_told(told, text):
    assert told(text) == []


@pytest.mark.parametrize(("content", "why"), [
    pytest.param(None, "No such file or directory", id="not-there"),
    pytest.param(b"Dear reader,\n", "", id="no-pem"),
    pytest.param(b"-----BEGIN CERTIFICATE-----\nAAAA\n", "it is damaged, or only a part of it is there", id="half"),
])
def test_a_file_of_authorities_that_cannot_be_read_is_told(told, tmp_path, content, why):
    file = tmp_path / "clients.pem"
    if content is not None:
        file.write_bytes(content)
    (line, hint) = told(f"[tls]\nclient_ca = {file}\n")[0].split("\n")
    assert line.startswith("c.ini:6:1: error: clients.pem: ")
    assert line.partition("clients.pem: ")[2].startswith(why)
    assert hint == "    it holds certificates of authorities, as PEM"


def test_a_file_of_authorities_in_order_is_not_told(told, tmp_path):
    (tmp_path / "clients.pem").write_bytes(pem(Authority().certificate))
    assert told(f"[tls]\nclient_ca = {tmp_path / 'clients.pem'}\n") == []


def test_a_control_socket_with_too_long_a_name_is_told(told, tmp_path):
    assert any("is too long for a socket" in line for line in told("[server]\ncontrol = " + "x" * 120 + "\n"))


def test_without_relaying_it_would_be_an_open_relay(told):
    (line, _) = told("stages = limits hello recipients\n")[0].split("\n")
    assert line == "c.ini:5:1: error: without the stage relaying this server is an open relay"


@pytest.mark.parametrize(("text", "told_of"), [
    pytest.param("[users]\nsource = sqlite\n[user:ann@blue.example]\npassword = x\n", "user", id="people"),
    pytest.param("[aliases]\nsource = file:aliases\n[alias:all@blue.example]\nto = ann\n", "alias", id="aliases"),
])
def test_sections_that_nobody_asks_are_told(told, text, told_of):
    line, hint = next(line for line in told(text) if "not looked at" in line).split("\n")
    assert line.endswith(f"warning: the [{told_of}:...] sections of this file are not looked at")
    assert hint.endswith(" config")
    assert not any("not looked at" in line for line in told(text.replace("source = ", "source = config ")))


def test_a_domain_is_either_ours_or_relayed_for(told):
    (line,) = told("relay_domains = blue.example red.example\n[domains]\nlocal = red.example\n")
    assert line.startswith("c.ini:5:1: error: red.example is a local domain")


def test_files_with_rules_are_read_before_the_start(told, tmp_path):
    (tmp_path / "access").write_text("# ours\nConnect:10.1.2.3/8 REJECT\nTo:x@here.example MAYBE\n")
    (tmp_path / "rules").write_text("body /(a/ reject\n")
    text = f"relay_recipients = {tmp_path}/nowhere\n[access]\nfile = {tmp_path}/access\n[checks]\nfile = {tmp_path}/rules\n"
    first, fourth, second, third = told(text)
    assert fourth == "rules:1:1: error: a ( is not closed"
    assert first == "c.ini:5:1: error: nowhere: No such file or directory"
    assert second.startswith("access:2:1: error: 10.1.2.3/8 is an address inside a network\n    write 10.0.0.0/8")
    assert third.startswith("access:3:1: error: MAYBE is no value\n    write OK, RELAY, REJECT")


def test_a_reload_reads_small_files_and_opens_large_ones(tmp_path, discovery):
    (tmp_path / "small").write_text("Connect:10 MAYBE\n")
    (tmp_path / "large").write_text("Connect:10 MAYBE\n" + "#" * 40_000)

    def told(name: str) -> list[str]:
        (tmp_path / "c.ini").write_text(f"{LISTEN}[access]\nfile = {tmp_path}/{name}\n")
        loaded = load(everything(discovery), tmp_path / "c.ini", (), {}, checks(discovery, files=False))
        return [problem.text for problem in loaded.problems]

    assert told("small") == ["MAYBE is no value"]
    assert told("large") == []
    assert told("none") == [f"{tmp_path}/none: No such file or directory"]


@pytest.mark.parametrize(("text", "problem"), [
    pytest.param("[domain:a.example]\nsame_as = b.example\n", "c.ini:6:1: error: b.example is no domain with users", id="of-nobody"),
    pytest.param("[domain:a.example]\nsame_as = a.example\n", "a.example is no domain with users", id="itself"),
    pytest.param("[domains]\nlocal = c.example\n[domain:a.example]\nsame_as = b.example\n[domain:b.example]\nsame_as = c.example\n",
                 "b.example is an alias domain itself\n    write same_as = c.example", id="of-an-alias"),
    pytest.param("[domains]\nlocal = b.example\n[domain:a.example]\nsame_as = b.example\ncatchall = x@b.example\n",
                 "warning: a.example has the users of b.example, and its catch-all", id="two-catch-alls"),
    pytest.param("[domains]\nlocal = b.example\n[domain:a.example]\nsame_as = b.example\nsubaddress = -\n",
                 "warning: a.example has the users of b.example, and its separators", id="separators-of-two"),
    pytest.param("[domains]\nnormal = B.example\n", "B.example would never match an address\n    write b.example", id="normal"),
])  # fmt: skip
def test_domains_that_have_the_users_of_others(told, text, problem):
    assert any(problem in line for line in told(text)), told(text)


def test_lines_of_files_with_domains_and_users_are_told(told, tmp_path):
    (tmp_path / "names").write_text("a.example\nno name\n")
    (tmp_path / "users").write_text("ann:{PLAIN}x\nbob\n")
    found = told(f"[server]\ndata_dir = {tmp_path}\n[domains]\nnormal_file = names\n[users]\nsource = passwd:users passwd:none\n")
    assert "names:2:1: warning: 'no name' is not a domain name\n    write a domain name, or nothing" in found
    assert any(line.startswith("users:2:1: warning: there is no colon") for line in found)
    assert any("none: No such file or directory" in line for line in found)


@pytest.mark.parametrize(("text", "problem"), [
    pytest.param("enabled = yes\nlisten = tcp:2080\n", [], id="by-page"),
    pytest.param("enabled = yes\nwebroot = /var/www\n", [], id="beside-a-web-server"),
    pytest.param("enabled = yes\n", ["warning: the authority finds nobody"], id="nobody-listens"),
    pytest.param("enabled = yes\nchallenge = tls-alpn-01\nlisten = tls:port=2443\n", [], id="by-handshake"),
    pytest.param("enabled = yes\nchallenge = tls-alpn-01\nlisten = tls:port=2443\n[tls]\nself_signed = no\n",
                 ["error: handshakes need a certificate from the first minute on"], id="handshakes-without-a-certificate"),
    pytest.param("enabled = yes\nlisten = tcp:2080\nnames = *.blue.example\n", ["error: no authority gives *.blue.example by http-01"],
                 id="a-wildcard-by-page"),
    pytest.param("enabled = yes\nlisten = tcp:2080\nnames = mail.Blue.example\n",
                 ["error: mail.Blue.example would never match an address"], id="no-name"),
    pytest.param("enabled = yes\nchallenge = dns-01\n", ["error: dns-01 needs the name server that takes updates"], id="no-name-server"),
    pytest.param("enabled = yes\nchallenge = dns-01\ndns_server = 192.0.2.53:x\n", ["error: 192.0.2.53:x is no name server"], id="no-port"),
    pytest.param("enabled = yes\nchallenge = dns-01\ndns_server = 192.0.2.53\nnames = *.blue.example\n", [], id="by-record"),
    pytest.param("enabled = yes\nchallenge = dns-01\ndns_server = 192.0.2.53\ndns_key = acme\n",
                 ["error: dns_key and dns_secret belong together"], id="half-a-key"),
    pytest.param("challenge = dns-01\n", [], id="switched-off"),
])
def test_what_acme_needs_is_told(told, text, problem):
    pytest.importorskip("acme")
    found = [line.split(": ", 1)[1].split("\n")[0] for line in told(f"[acme]\n{text}")]
    assert len(found) == len(problem)
    assert all(line.startswith(start) for line, start in zip(found, problem, strict=True)), found


def test_without_its_package_acme_is_refused(told, monkeypatch):
    monkeypatch.setitem(sys.modules, "twistmail.tls.acme.issue", None)
    (line,) = told("[acme]\nenabled = yes\nlisten = tcp:2080\n")
    assert "is not installed\n    pip install twistmail[acme]" in line


def test_a_directory_of_certificates_that_is_not_there_is_told(told, tmp_path):
    assert told(f"[tls]\ndirectory = {tmp_path}\n") == []
    (line,) = told(f"[tls]\ndirectory = {tmp_path}/live\n")
    assert line == "c.ini:6:1: warning: live: No such file or directory\n    make it, or correct the path"


@pytest.mark.parametrize(
    ("blocks", "is_told"),
    [pytest.param(1024, True, id="smaller-than-a-page"), pytest.param(4096, False, id="a-page"), pytest.param(65536, False, id="larger")],
)
def test_blocks_that_a_full_disk_would_leave_holes_in_are_told(told, monkeypatch, blocks, is_told):
    monkeypatch.setattr(checks_module.os, "statvfs", lambda path: SimpleNamespace(f_bsize=blocks))
    monkeypatch.setattr(checks_module.resource, "getpagesize", lambda: 4096)
    found = [line.partition(": ")[2] for line in told("") if "blocks of" in line]
    what = f"/var/lib/twistmail lies on a file system with blocks of {blocks} octets: were it full, the server could be killed"
    hint = "use one with blocks of 4096 octets (mkfs.ext4 -b 4096)"
    assert found == ([f"warning: {what}\n    {hint}"] if is_told else [])


LIST = "[list:news@blue.example]\nmembers = anna\nowners = anna\n[domains]\nlocal = blue.example\n"


@pytest.mark.parametrize(("stages", "places"), [
    pytest.param("", [], id="usual"),
    pytest.param("stages = relaying recipients\n", ["c.ini:5:1"], id="none-at-the-door"),
    pytest.param("[submission]\nlisten = tcp:2587\nstages = recipients\n", ["c.ini:7:1"], id="for-users"),
    pytest.param("[submission]\nlisten = off\nstages = recipients\n", [], id="a-service-that-is-off"),
])  # fmt: skip
def test_a_service_that_asks_nobody_who_may_write_to_lists_is_told(told, stages, places):
    found = [line for line in told(stages + LIST) if "nobody asks here who may write to them" in line]
    assert [line.partition(": ")[0] for line in found] == places
    assert all(line.endswith("add lists behind recipients") for line in found)
    assert not any("nobody asks here" in line for line in told(stages)), "there are no lists"
