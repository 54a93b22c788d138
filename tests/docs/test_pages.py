"""Every command in the docs runs against a gate and prints what the page shows."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests import commands
from tests.cli.gate import Gate
from tests.docs.pages import PAGES, TOP, anchors, links, name_of, saved_files, shell_blocks, steps
from tests.docs.session import Session

HAS_NODE = shutil.which("node") is not None
"""Without it, the examples in JavaScript are not run."""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Serve one gate for all pages; each page has its own merchant."""
    served = Gate(tmp_path_factory.mktemp("docs"), webhook_hosts="127.0.0.1", webhook_private="allow", feed_folders="/")
    yield served
    assert served.stop() == 0


@pytest.mark.parametrize("page", [page for page in PAGES if steps(page)], ids=name_of)
def test_the_commands_of_a_page_print_what_it_shows(gate: Gate, page: Path, tmp_path: Path):
    """They run in one shell session per page, in a folder with the demo, the samples and the files of the page."""
    merchant = re.sub(r"[^a-z0-9]", "-", name_of(page).lower())[-64:]
    scopes = [word for scope in ("submit", "read", "admin") for word in ("--scope", scope)]
    key = gate.run("merchant", "add", merchant, "--quiet", *scopes).stdout.strip()
    for folder in ("demo", "tests/profiles/samples"):
        shutil.copytree(TOP / folder, tmp_path / folder)
    for name, text in saved_files(page).items():
        (tmp_path / name).write_text(text, "utf-8")
    environment = gate.environment | {
        "GOODSGATE_URL": gate.url, "GOODSGATE_KEY": key, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8",
        "PATH": os.pathsep.join([str(commands.programs()), str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    left_out = []
    with closing(Session(tmp_path, environment)) as session:
        for step in steps(page):
            if step.stays:
                session.start(step)
            elif HAS_NODE or not step.command.startswith("node "):
                session.run(step)
            else:
                left_out.append(step.command)
    if left_out:
        pytest.skip(f"the rest of the page passed, but without Node not {', '.join(left_out)}")


@pytest.mark.parametrize("number", range(1, 17))
def test_a_promise_names_existing_tests(number: int):
    """It names a file below tests, and possibly a test in it."""
    text = (TOP / "docs/why/promises.md").read_text("utf-8")
    (row,) = re.findall(rf"^\| {number} \| .*$", text, re.M)
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row)
    assert named
    for path, function in named:
        assert (TOP / path).exists(), path
        assert not function or f"def {function}(" in (TOP / path).read_text("utf-8"), function


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_that_is_not_run_gives_a_reason(page: Path):
    """A block with shell commands is run, or has a comment with the reason."""
    assert [block for block in shell_blocks(page) if block[0] != "console" and not block[1]] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path):
    """They lead to an existing file, and to a heading in it."""
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target
