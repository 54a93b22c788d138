"""What is shipped."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conventions.source import CLIENT, PACKAGE, TOP


@pytest.mark.parametrize(("project", "packages"), [(TOP, [PACKAGE, CLIENT]), (TOP / "clients/python", [CLIENT])])
def test_a_wheel_holds_its_packages_and_nothing_else(project: Path, packages: list[Path], tmp_path: Path):
    """Statements, migrations and contracts are in it; the demo's feeds, which are not ours, are not."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ignored = ("__pycache__",)
    ours = {
        path.relative_to(package.parent).as_posix()
        for package in packages
        for path in package.rglob("*")
        if path.is_file() and not any(part in ignored for part in path.parts)
    }
    assert shipped == ours
