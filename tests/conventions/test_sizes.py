"""Files and functions stay small enough to read."""

import ast

from tests.conventions.source import TOP, project_files

FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 60


def test_files_are_short():
    """About 400 lines; a longer file has two subjects."""
    lengths = {
        path.relative_to(TOP).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in project_files()
        if path.suffix == ".py"
    }
    assert not {path: length for path, length in lengths.items() if length > FILE_LINES_MAX}


def test_functions_fit_a_screen():
    """Counted from the first line to the last, docstring included; nested functions count for themselves."""
    violations = []
    for path in project_files():
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _own_lines(node) > FUNCTION_LINES_MAX:
                violations.append(f"{path.relative_to(TOP)}: {node.name} has {_own_lines(node)} lines")
    assert not violations


def _own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    nested = [node for node in ast.walk(function) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return _lines(function) - sum(_lines(node) for node in nested if node is not function)


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1
