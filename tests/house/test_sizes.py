"""Files and functions stay small enough to be read."""

import ast

import pytest

from tests.house.source import TOP, kept_files

FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 60
PYTHON = [path.relative_to(TOP).as_posix() for path in kept_files() if path.suffix == ".py"]


@pytest.mark.parametrize("path", PYTHON)
def test_a_file_has_one_job(path):
    """About 400 lines; what is longer has two."""
    assert len((TOP / path).read_text("utf-8").splitlines()) <= FILE_LINES_MAX


@pytest.mark.parametrize("path", PYTHON)
def test_a_function_fits_a_screen(path):
    """Counted from its first line to its last, docstring included; functions defined in it count for themselves."""
    tree = ast.parse((TOP / path).read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert not [f"{node.name}: {_lines(node)} lines" for node in functions if _lines(node) > FUNCTION_LINES_MAX]


def _lines(function):
    inner = [node for node in ast.walk(function) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return _span(function) - sum(_span(node) for node in inner if node is not function)


def _span(node):
    return node.end_lineno - node.lineno + 1
