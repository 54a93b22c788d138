"""Names say what a thing is to somebody who has never seen the code."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

from tests.conventions.source import client_modules, modules, package_of

STORES = re.compile(r"^store/(sqlite|postgres)/")
"""Two implementations of one contract, whose classes may have the same names."""

PARTICIPLES = frozenset(
    {
        "told", "made", "found", "shown", "asked", "opened", "settled", "judged", "held", "looked", "marked", "tied",
        "shelved", "worded", "foretold", "framed", "wanted",
    }
)
"""A participle does not say what the thing is."""
LIBRARY_NAMES = frozenset({"connection_made"})
"""Methods of a library that are overridden under their own name."""
PREDICATES = ("is_", "are_", "has_", "have_", "was_", "were_", "not_", "be_")
METAPHORS = frozenset({"door", "desk", "shelf", "twins", "house", "hop", "pour", "linger", "bylaws", "spotless"})


def _named_things() -> Iterator[tuple[str, str, str]]:
    """Yield the kind, the place and the name of every module, class and function of the gate and its client."""
    for path, tree in (modules() | client_modules()).items():
        yield "module", path, path.rsplit("/", 1)[-1].removesuffix(".py")
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                yield "class", path, node.name
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield "function", path, node.name


def _words(name: str) -> list[str]:
    """Split a snake-case or camel-case name into lower-case words."""
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())


def test_class_names_are_unique():
    """In the gate, except for the classes by which the two stores implement one contract."""
    places: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for kind, path, name in _named_things():
        if kind == "class" and path in modules():
            implementation = STORES.match(path)
            places[name][implementation[1] if implementation else ""].append(path)
    violations = {}
    for name, by_store in places.items():
        if any(len(paths) > 1 for paths in by_store.values()) or ("" in by_store and len(by_store) > 1):
            violations[name] = sorted(path for paths in by_store.values() for path in paths)
    assert not violations


def test_names_are_not_participles():
    """A name such as `told` or `Made` leaves open what the value is."""
    violations = []
    for kind, path, name in _named_things():
        words = _words(name)
        is_predicate = kind == "function" and name.lstrip("_").startswith(PREDICATES)
        if words and not is_predicate and name not in LIBRARY_NAMES and words[-1] in PARTICIPLES:
            violations.append(f"{kind} {name} in {path}")
    assert not violations


def test_names_are_not_metaphors():
    """The field has a word for it; see ``docs/glossary.md``."""
    assert not [f"{kind} {name} in {path}" for kind, path, name in _named_things() if METAPHORS & set(_words(name))]


def test_every_package_is_known():
    """The names above are those of the whole package."""
    assert {package_of(path) for path in modules()} >= {"engine", "store", "protocols", "http", "rules", "formats"}
