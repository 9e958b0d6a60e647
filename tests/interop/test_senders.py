"""Programs that people send with: msmtp, s-nail and nodemailer log in and submit; LMTP clients hear of each recipient."""

import json
import os
import smtplib

import pytest

from tests.interop.house import ROOT, House, eventually, folder, running

MODULES = ROOT / "build" / "node" / "node_modules"
SCRIPT = """\
const settings = JSON.parse(process.argv[2]);
require("nodemailer").createTransport(settings.transport).sendMail(settings.mail)
  .then(info => console.log(JSON.stringify(info)), error => { console.log(error.message); process.exit(1); });
"""


@pytest.fixture(params=[pytest.param(True, id="implicit-tls"), pytest.param(False, id="starttls")])
def implicit(request):
    return request.param


@pytest.mark.client("msmtp")
def test_msmtp_submits(house, client, guest, other, place, implicit):
    config = place / "msmtprc"
    config.write_text(
        f"account a\nhost localhost\nport {house.port('submission', tls=implicit)}\nfrom {guest.address}\nauth on\nuser {guest.address}\n"
        f"password {guest.password}\ntls on\ntls_starttls {'off' if implicit else 'on'}\ntls_trust_file {house.authority}\n"
        "dsn_notify failure\ndsn_return headers\naccount default : a\n"
    )
    config.chmod(0o600)
    client("msmtp", "-C", config, other.address, stdin=b"Subject: from msmtp\n\n.a dot\n.\nthe end\n")
    (message,) = house.stored(other)
    assert b"\nFrom: <%b>" % guest.address.encode() in message or b"\nFrom: %b" % guest.address.encode() in message
    assert message.endswith(b"\n\n.a dot\n.\nthe end\n")
    assert b"\nMessage-ID: " in message


@pytest.mark.client("msmtp")
def test_msmtp_is_told_what_is_wrong(house, client, guest, place):
    config = place / "msmtprc"
    config.write_text(
        f"account a\nhost localhost\nport {house.port('submission', tls=True)}\nfrom {guest.address}\nauth on\nuser {guest.address}\n"
        f"password wrong\ntls on\ntls_starttls off\ntls_trust_file {house.authority}\naccount default : a\n"
    )
    config.chmod(0o600)
    said = client("msmtp", "-C", config, guest.address, stdin=b"Subject: x\n\nx\n", expect=None)
    assert said.returncode == 77, said.stderr  # EX_NOPERM
    assert "535 5.7.8" in said.stderr


@pytest.mark.client("s-nail")
def test_s_nail_submits(house, client, guest, other, implicit):
    user = guest.address.replace("@", "%40")
    scheme = "smtps" if implicit else "submission"
    url = f"{scheme}://{user}:{guest.password}@localhost:{house.port('submission', tls=implicit)}"
    settings = ["v15-compat=yes", f"mta={url}", "smtp-auth=plain", "tls-verify=strict", f"tls-ca-file={house.authority}",
                f"from={guest.address}", "sendwait", *([] if implicit else ["smtp-use-starttls"])]  # fmt: skip
    options = [word for setting in settings for word in ("-S", setting)]
    words = ["-n", *options, "-s", "Grüße", "-q", "/dev/null", other.address]
    client("s-nail", *words, stdin="Schöne Grüße\n.. \n".encode(), MAILRC="/dev/null")
    (message,) = eventually(lambda: house.stored(other), "it arrives")
    assert b"\nSubject: =?" in message
    assert b"with ESMTPSA" in message


@pytest.fixture
def nodemailer(client, place):
    if not (MODULES / "nodemailer").is_dir():
        assert os.environ.get("REQUIRE_CLIENTS") != "1", "nodemailer is not installed in build/node"
        pytest.skip("nodemailer: not installed in build/node")
    (place / "send.js").write_text(SCRIPT)

    def call(transport, mail, expect=0):
        settings = json.dumps({"transport": transport, "mail": mail})
        return client("node", place / "send.js", settings, expect=expect, NODE_PATH=str(MODULES)).stdout

    return call


@pytest.mark.client("node")
def test_nodemailer_submits(house, nodemailer, guest, other, implicit):
    transport = {
        "host": "localhost", "port": house.port("submission", tls=implicit), "secure": implicit, "requireTLS": not implicit,
        "auth": {"user": guest.address, "pass": guest.password}, "tls": {"ca": house.authority.read_text(), "servername": "mail.blue.test"},
    }  # fmt: skip
    mail = {
        "from": f"Gästin <{guest.address}>", "to": other.address, "bcc": guest.address, "subject": "Grüße", "text": "hello\n.\n",
        "attachments": [{"filename": "a.bin", "content": "AAECAw==", "encoding": "base64"}],
        "dsn": {"id": "QQ1", "return": "headers", "notify": ["failure", "delay"], "recipient": other.address},
    }  # fmt: skip
    said = json.loads(nodemailer(transport, mail))
    assert said["rejected"] == []
    assert said["response"].startswith("250 2.0.0 Accepted as ")
    (message,) = house.stored(other)
    assert b"AAECAw==" in message
    assert b"Bcc" not in message


@pytest.mark.client("node")
def test_nodemailer_writes_to_what_is_international(house, nodemailer, guest):
    transport = {"host": "localhost", "port": house.port("mx"), "tls": {"rejectUnauthorized": False}}
    mail = {"envelope": {"from": "grüße@red.test", "to": [guest.address]}, "from": "eve@red.test", "to": guest.address, "text": "x"}
    nodemailer(transport, mail)
    (message,) = house.stored(guest)
    assert message.startswith("Return-Path: <grüße@red.test>\n".encode())


def test_lmtp_on_a_unix_socket_answers_for_each_recipient():
    with folder() as place, running(House(place, more="[lmtp]\nlisten = unix:lmtp.sock\n")) as house:
        house.twistmail("user", "add", "alice@blue.test", "--password-stdin", stdin="correct-horse-7\n")
        house.twistmail("user", "add", "full@blue.test", "--password-stdin", "--quota", "1k", stdin="correct-horse-7\n")
        with smtplib.LMTP(str(house.data / "lmtp.sock")) as lmtp:
            refused = lmtp.sendmail("eve@red.test", ["alice@blue.test", "nobody@blue.test"], b"Subject: x\r\n\r\nx\r\n")
            assert {name: answer[0] for name, answer in refused.items()} == {"nobody@blue.test": 550}
            big = b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n"
            lmtp.docmd("MAIL", "FROM:<eve@red.test>")
            lmtp.docmd("RCPT", "TO:<full@blue.test>")
            lmtp.docmd("RCPT", "TO:<alice@blue.test>")
            lmtp.docmd("DATA")
            lmtp.send(big + b"x\r\n" * 1000 + b".\r\n")
            assert [lmtp.getreply()[0], lmtp.getreply()[0]] == [452, 250]
        alice = sorted((house.data / "mail/blue.test/alice/new").iterdir())
        assert len(alice) == 2
        assert any(b"with LMTP" in path.read_bytes() for path in alice)
