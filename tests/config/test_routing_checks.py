"""What the checker says of routes."""

import pytest

from tests.config.test_checks import discovery, told

__all__ = ["discovery", "told"]


@pytest.mark.parametrize(("text", "problem"), [
    pytest.param("[route:Part.test]\nvia = [10.0.0.2]\n", "5:1: error: Part.test would never match an address", id="capitals"),
    pytest.param("[route:part..test]\n", "5:1: error: 'part..test' is not a domain name", id="no-domain"),
    pytest.param("[sender_route:a b@c.test]\n", "5:1: error: 'a b@c.test' is not an address", id="no-sender"),
    pytest.param("[route:part.test]\nvia = uucp:x\n", "6:7: error: via: 'uucp:x' is no mail server", id="no-server"),
    pytest.param("[relay]\nsmarthost = discard:\n", "6:13: error: smarthost = discard: is no server", id="everything-thrown-away"),
    pytest.param("[relay]\nsmarthost = smtp:\n", "6:1: error: smtp: names no server", id="nobody-in-particular"),
    pytest.param("[relay]\nsource_address = eth0\n", "6:18: error: source_address = eth0 is no address", id="no-own-address"),
    pytest.param("[relay]\nproxy = http://x:1\n", "6:9: error: proxy: that is no SOCKS proxy", id="no-proxy"),
    pytest.param("[relay]\nsmarthost = [r.test]\nsmarthost_user = u\nsmarthost_password = pw\ntls = required\n",
                 "7:1: warning: the password goes to whoever answers there", id="anybody-may-hear-it"),
    pytest.param("[relay]\nsmarthost = [r.test]\ntls = off\nsmarthost_user = u\nsmarthost_password = pw\n",
                 "7:1: error: a password is never said without TLS", id="never-in-clear"),
    pytest.param("[route:p.test]\nvia = [r.test]\nuser = u\n", "7:1: error: a login without a password", id="no-password"),
    pytest.param("[sender_route:p.test]\nuser = u\npassword = pw\n", "6:1: error: there is no via to log in at", id="no-server-for-it"),
    pytest.param("[domain:red.test]\nother_server = [a]:b\n", "6:1: error: '[a]:b' is no mail server", id="no-second-server"),
    pytest.param("[domain:red.test]\nother_server = local:x\n", "6:1: error: local:x is no server", id="a-second-server-that-is-none"),
    pytest.param("[domain:red.test]\nother_gets = all\n", "6:1: error: there is no other server", id="nobody-gets-all"),
    pytest.param("[domain:red.test]\nother_server = [r.test]\ncatchall = x@red.test\n", "6:1: warning: the catch-all gets what nobody has",
                 id="two-for-what-nobody-has"),
    pytest.param("[route:p.test]\nvia = local:x\nhold = yes\n", "7:1: error: local:x never calls for mail", id="held-for-nobody"),
    pytest.param("[route:p.test]\nvia = discard:\n", "6:1: warning: mail for p.test is thrown away", id="thrown-away"),
])
def test_what_is_wrong_with_a_route_is_told(told, text, problem):
    found = told(text)
    assert any(one.startswith(f"c.ini:{problem}") for one in found), found


@pytest.mark.parametrize("text", [
    "[route:part.test]\nvia = lmtp:unix:/run/x\n[route:.part.test]\nvia = error:5.1.6 moved\n[route:*]\nvia = smtp:\n",
    "[sender_route:anna@blue.test]\nvia = [r.test]:587\n[sender_route:@blue.test]\n[sender_route:.blue.test]\n",
    "[domain:red.test]\nother_server = [10.0.0.2]\nother_gets = all\n",
    "[relay]\nfallback = [r.test]\nfallback_after = 1\naddresses = ipv4\nsource_address = 192.0.2.5 2001:db8::5\n",
])
def test_routes_in_order_are_not_told(told, text):
    assert told(text) == []


def test_mistakes_of_the_route_table_have_their_lines(told, tmp_path):
    (tmp_path / "routes").write_text("far.test smtp:[10.0.0.2]\nold.test uucp:x\n")
    found = told(f"[relay]\nroute_table = {tmp_path}/routes\n")
    assert found == ["routes:2:1: error: 'uucp:x' is no mail server\n    write name, name:port, [name]:port or smtps://name"]


def test_a_line_that_leads_to_a_program_that_is_not_set_up_is_told(told, tmp_path):
    (tmp_path / "routes").write_text("far.test smtp:[10.0.0.2]\nlists.test pipe:lists\n")
    text = f"[relay]\nroute_table = {tmp_path}/routes\n"
    assert told(text) == ["routes:2:1: warning: there is no [pipe:lists]\n    mail for lists.test waits until there is such a section"]
    assert not any("routes" in one for one in told(text + "[pipe:lists]\ncommand = /bin/cat\nuser = games\n"))


def test_a_route_table_that_is_not_there_is_told(told):
    assert any("routes: No such file" in one for one in told("[relay]\nroute_table = routes\n"))
