"""What a process keeps in memory is bounded: a cache has a maximum, or few possible keys for a reason."""

import ast
from collections.abc import Iterator

from tests.conventions.source import modules

FEW_KEYS = {
    "model/fields.py: _names": "kinds of records",
    "profiles/__init__.py: load_profile": "shipped profiles; other names are refused",
    "engine/header_names.py: _all_names": "kinds of records",
    "http/endpoints.py: load_openapi": "packages of protocols",
    "targets/__init__.py: load_target": "shipped targets; other names are refused",
    "rules/cel.py: _environment": "of one record, or of many",
    "protocols/__init__.py: _schemas_of": "protocols",
    "store/sqlite/fingerprint.py: _expected": "the statements of the schema",
    "profiles/__init__.py: _MATCHERS": "shipped profiles",
    "formats/workbook/sheet.py: _columns": "one to three letters, at most 18,278",
    "protocols/konnect/orders/states.py: _BY_EVENT": "events of orders; filled when the module is loaded",
    "store/strict/registry.py: CHECKS": "methods of the store; filled when the module is loaded",
    "store/strict/__init__.py: _signature": "methods of stores",
}
"""Function or variable, and its keys, which are few whatever is submitted."""
CONSTANT = {"NO_LOCKS", "NONE", "NO_GUARDS", "NO_REQUIREMENTS", "NO_ATTRIBUTES", "NO_TEXTS"}
"""Stay empty."""
CONTAINERS = {"dict", "list", "set", "defaultdict", "OrderedDict", "deque", "Counter"}


def test_cached_functions_have_a_maximum():
    """`functools.cache` is for functions without parameters, or with few possible arguments."""
    violations = []
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            arguments = node.args
            has_parameters = bool(arguments.args or arguments.kwonlyargs or arguments.vararg or arguments.kwarg)
            if any(map(_is_unbounded, node.decorator_list)) and has_parameters:
                violations.append(f"{path}: {node.name}")
    assert set(violations) <= FEW_KEYS.keys()


def test_containers_of_modules_have_few_keys():
    """A module's dict, list or set that begins empty grows for as long as the process lives."""
    found = {f"{path}: {name}" for path, tree in modules().items() for name in _empty_containers(tree)}
    assert found <= FEW_KEYS.keys()


def test_caches_of_objects_have_a_maximum():
    """An attribute named a cache that begins as an empty dict, in a module that has no limit of its size."""
    violations = []
    for path, tree in modules().items():
        limits = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id.endswith("_MAX")}
        for node in ast.walk(tree):
            target = node.target if isinstance(node, ast.AnnAssign) else None
            if isinstance(target, ast.Attribute) and "cache" in target.attr and _is_empty(node) and not limits:
                violations.append(f"{path}: {target.attr}")
    assert not violations


def test_the_table_of_caches_is_current():
    """Every entry names a function or variable that is there."""
    names = {
        f"{path}: {name}" for path, tree in modules().items() for node in tree.body for name in _names_of(node)
    }
    assert FEW_KEYS.keys() <= names


def _is_unbounded(decorator: ast.expr) -> bool:
    name = ast.unparse(decorator).removeprefix("functools.")
    return name == "cache" or name in ("lru_cache(None)", "lru_cache(maxsize=None)")


def _names_of(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _empty_containers(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and _is_empty(node):
            yield from (name for name in _names_of(node) if name not in CONSTANT)


def _is_empty(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if isinstance(value, ast.Dict):
        return not value.keys
    if isinstance(value, ast.List):
        return not value.elts
    is_call = isinstance(value, ast.Call) and isinstance(value.func, ast.Name)
    return is_call and value.func.id in CONTAINERS and not (value.args and value.func.id != "defaultdict")
