"""Python's regular expressions backtrack, so they are ours; those of merchants go through `rules.patterns`."""

import ast
from collections.abc import Iterator

from tests.conventions.source import modules

OURS = {
    "cli/masking.py": "secrets, escaped",
    "cli/conversation.py": "of transcripts, which are files of the package",
    "cli/transcripts.py": "of transcripts, which are files of the package",
    "config.py": "names, escaped",
    "engine/column_values.py": "patterns of the profiles that are shipped",
    "engine/groups.py": "names of columns in shipped profiles, escaped",
    "formats/table.py": "one of four delimiters, escaped",
    "http/known_settings.py": "patterns of the settings that a protocol declares",
    "http/openapi.py": "patterns of our OpenAPI documents",
    "profiles/__init__.py": "patterns of the profiles that are shipped",
    "protocols/justwalkout/notification.py": "a constant",
    "protocols/mircate/pim/images.py": "constants by name",
    "protocols/mircate/validation.py": "patterns of our OpenAPI documents",
    "rules/schema.py": "patterns of our schemas",
    "store/shared/statement_files.py": "marks in our SQL files",
}
"""Module → where the expressions come from that it compiles while it runs."""


def _compiled_while_running(tree: ast.Module) -> Iterator[ast.Call]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name("re"), attr=name), args=[ast.expr() as pattern, *_]):
                    if name != "escape" and not isinstance(pattern, ast.Constant):
                        yield node


def test_no_expression_of_a_merchant_is_compiled_by_a_matcher_that_backtracks() -> None:
    """Whoever adds a module here says where its expressions come from."""
    found = {path for path, tree in modules().items() if any(_compiled_while_running(tree))}
    assert found == OURS.keys()
