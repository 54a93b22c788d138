"""What is shipped."""

import json
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import goodsgate
from tests.cli.gate import Gate
from tests.conventions.source import CLIENT, PACKAGE, TOP

INSTALLATION_MB_MAX = 95
"""Size of the gate and what it needs, without extras, without pip, and without compiled modules of Python."""


def build(project: Path, folder: Path, *, target: str = "wheel") -> Path:
    """Build a package and return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (package,) = folder.iterdir()
    return package


def contents(wheel: Path) -> set[str]:
    """Return the files of a wheel that are installed as modules and data."""
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name and ".data/" not in name}


def sources(packages: list[Path]) -> set[str]:
    """Return the files of packages, as they are named in a wheel."""
    ignored = ("__pycache__",)
    return {
        path.relative_to(package.parent).as_posix()
        for package in packages
        for path in package.rglob("*")
        if path.is_file() and not any(part in ignored for part in path.parts)
    }


@pytest.mark.parametrize(("project", "packages"), [(TOP, [PACKAGE, CLIENT]), (TOP / "clients/python", [CLIENT])])
def test_a_wheel_holds_its_packages_and_nothing_else(project: Path, packages: list[Path], tmp_path: Path):
    """Statements, migrations and contracts are in it; the demo's feeds, which are not ours, are not."""
    assert contents(build(project, tmp_path)) == sources(packages)


def test_the_source_package_builds_the_same_wheel(tmp_path: Path, install: Path):
    """It has what somebody needs to build and read it."""
    (source,) = (install / "source").iterdir()
    assert {"docs", "constraints.txt", "CHANGELOG.md", "LICENSE"} <= {path.name for path in source.iterdir()}
    (wheel,) = (install / "wheel").iterdir()
    assert contents(wheel) == sources([PACKAGE, CLIENT])


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a fresh environment, into which pip has installed the wheel that the source package builds."""
    folder = tmp_path_factory.mktemp("install")
    with tarfile.open(build(TOP, folder / "sdist", target="sdist")) as archive:
        archive.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    wheel = build(source, folder / "wheel")
    venv.create(folder / "env", symlinks=True)
    python = folder / "env/bin/python"
    run(*find_pip(), "--python", python, "install", "-q", "--no-index", "--no-deps", wheel)
    # What the gate needs is already here, so no network is used; what is installed above is found first.
    (packages,) = (folder / "env/lib").glob("python3.*/site-packages")
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "dependencies.pth").write_text("\n".join(dependencies))
    return folder


def run(*command: str | Path) -> str:
    """Run a command and return its output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def find_pip() -> list[str]:
    """Return the command of pip; an environment may have been created without one, by that of the system."""
    for python in (sys.executable, sys._base_executable):  # type: ignore[attr-defined]
        command = [python, "-m", "pip", "--disable-pip-version-check"]
        if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
            return command
    raise AssertionError("pip is not installed")


def test_an_installed_gate_starts_and_takes_a_feed(install: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The command of the package checks a file, serves, submits and reports, without the folder of the project."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    feed = tmp_path / "feed.csv"
    feed.write_text("sku,title,price\nCUP-1,Cup,3.00 EUR\n")
    gate = Gate(tmp_path, program=install / "env/bin/goodsgate")
    try:
        assert gate.run("--version").stdout == f"goodsgate, version {goodsgate.__version__}\n"
        assert gate.document("check", str(feed), code=0)["outcome"] == "clean"
        assert gate.document("submit", str(feed), code=0)["counts"]["created"] == 1
        assert httpx.get(f"{gate.url}/console").status_code < 400
    finally:
        assert gate.stop() == 0
    assert str(install) in run(install / "env/bin/python", "-c", "import goodsgate; print(goodsgate.__file__)")


def test_an_installation_has_the_tested_versions(install: Path):
    """An extra can be added later with the versions that the tests ran with."""
    assert (install / "env/share/goodsgate/constraints.txt").read_bytes() == (TOP / "constraints.txt").read_bytes()


def test_tested_versions_install_on_the_oldest_python():
    """A version that asks for a later patch release (3.11.5) cannot be installed with the Python of Debian 12."""
    pinned = {re.split(r"[=;\s]", line, maxsplit=1)[0].lower().replace("_", "-")
              for line in (TOP / "constraints.txt").read_text("utf-8").splitlines() if "==" in line}
    project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    asked = {each.name.lower().replace("_", "-"): each.metadata.get("Requires-Python")
             for each in metadata.distributions()}
    assert len(pinned & asked.keys()) > 50
    assert {name: asked[name] for name in pinned & asked.keys()
            if asked[name] and oldest not in SpecifierSet(asked[name])} == {}


def test_the_changelog_has_the_version():
    """Its newest dated heading is that of the packages, of which the client for JavaScript is one."""
    dated = re.search(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", (TOP / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert dated is not None
    assert dated[1] == goodsgate.__version__
    assert json.loads((TOP / "clients/typescript/package.json").read_text("utf-8"))["version"] == goodsgate.__version__


def test_the_client_alone_has_its_licence():
    """It is the same file, because the package of the client is built from its own folder."""
    assert (TOP / "clients/python/LICENSE").read_bytes() == (TOP / "LICENSE").read_bytes()


def _requirements() -> set[str]:
    """Return the distributions that the gate needs in this environment, without extras, directly or not."""
    needed: set[str] = set()
    waiting = [*tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]]
    while waiting:
        requirement = Requirement(waiting.pop())
        is_needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if is_needed and requirement.name not in needed:
            needed.add(requirement.name)
            waiting += metadata.requires(requirement.name) or ()
    return needed


def test_an_installation_without_extras_is_small():
    """A package that is added to all gates has to be worth its size."""
    sizes = {
        name: sum(
            path.stat().st_size for file in metadata.files(name) or () if file.suffix != ".pyc"
            for path in [Path(str(file.locate()))] if path.is_file()
        )
        for name in _requirements()
    }
    total = sum(sizes.values()) + sum(path.stat().st_size for path in PACKAGE.rglob("*") if path.suffix != ".pyc")
    largest = sorted(((size // 10**6, name) for name, size in sizes.items()), reverse=True)[:8]
    assert total < INSTALLATION_MB_MAX * 10**6, largest
