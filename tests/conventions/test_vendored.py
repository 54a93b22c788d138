"""Vendored files are unchanged and listed with their licence."""

import hashlib
import re

from tests.conventions.source import PACKAGE

STATIC = PACKAGE / "console" / "static"
OURS = {"console.js", "style.css", "mark.svg", "VENDORED.md", "grid.css", "grid.js", "grid_cells.js"}


def test_vendored_files_are_listed_with_version_licence_and_hash():
    """All of them, unchanged, each with the text of its licence."""
    listing = (STATIC / "VENDORED.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([\w.-]+)` \|.*\| `([0-9a-f]{64})` \|$", listing, re.M))
    actual = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in STATIC.iterdir()}
    assert {name: digest for name, digest in actual.items() if name not in OURS} == rows
    assert listing.count("## Licence of ") == len({re.split(r"\.min\.", name)[0] for name in rows})


def test_no_file_of_the_console_names_another_host():
    """The console makes no request to other hosts."""
    address = re.compile(rb"(?:src|href|url)\W{0,3}(?:=|\()\W{0,2}(?:https?:)?//")
    files = [*STATIC.iterdir(), *(PACKAGE / "console" / "templates").iterdir()]
    assert [path.name for path in files if address.search(path.read_bytes())] == []
