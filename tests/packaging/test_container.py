"""The Dockerfile, without Docker: what it copies makes a whole package, and what it starts starts, as an ordinary user."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.packaging.made import ROOT, build, install, run

CONFIG = """\
[server]
hostname = mail.blue.example
data_dir = {folder}
[domains]
local = blue.example
[mx]
listen = tcp:25
"""


def instructions() -> list[tuple[str, str]]:
    """(instruction, the rest), continued lines joined."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def last(wanted: str) -> str:
    return [rest for word, rest in instructions() if word == wanted][-1]


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """What the COPY lines bring from here, and what .dockerignore lets through, as a folder of its own."""
    folder = tmp_path_factory.mktemp("context")
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    for word, rest in instructions():
        if word != "COPY" or rest.startswith("--from"):
            continue
        *sources, _ = shlex.split(rest)
        assert set(sources) <= allowed, f".dockerignore keeps back some of {sources}"
        for name in sources:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
            else:
                shutil.copy(source, folder / name)
    return folder


def test_what_is_copied_makes_the_whole_package(copied, tmp_path):
    (wheel,) = build(copied, tmp_path / "dist", "--wheel")
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("twistmail/") and name.endswith(".py")}
    assert packed == {str(path.relative_to(ROOT)) for path in (ROOT / "twistmail").rglob("*.py")}


def test_the_entry_point_takes_the_configuration_of_the_container(copied, tmp_path):
    install(tmp_path / "installed", copied)
    config = tmp_path / "config.ini"
    config.write_text(CONFIG.format(folder=tmp_path / "data"), "utf-8")
    program, *words = [*json.loads(last("ENTRYPOINT")), *json.loads(last("CMD"))]
    assert program == "twistd"
    words = [str(config) if word == "/etc/twistmail/config.ini" else word for word in words]
    code = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
    run(sys.executable, "-c", code, *words, "--check", cwd=tmp_path, PYTHONPATH=os.fspath(tmp_path / "installed"))


def test_it_runs_as_nobody_special_with_a_folder_of_its_own():
    assert last("USER") == "twistmail"
    folder = last("VOLUME")
    assert last("WORKDIR") == folder
    assert any(word == "RUN" and f"--owner=twistmail --group=twistmail --mode=700 {folder}" in rest for word, rest in instructions())
    assert last("STOPSIGNAL") == "SIGTERM"


def test_extras_that_it_installs_exist():
    (installing,) = (rest for word, rest in instructions() if word == "RUN" and "/src[" in rest)
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(installing.partition("/src[")[2].partition("]")[0].split(",")) <= set(declared)
