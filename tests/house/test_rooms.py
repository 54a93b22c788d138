"""Who may import whom, and which words belong to which room."""

import re

import pytest

from tests.house.source import PACKAGE, imported, modules, room, texts

MODEL = {"model"}
BELOW_ENGINE = {"rules", "formats", "store", "model"}
ABOVE_ENGINE = BELOW_ENGINE | {"engine", "config", "auth", "observe"}
MAY: dict[str, set[str]] = {
    "model": set(),
    "formats": MODEL,
    "rules": MODEL,
    "store": MODEL,
    "config": set(),
    "auth": {"store", "model", "engine", "config"},
    "observe": {"store", "model", "config"},
    "engine": BELOW_ENGINE | {"config"},
    "http": ABOVE_ENGINE,
    "protocols": ABOVE_ENGINE | {"http"},
    "console": ABOVE_ENGINE | {"http"},
    "cli": ABOVE_ENGINE | {"app"},
    "app": ABOVE_ENGINE | {"http", "protocols", "console"},
    "__main__": {"cli"},
    "__init__": set(),
}
"""Room → other rooms it may import; the store only by its contract, but for app."""

SQL_WORDS = re.compile(r"\b(SELECT .+ FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE (TABLE|INDEX)|PRAGMA \w+)\b")
HTTP_MODULES = {"starlette", "uvicorn", "httpx", "h11", "http"}
HTTP_WORDS = re.compile(r"^(status_code|x-request-id|retry-after|content-disposition|text/html)$|^HTTP/", re.I)
SPEAK_HTTP = {"app", "http", "protocols", "console", "cli"}


def _ours(tree, path):
    """Rooms and modules of goodsgate that a module imports."""
    for name in imported(tree, path):
        parts = name.split(".")
        if parts[0] != "goodsgate" or len(parts) == 1:
            continue
        if (PACKAGE / parts[1]).exists() or (PACKAGE / f"{parts[1]}.py").exists():
            yield parts[1], parts


@pytest.mark.parametrize("path", modules())
def test_a_module_imports_only_what_its_room_may(path):
    """The arrows of the architecture."""
    own = room(path)
    assert own in MAY, f"the room {own} is not in the table"
    for other, parts in _ours(modules()[path], path):
        if other == own:
            continue
        assert other in MAY[own], f"{path} imports goodsgate.{other}"
        if other == "store" and own != "app":
            told = f"{path} imports {'.'.join(parts)}, not the contract"
            assert len(parts) == 2 or parts[2] in {"contract", "backup", "objects"}, told


@pytest.mark.parametrize("path", [path for path in modules() if path.startswith("protocols/")])
def test_no_protocol_imports_another(path):
    """Protocols differ by data; what two of them need is the engine's."""
    own = path.split("/")[1]
    for other, parts in _ours(modules()[path], path):
        if other == "protocols" and len(parts) > 2 and (PACKAGE / "protocols" / parts[2]).is_dir():
            assert own in (parts[2], "__init__.py"), f"{path} imports {'.'.join(parts)}"


@pytest.mark.parametrize("path", modules())
def test_sql_is_spoken_in_the_store_alone(path):
    """Below and above it there are only the contract's words."""
    if room(path) == "store":
        return
    assert not [text for text in texts(modules()[path]) if SQL_WORDS.search(text)]


@pytest.mark.parametrize("path", modules())
def test_http_is_spoken_at_the_door_alone(path):
    """The engine and what is below it could stand behind any door."""
    if room(path) in SPEAK_HTTP:
        return
    tree = modules()[path]
    assert not [name for name in imported(tree, path) if name.split(".")[0] in HTTP_MODULES]
    assert not [text for text in texts(tree) if HTTP_WORDS.search(text)]


def test_a_protocol_is_named_in_its_folder_and_the_list_alone():
    """Its name in the engine would be a branch in the engine."""
    protocols = [folder.name for folder in (PACKAGE / "protocols").iterdir() if (folder / "__init__.py").exists()]
    assert protocols
    strangers = []
    for path, tree in modules().items():
        for protocol in protocols:
            at_home = path.startswith(f"protocols/{protocol}/") or path in ("protocols/__init__.py", "app.py")
            if not at_home and any(text.lower() == protocol for text in texts(tree)):
                strangers.append((path, protocol))
    assert not strangers


def test_nothing_is_called_after_what_everything_is():
    """A name like `utils` says nothing of what is inside."""
    empty = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
    assert not [path for path in modules() if empty & set(re.split(r"[/.]", path))]
