"""The project's own files, parsed once for the tests of conventions."""

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PACKAGE = TOP / "src" / "goodsgate"
CLIENT = TOP / "clients" / "python" / "src" / "goodsgate_client"


@functools.cache
def project_files() -> list[Path]:
    """Return the files of the project: tracked, or new and not ignored."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=TOP, capture_output=True, check=True).stdout
    paths = (TOP / name for name in listing.decode().split("\0") if name)
    return sorted({path for path in paths if path.is_file()})


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Return the syntax tree of every module, by its path below the package."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8")) for path in paths}


@functools.cache
def client_modules() -> dict[str, ast.Module]:
    """Return the syntax tree of every module of the client that is written by hand, by its path in the project."""
    paths = sorted(path for path in CLIENT.rglob("*.py") if path.parent.name != "_sync")
    return {path.relative_to(TOP).as_posix(): ast.parse(path.read_text("utf-8")) for path in paths}


def package_of(path: str) -> str:
    """Return the top-level package or module of a path below ``goodsgate``."""
    return path.split("/")[0].removesuffix(".py")


def imported_names(tree: ast.Module, path: str) -> Iterator[str]:
    """Yield the dotted names that a module imports, anywhere in it; relative names are made absolute."""
    package = ["goodsgate", *path.split("/")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def string_constants(tree: ast.Module) -> Iterator[str]:
    """Yield the string constants of a module without its docstrings."""
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
