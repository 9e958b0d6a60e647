"""However twistmail is installed, twistd and twist find it, and nothing that only this folder has is needed."""

import shutil
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.made import ROOT, build, run

#: What the wheel must not hold.
UNWANTED = ("dropin.cache", "__pycache__", "twisted/__init__.py", "twisted/plugins/__init__.py", "tests/")
#: The programs that have to know us, as the code of their console scripts.
PROGRAMS = {
    "twistd": "import sys; sys.argv = ['twistd', '--help']; from twisted.scripts.twistd import run; run()",
    "twist": "from twisted.application.twist._twist import Twist; Twist.main(['twist', '--help'])",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A clean copy of what would be committed, so that no build leaves anything in the working tree."""
    target = tmp_path_factory.mktemp("source") / "twistmail"
    target.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "config.example.ini"):
        shutil.copy(ROOT / name, target / name)
    for name in ("twistmail", "twisted"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "twisted" / "plugins" / "dropin.cache").write_bytes(b"a cache that must not be shipped")
    return target


@pytest.fixture(scope="module")
def built(source, tmp_path_factory) -> dict[str, Path]:
    """The wheel and the sdist, by their ending."""
    return {path.suffix: path for path in build(source, tmp_path_factory.mktemp("dist"), "--wheel", "--sdist")}


def test_the_wheel_holds_the_plugin_and_no_cache(built):
    with zipfile.ZipFile(built[".whl"]) as archive:
        names = archive.namelist()
    assert "twisted/plugins/twistmail_plugins.py" in names
    assert "twistmail/py.typed" in names
    assert [name for name in names if any(bad in name for bad in UNWANTED)] == []


def test_the_sdist_holds_no_cache(built):
    with tarfile.open(built[".gz"]) as archive:
        names = archive.getnames()
    assert any(name.endswith("/twisted/plugins/twistmail_plugins.py") for name in names)
    assert [name for name in names if "dropin.cache" in name] == []


@pytest.mark.parametrize("way", ["wheel", "sdist", "editable"])
def test_installed_in_a_fresh_environment_twistd_and_twist_list_it(way, built, source, tmp_path):
    run(sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    _share_packages(python)
    what = {"wheel": [built[".whl"]], "sdist": [built[".gz"]], "editable": ["--editable", source]}[way]
    run(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--force-reinstall",
        *what,
        cwd=tmp_path,
    )
    for program, code in PROGRAMS.items():
        said = run(python, "-c", code, cwd=tmp_path)
        assert any(line.split()[:1] == ["twistmail"] for line in said.splitlines()), f"{program} does not list twistmail"
    where = run(python, "-c", "import twistmail; print(twistmail.__file__)", cwd=tmp_path)
    assert str(source if way == "editable" else tmp_path / "venv") in where
    assert "Administer a twistmail server" in run(tmp_path / "venv" / "bin" / "twistmail", "--help", cwd=tmp_path)


def _share_packages(python: Path) -> None:
    """Let the environment of *python* see what ours has: --system-site-packages means the base interpreter's, not a venv's."""
    ours = sysconfig.get_path("purelib")
    theirs = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (theirs / "zz_shared.pth").write_text(f"{ours}\n")
