"""What is shipped."""

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


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


def test_the_source_package_builds_the_same_wheel_which_runs(tmp_path: Path):
    """It runs without the folder of the project."""
    source = build(TOP, tmp_path / "sdist", target="sdist")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (folder,) = (tmp_path / "source").iterdir()
    assert {"docs", "constraints.txt", "CHANGELOG.md", "LICENSE"} <= {path.name for path in folder.iterdir()}
    wheel = build(folder, tmp_path / "wheel")
    assert contents(wheel) == sources([PACKAGE, CLIENT])
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    program = "import goodsgate, goodsgate_client; print(goodsgate.__file__); from goodsgate.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", program, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
    )
    assert ran.stdout.startswith(str(tmp_path / "installed"))
    assert "version" in ran.stdout


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
