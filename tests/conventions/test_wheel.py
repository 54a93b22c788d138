"""What is shipped."""

import subprocess
import sys
import zipfile

from tests.conventions.source import PACKAGE, TOP


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    """Statements, migrations and contracts are in it; the demo's feeds, which are not ours, are not."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=TOP, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ignored = ("__pycache__",)
    ours = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and not any(part in ignored for part in path.parts)
    }
    assert shipped == ours
