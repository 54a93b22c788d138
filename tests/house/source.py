"""The project's own source, as the house tests read it."""

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PACKAGE = TOP / "src" / "goodsgate"


@functools.cache
def kept_files() -> list[Path]:
    """Files of the project: tracked, or new and not ignored."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=TOP, capture_output=True, check=True).stdout
    paths = (TOP / name for name in listed.decode().split("\0") if name)
    return sorted({path for path in paths if path.is_file()})


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Path below the package → syntax tree, of every module."""
    found = sorted(PACKAGE.rglob("*.py"))
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8")) for path in found}


def room(path: str) -> str:
    """First folder, or the module's own name, of a path below the package."""
    return path.split("/")[0].removesuffix(".py")


def imported(tree: ast.Module, path: str) -> Iterator[str]:
    """Dotted names of all modules a module imports, wherever in it; relative ones are made absolute."""
    package = ["goodsgate", *path.split("/")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def texts(tree: ast.Module) -> Iterator[str]:
    """String constants, docstrings left out."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(inner.value)
        for node in ast.walk(tree)
        if isinstance(node, documented)
        for inner in node.body
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
