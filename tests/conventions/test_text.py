"""What no file of the project may contain, and what needs a reason."""

import ast
import re

from tests.conventions.source import TOP, project_files

MACHINE_PATHS = re.compile(r"(?<![\w.~$}/-])/(work|farm|root|home)/\w")
REGISTRY_HOSTS = re.compile(r"https?://[^ ]*(pypi|pythonhosted|npmjs|debian)\.[a-z]+")
UNFINISHED = re.compile(r"\b(TODO|FIXME)\b|# XXX|NotImplementedError")
SUPPRESSED = re.compile(r"# (noqa|type: ignore|pragma: no cover)(?P<rest>.*)$")
REASON = re.compile(r"^(: ?[A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)*|\[[a-z-]+(, ?[a-z-]+)*\])\s+(–|-|#) ?\w.{5,}")
OWN = "tests/conventions/test_text.py"
VENDORED = ("demo/feed/", "LICENSE", "src/goodsgate/console/static/", "tests/browser/vendored/")


def _texts():
    for path in project_files():
        name = path.relative_to(TOP).as_posix()
        if name == OWN or name.startswith(VENDORED):
            continue
        try:
            yield name, path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


def test_no_file_names_a_machine_a_registry_or_unfinished_work():
    """Paths of one machine, hosts of package registries, and what was meant to be done later."""
    violations = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in _texts()
        for number, line in enumerate(text.splitlines(), 1)
        if any(forbidden.search(line) for forbidden in (MACHINE_PATHS, REGISTRY_HOSTS, UNFINISHED))
    ]
    assert not violations


def test_a_suppressed_check_gives_its_reason():
    """`# noqa: RULE - reason` and `# type: ignore[rule]  # reason`; types are checked in the package alone."""
    violations = []
    for name, text in _texts():
        for number, line in enumerate(text.splitlines(), 1):
            suppressed = SUPPRESSED.search(line) if name.endswith(".py") else None
            if suppressed and suppressed[1] == "type: ignore" and not name.startswith("src/"):
                continue
            if suppressed and not REASON.match(suppressed["rest"]):
                violations.append(f"{name}:{number}: {line.strip()}")
    assert not violations


def test_every_test_has_a_docstring():
    """It says what the test proves; the name alone does not."""
    missing = []
    for path in project_files():
        name = path.relative_to(TOP).as_posix()
        if not (name.startswith("tests/") and path.name.startswith("test_") and path.suffix == ".py"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node):
                missing.append(f"{name}: {node.name}")
    assert not missing
