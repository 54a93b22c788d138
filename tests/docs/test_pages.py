"""Docs are run: every command of a page, in order, against a gate, with what the page says it prints."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.gate import Gate
from tests.docs.pages import PAGES, TOP, anchors, links, name_of, shell_blocks, steps
from tests.docs.session import Session


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """One gate for all pages; each page is a merchant of its own."""
    served = Gate(tmp_path_factory.mktemp("docs"))
    yield served
    assert served.stop() == 0


@pytest.mark.parametrize("page", [page for page in PAGES if steps(page)], ids=name_of)
def test_what_a_page_says_happens(gate: Gate, page: Path, tmp_path: Path):
    """In a folder with the demo's files, as a merchant with a key, in one shell session per page."""
    merchant = re.sub(r"[^a-z0-9]", "-", name_of(page).lower())[-64:]
    scopes = [word for scope in ("submit", "read", "admin") for word in ("--scope", scope)]
    key = gate.run("merchant", "add", merchant, "--quiet", *scopes).stdout.strip()
    shutil.copytree(TOP / "demo", tmp_path / "demo")
    environment = gate.environment | {
        "GOODSGATE_URL": gate.url, "GOODSGATE_KEY": key, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    session = Session(tmp_path, environment)
    for step in steps(page):
        session.run(step)


@pytest.mark.parametrize("number", range(1, 13))
def test_a_promise_names_a_test_that_is_there(number: int):
    """A file below tests, and where one is named, a test in it."""
    text = (TOP / "docs/why/promises.md").read_text("utf-8")
    (row,) = re.findall(rf"^\| {number} \| .*$", text, re.M)
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row)
    assert named
    for path, function in named:
        assert (TOP / path).exists(), path
        assert not function or f"def {function}(" in (TOP / path).read_text("utf-8"), function


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_that_is_not_run_says_why(page: Path):
    """What looks like a command is run, or carries its reason."""
    assert [block for block in shell_blocks(page) if block[0] != "console" and not block[1]] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path):
    """To a file that is there, and to a heading in it."""
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target
