"""The about page: where everything is, lines to copy, and the way back to the beginning."""

from __future__ import annotations

import re

import pytest

from tests.lab.towns import PaperTown
from tests.web.visits import Connection
from twistmail.lab import copying
from twistmail.lab import site as sites
from twistmail.lab.door import Door
from twistmail.lab.lan import Lan, Student, with_students
from twistmail.lab.offices import OFFICES
from twistmail.lab.running import Trouble
from twistmail.web.page import Asked


@pytest.fixture
def town() -> PaperTown:
    return PaperTown()


def test_every_port_of_every_office_stands_there(town):
    page = Connection(sites.make(town)).ask("GET", "/about").body
    for port in town.ports.values():
        assert re.search(rf"\b{port}\b", page)


def test_every_line_stands_there_whole(town):
    page = Connection(sites.make(town)).ask("GET", "/about").body
    assert page.count("data-copy=") == len(copying.LINES) - len(copying.ELSEWHERE_ONLY)
    assert "dig @127.0.0.1 -p 1053 MX green.test" in page


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        pytest.param("localhost:8025", "127.0.0.1", id="localhost"),
        pytest.param("[::1]:8025", "127.0.0.1", id="address-of-6"),
        pytest.param("192.168.1.5:8025", "192.168.1.5", id="the-teachers-computer"),
    ],
)
def test_programs_are_told_the_address_at_which_the_browser_has_found_us(town, host, shown):
    page = Connection(sites.make(town)).ask("GET", "/about", host=host).body
    assert f"swaks --server {shown}:1025 " in page


def test_lines_name_only_what_there_is(town):
    made = copying.lines(town.lines(), "127.0.0.1")
    assert len({line.name for line in made}) == len(made)
    assert not any("$" in line.line for line in made)


def test_settings_are_for_every_service_of_a_mail_program():
    ports = {service: OFFICES[0].port(service) for _, service, _ in copying.SETTINGS}
    assert [setting.port for setting in copying.settings(ports)] == [1993, 1143, 1995, 1110, 1465, 1587]


def press(town: PaperTown, client: str) -> int:
    """The button, with a token that is right."""
    site = sites.make(town)
    browser = "b" * 22
    token = site.guard.token(Asked("POST", "/reset", cookies={"browser": browser}))
    fields = {"content_type": "application/x-www-form-urlencoded", "cookie": f"browser={browser}"}
    return Connection(site, client).ask("POST", "/reset", f"token={token}".encode(), **fields).code


def test_the_certificate_of_the_authority_is_had_without_a_code(lan_class):
    page = Connection(sites.make(lan_class, gates=(lan_class.door,)), "192.168.1.7").ask("GET", "/town.pem")
    assert (page.code, page.headers["content-type"]) == (200, "application/x-pem-file")
    assert page.body == lan_class.authority.certificate.decode()
    assert 'href="/town.pem"' in seen_by_a_student(lan_class)
    assert "/tmp/town/town.pem" in Connection(sites.make(lan_class)).ask("GET", "/about").body


def test_who_sits_at_this_computer_may_reset_everything(town):
    assert press(town, "127.0.0.1") == 303
    assert town.resets == 1


def test_a_reset_that_does_not_go_now_is_said_in_words(town):
    async def reset():
        raise Trouble("the classroom is being stopped")

    town.reset = reset
    assert press(town, "127.0.0.1") == 409
    told = Connection(sites.make(town)).ask("POST", "/api/v1/reset", b"{}", content_type="application/json")
    assert (told.code, told.body) == (409, "Error: the classroom is being stopped\n")


def test_nobody_else_may(town):
    assert press(town, "192.168.1.7") == 403
    assert town.resets == 0


# ----- a class in the LAN


@pytest.fixture
def lan_class(town) -> PaperTown:
    """With two students; what they are to keep to themselves is "their-own-1" and "their-own-2"."""
    students = (Student("s01@blue.test", "their-own-1"), Student("s02@green.test", "their-own-2"))
    town.lan = Lan("192.168.1.5", students)
    town.offices = with_students(OFFICES, students)
    town.door = Door("123456", lambda: 0.0, town.lan.passwords)
    return town


def seen_by_a_student(town: PaperTown, path: str = "/about") -> str:
    return Connection(sites.make(town), "192.168.1.7").ask("GET", path, host="192.168.1.5:8025").body


@pytest.mark.parametrize("path", ["/about", "/about?account=s01@blue.test"])
def test_a_student_sees_nobody_s_password_and_not_where_things_lie(lan_class, path):
    page = seen_by_a_student(lan_class, path)
    assert "their-own" not in page
    assert "/tmp/town" not in page
    assert "roster" not in page
    assert "Reset everything" not in page


@pytest.mark.parametrize("path", ["/console", "/lessons/2"])
def test_a_student_is_told_to_telnet_to_where_the_offices_listen_for_him(lan_class, path):
    page = seen_by_a_student(lan_class, path)
    assert "telnet 192.168.1.5" in page
    assert "telnet 127.0.0.1" not in page


def test_a_student_is_told_of_telnet_only_where_no_password_is_asked(lan_class):
    assert "telnet" not in seen_by_a_student(lan_class, "/lessons/5")


def test_a_student_s_program_is_told_of_no_way_without_tls(lan_class):
    page = seen_by_a_student(lan_class)
    assert "STARTTLS<" in page
    assert "or none" not in page
    assert "run on your teacher" in page
    assert "STARTTLS or none" in Connection(sites.make(lan_class)).ask("GET", "/about").body


def test_students_are_told_that_their_password_is_another_and_are_counted(lan_class):
    page = " ".join(seen_by_a_student(lan_class).split())
    assert "students have their own" in page
    assert "Everybody's password" not in page
    assert "alice@blue.test, bob@blue.test and 1 student<" in page


def test_lines_to_copy_on_another_computer_give_passwords_over_tls_and_leave_out_what_only_works_here(lan_class):
    lines = copying.lines(lan_class.lines(), "192.168.1.5", "http://192.168.1.5:8025/")
    with_password = [line for line in lines if " -u " in line.line or "--auth-password" in line.line]
    assert len(with_password) > 4
    assert all("--ssl-reqd" in line.line or "--tls-verify" in line.line or "imaps:" in line.line for line in with_password)
    assert all("--cacert town.pem" in line.line or "--tls-ca-path town.pem" in line.line for line in with_password)
    assert any(line.program == "mutt" and 'ssl_ca_certificates_file="town.pem"' in line.line for line in lines)
    assert lines[0].line == "curl -sO http://192.168.1.5:8025/town.pem"
    assert not {line.name for line in lines} & set(copying.HERE_ONLY)
    assert "--ssl-reqd" not in next(line.line for line in copying.lines(lan_class.lines(), copying.HERE) if line.name == "imap")


def test_a_telephone_is_told_the_settings_of_an_account_as_a_picture(lan_class):
    page = seen_by_a_student(lan_class, "/about?account=s01@blue.test")
    assert '<svg class="code"' in page
    assert "style=" not in page
    assert "Nobody here has that address" in seen_by_a_student(lan_class, "/about?account=<script>@blue.test")


def test_no_picture_where_no_telephone_finds_us(lan_class):
    assert "telephone" not in Connection(sites.make(lan_class)).ask("GET", "/about?account=s01@blue.test").body
