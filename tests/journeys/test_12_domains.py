"""R18, R19, F023: domains that are added while the server runs, and whose users they have."""

from __future__ import annotations

import os
import sqlite3
import threading
import time

from twisted.python.failure import Failure

from tests.journeys.house import CONFIG
from tests.journeys.test_6_the_service import answer_to, run  # noqa: F401 - a fixture
from twistmail import assembly, tasks
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.mail.account import Account
from twistmail.mail.domains import Domain
from twistmail.operator import Operator
from twistmail.stamps import is_past

LOCAL_FILE = CONFIG.replace("local = blue.test red.test\n", "local = blue.test red.test\nnormal_file = local-host-names\n")


def write(path, text):
    path.write_text(text)
    os.utime(path, (len(text), len(text)))


def test_a_domain_in_the_file_is_ours_two_seconds_later(run, tmp_path):  # noqa: F811
    (tmp_path / "data").mkdir()
    names = tmp_path / "data" / "local-host-names"
    write(names, "# none yet\n")
    running = run(LOCAL_FILE)
    assert answer_to(running.connect(), "fred@new.test").startswith("550 5.7.1")
    write(names, "# all of ours\nnew.test\nno domain at all\n")
    running.reactor.pass_time(2, step=0.5)
    assert answer_to(running.connect(), "fred@new.test").startswith("250 2.1.5")
    assert answer_to(running.connect(), "nobody@new.test").startswith("550 5.1.1")
    write(names, "#\n")
    running.reactor.pass_time(2, step=0.5)
    assert answer_to(running.connect(), "fred@new.test").startswith("550 5.7.1")


def test_a_normal_domain_is_another_name_and_a_virtual_one_has_people_of_its_own(run, tmp_path):  # noqa: F811
    running = run(
        CONFIG + "[domains]\nlocal = blue.test red.test\nnormal = azure.test\n"
        "[domain:pink.test]\nsame_as = red.test\n[user:fred@red.test]\npassword = another one\n"
    )
    said = {name: answer_to(running.connect(), name)[:9] for name in ("fred@azure.test", "fred@pink.test", "bob@red.test", "bob@pink.test")}
    assert said == {
        "fred@azure.test": "250 2.1.5",
        "fred@pink.test": "250 2.1.5",
        "bob@red.test": "550 5.1.1",
        "bob@pink.test": "550 5.1.1",
    }
    expansion = running.service.parts.people.expansion
    assert expansion.local_domains == {"blue.test", "red.test", "azure.test", "pink.test"}


def ask(running, verb, **arguments):
    """What the server answers to *verb*, or the Refusal."""
    answers: list[object] = []
    tasks.shielded(Operator(running.service).verbs()[verb](arguments)).addBoth(answers.append)
    running.settle()
    (answer,) = answers
    return answer.value if isinstance(answer, Failure) else answer


WITH_DATABASE = CONFIG.replace("source = config\n", "source = config sqlite\n")


def test_users_and_domains_that_are_made_while_the_server_runs_get_mail_at_once(run):  # noqa: F811
    running = run(WITH_DATABASE)
    assert answer_to(running.connect(), "eve@new.test").startswith("550 5.7.1")
    assert ask(running, "domain.add", name="new.test")["source"] == "database"
    assert answer_to(running.connect(), "eve@new.test").startswith("550 5.1.1")
    made = ask(running, "user.add", name="eve@new.test", secret="{PLAIN}sesame street", addresses="e@blue.test")
    assert made["is_ours"]
    for address in ("eve@new.test", "e@blue.test"):
        assert answer_to(running.connect(), address).startswith("250 2.1.5")
    assert ask(running, "user.add", name="e@blue.test").exit_code == 65
    assert ask(running, "user.remove", name="eve@new.test")["name"] == "eve@new.test"
    assert answer_to(running.connect(), "eve@new.test").startswith("550 5.1.1")
    ask(running, "domain.remove", name="new.test")
    assert answer_to(running.connect(), "eve@new.test").startswith("550 5.7.1")


def test_who_gets_another_name_finds_the_mail_under_it(run):  # noqa: F811
    running = run(WITH_DATABASE)
    ask(running, "user.add", name="eve@red.test", secret="{PLAIN}sesame street")
    client = running.connect()
    answer_to(client, "eve@red.test")
    for line in ("DATA", "Subject: herons\r\n\r\nA line.\r\n."):
        client.say(line)
    assert client.said[-1].startswith("250 2.0.0")
    assert ask(running, "user.rename", name="eve@red.test", to="eva@red.test")["name"] == "eva@red.test"
    assert ask(running, "user.usage", name="eva@red.test")["messages"] == 1
    assert answer_to(running.connect(), "eve@red.test").startswith("550 5.1.1")


def opened(monkeypatch, folder):
    """A line for each time that the database of accounts in *folder* is opened from now on."""
    lines: list[str] = []
    connect = sqlite3.connect

    def noted(path, *arguments, **keywords):
        if "accounts.db" in str(path):
            lines.append(path)
        return connect(path, *arguments, **keywords)

    monkeypatch.setattr(sqlite3, "connect", noted)
    return lines


def past(folder):
    """The files of the database of accounts are let grow older than a step of the file system's clock."""
    for file in folder.glob("accounts.db*"):
        while not is_past(file.stat().st_mtime_ns, time.time_ns()):
            os.sched_yield()


def test_a_server_that_nobody_changes_does_not_open_its_database(run, tmp_path, monkeypatch):  # noqa: F811
    running = run(WITH_DATABASE)
    past(tmp_path / "data")
    running.reactor.pass_time(3, step=0.5)
    lines = opened(monkeypatch, tmp_path)
    running.reactor.pass_time(10, step=0.5)
    assert lines == []


def test_what_another_process_writes_into_the_database_is_seen_in_a_second(run, tmp_path):  # noqa: F811
    running = run(WITH_DATABASE)
    past(tmp_path / "data")
    running.reactor.pass_time(3, step=0.5)
    theirs = AccountDatabase(tmp_path / "data" / "accounts.db")
    theirs.put_domain(Domain("new.test"))
    theirs.put(Account("eve@new.test"), "")
    running.reactor.pass_time(1, step=0.5)
    assert answer_to(running.connect(), "eve@new.test").startswith("250 2.1.5")
    theirs.remove_domain("new.test")
    running.reactor.pass_time(1, step=0.5)
    assert answer_to(running.connect(), "eve@new.test").startswith("550 5.7.1")


def test_a_domain_that_comes_while_the_configuration_is_read_again_is_not_forgotten(run, tmp_path, monkeypatch):  # noqa: F811
    """The look belongs to parts that are replaced before its thread is back."""
    running = run(WITH_DATABASE)
    past(tmp_path / "data")
    running.reactor.pass_time(3, step=0.5)
    asked, go_on = threading.Event(), threading.Event()
    find = assembly.domains_of

    def slowly(*arguments):
        if threading.current_thread() is not threading.main_thread() and not asked.is_set():
            asked.set()
            go_on.wait(10)
        return find(*arguments)

    monkeypatch.setattr(assembly, "domains_of", slowly)
    AccountDatabase(tmp_path / "data" / "accounts.db").put_domain(Domain("old.test"))
    running.reactor.advance(1)
    assert asked.wait(10)
    running.service.reload()
    AccountDatabase(tmp_path / "data" / "accounts.db").put_domain(Domain("new.test"))
    past(tmp_path / "data")
    go_on.set()
    running.reactor.pass_time(3, step=0.5)
    assert running.service.parts.people.domains.names >= {"old.test", "new.test"}
