"""What must not be kept in the project, and what may be silenced only with a reason."""

import ast
import re

import pytest

from tests.house.source import TOP, kept_files

MACHINE_PATHS = re.compile(r"(?<![\w.~$}/-])/(work|farm|root|home)/\w")
REGISTRY_HOSTS = re.compile(r"https?://[^ ]*(pypi|pythonhosted|npmjs|debian)\.[a-z]+")
UNFINISHED = re.compile(r"\b(TODO|FIXME)\b|# XXX|NotImplementedError")
SILENCED = re.compile(r"# (noqa|type: ignore|pragma: no cover)(?P<rest>.*)$")
REASON = re.compile(r"^(: ?[A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)*|\[[a-z-]+(, ?[a-z-]+)*\])\s+(–|-|#) ?\w.{5,}")
OWN = "tests/house/test_words.py"
VENDORED = ("demo/feed/", "LICENSE", "src/goodsgate/console/static/", "tests/browser/vendored/")


def _texts():
    for path in kept_files():
        name = path.relative_to(TOP).as_posix()
        if name == OWN or name.startswith(VENDORED):
            continue
        try:
            yield name, path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


@pytest.mark.parametrize("forbidden", [MACHINE_PATHS, REGISTRY_HOSTS, UNFINISHED], ids=["path", "host", "unfinished"])
def test_nothing_of_one_machine_or_half_a_thought_is_kept(forbidden):
    """Paths of one machine, package registries by host, and what was meant to be done later."""
    found = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in _texts()
        for number, line in enumerate(text.splitlines(), 1)
        if forbidden.search(line)
    ]
    assert not found


def test_a_silenced_rule_says_why():
    """`# noqa: RULE - reason` and `# type: ignore[rule]  # reason`; types are checked in the package alone."""
    found = []
    for name, text in _texts():
        for number, line in enumerate(text.splitlines(), 1):
            silenced = SILENCED.search(line) if name.endswith(".py") else None
            if silenced and silenced[1] == "type: ignore" and not name.startswith("src/"):
                continue
            if silenced and not REASON.match(silenced["rest"]):
                found.append(f"{name}:{number}: {line.strip()}")
    assert not found


def test_every_test_says_what_it_holds():
    """A one-line docstring; the name alone is not a sentence."""
    silent = []
    for path in kept_files():
        name = path.relative_to(TOP).as_posix()
        if not (name.startswith("tests/") and path.name.startswith("test_") and path.suffix == ".py"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node):
                silent.append(f"{name}: {node.name}")
    assert not silent
