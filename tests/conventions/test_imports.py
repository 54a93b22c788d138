"""Which module may import which, and which vocabulary belongs to which package."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

from tests.conventions.source import PACKAGE, imported_names, modules, package_of, string_constants

MODEL = {"model"}
BELOW_ENGINE = {"rules", "formats", "profiles", "targets", "store", "remote", "model"}
ABOVE_ENGINE = BELOW_ENGINE | {"engine", "auth", "observe"}
ALLOWED: dict[str, set[str]] = {
    "model": set(),
    "formats": MODEL,
    "profiles": MODEL,
    "targets": MODEL,
    "rules": MODEL,
    "store": MODEL,
    "remote": MODEL,  # files of others, by streams; it knows neither what is in them nor a store of the gate
    "setting_formats": set(),
    "config": MODEL | {"setting_formats"},
    "http_settings": {"http", "config", "store"},
    "auth": {"store", "model", "engine"},
    "observe": {"store", "model"},
    "engine": BELOW_ENGINE,
    "http": ABOVE_ENGINE,
    "protocols": ABOVE_ENGINE | {"http"},
    "console": ABOVE_ENGINE | {"http"},
    "push": MODEL,  # a client of the platforms: it gets checked records, and knows neither engine nor protocols
    "cli": ABOVE_ENGINE | {"app", "config", "push"},
    "app": ABOVE_ENGINE | {"http", "protocols", "console", "config", "http_settings"},
    "__main__": {"cli"},
    "__init__": set(),
}
"""Package → the other packages it may import. Settings reach a component as a value of its own, not as `config`."""

SHARED_PARTS = {
    "SqliteStore", "PostgresStore", "Secrets", "Stock", "Objects", "Engine", "Worker", "Outbox", "DryRunner",
}
"""Classes that only the composition root creates."""

STORE_CONTRACT = {"contract", "backup", "objects", "partitions"}
"""Modules of the store that other packages than `app` may import."""
SQL_STATEMENTS = re.compile(
    r"\b(SELECT .+ FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE (TABLE|INDEX)|PRAGMA \w+)\b"
)
HTTP_MODULES = {"goodsgate_client", "starlette", "uvicorn", "httpx", "h11", "http"}
HTTP_WORDS = re.compile(r"^(status_code|x-request-id|retry-after|content-disposition|text/html)$|^HTTP/", re.I)
HTTP_PACKAGES = {"app", "http", "protocols", "console", "cli", "push", "remote"}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}


def _own_imports(path: str) -> Iterator[list[str]]:
    """Yield the names of goodsgate modules that a module imports, split at the dots."""
    for name in imported_names(modules()[path], path):
        parts = name.split(".")
        if parts[0] != "goodsgate" or len(parts) == 1:
            continue
        if (PACKAGE / parts[1]).exists() or (PACKAGE / f"{parts[1]}.py").exists():
            yield parts


def test_modules_import_only_the_packages_they_may():
    """The arrows of the architecture; the store is imported by its contract, except in `app`."""
    violations = []
    for path in modules():
        own = package_of(path)
        assert own in ALLOWED, f"the package {own} is not in the table"
        for parts in _own_imports(path):
            if parts[1] == own:
                continue
            if parts[1] not in ALLOWED[own]:
                violations.append(f"{path} imports {'.'.join(parts)}")
            elif parts[1] == "store" and own != "app" and len(parts) > 2 and parts[2] not in STORE_CONTRACT:
                violations.append(f"{path} imports {'.'.join(parts)}, which is not the store's contract")
    assert not violations


def test_only_the_composition_root_creates_shared_parts():
    """Stores, stock, secrets, object stores and the engine are created in `app` and passed to their users."""
    violations = []
    for path, tree in modules().items():
        if path in ("app.py", "store/objects.py"):
            continue
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        violations += [(path, call.id) for call in calls if isinstance(call, ast.Name) and call.id in SHARED_PARTS]
    assert not violations


def test_protocols_do_not_import_each_other():
    """What two protocols need belongs to `http` or to the engine."""
    violations = []
    for path in modules():
        if not path.startswith("protocols/"):
            continue
        own = path.split("/")[1]
        for parts in _own_imports(path):
            is_protocol = parts[1] == "protocols" and len(parts) > 2 and (PACKAGE / "protocols" / parts[2]).is_dir()
            if is_protocol and own not in (parts[2], "__init__.py"):
                violations.append(f"{path} imports {'.'.join(parts)}")
    assert not violations


def test_only_the_store_contains_sql():
    """All other packages use the store's contract."""
    violations = []
    for path, tree in modules().items():
        if package_of(path) != "store":
            violations += [(path, text) for text in string_constants(tree) if SQL_STATEMENTS.search(text)]
    assert not violations


def test_only_the_outer_packages_know_http():
    """The engine and everything below it work without HTTP."""
    violations = []
    for path, tree in modules().items():
        if package_of(path) in HTTP_PACKAGES:
            continue
        violations += [(path, name) for name in imported_names(tree, path) if name.split(".")[0] in HTTP_MODULES]
        violations += [(path, text) for text in string_constants(tree) if HTTP_WORDS.search(text)]
    assert not violations


def test_a_protocol_is_named_only_in_its_own_package_and_the_list():
    """A protocol's name in the engine would be a special case in the engine."""
    protocols = [folder.name for folder in (PACKAGE / "protocols").iterdir() if (folder / "__init__.py").exists()]
    assert protocols
    violations = []
    for path, tree in modules().items():
        for protocol in protocols:
            own = (f"protocols/{protocol}/", f"push/{protocol}")  # a client of the vendor beside the protocol
            is_own = path.startswith(own) or path in ("protocols/__init__.py", "app.py")
            if not is_own and any(text.lower() == protocol for text in string_constants(tree)):
                violations.append((path, protocol))
    assert not violations


def test_commands_load_only_what_they_use(tmp_path):
    """Help loads no library of the gate, and a command that only opens the store loads neither engine nor HTTP."""
    program = """
import sys
from goodsgate.cli import main
assert not {"msgspec", "apsw", "httpx", "starlette"} & set(sys.modules)
from goodsgate import app, auth
from goodsgate.cli.merchant import create_key, create_merchant
store = app.open_store(app.Config(store=sys.argv[1]))
store.migrate()
create_merchant(store, "acme", name="Acme")
assert create_key(store, "acme", scopes=["read"], label="")
store.close()
assert not {f"goodsgate.{name}" for name in ("engine", "rules", "http", "protocols", "console")} & set(sys.modules)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_modules_have_telling_names():
    """A name such as `utils` does not say what a module contains."""
    assert not [path for path in modules() if VAGUE_NAMES & set(re.split(r"[/.]", path))]


def test_threads_that_run_on_their_own_survive_errors():
    """A thread that nobody waits for is a `BackgroundThread`; the one that ends its process is the exception."""
    starting = {
        path for path, tree in modules().items() for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("threading.Thread", "Thread")
    }
    assert starting == {"model/background.py", "cli/serve.py"}
