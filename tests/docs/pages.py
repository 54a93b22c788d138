"""README and docs as the tests read them: pages, their console blocks and their links."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

TOP = Path(__file__).resolve().parents[2]
PAGES = [TOP / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES += sorted((TOP / "clients").glob("*/README.md")) + sorted((TOP / "docs").rglob("*.md"))

BLOCK = re.compile(
    r"(?:<!-- (?:not run by the tests: (?P<reason>[^>]+)"
    r"|runs? (?:on (?P<store>PostgreSQL))?(?P<stays> ?until the end of the page)?) -->\n)?"
    r"^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$",
    re.M | re.S,
)
SAVED_FILE = re.compile(r"<!-- saved as (?P<name>[\w.-]+) -->\n```[a-z]+\n(?P<text>.*?)^```$", re.M | re.S)
EXIT = re.compile(r"\s+# exits (\d+).*$")


class Step(NamedTuple):
    """One command of a page, and the output that the page shows for it."""

    command: str
    code: int
    output: list[str]
    stays: bool = False
    """Whether the command runs until the end of the page."""


def name_of(page: Path) -> str:
    """Return the path of a page, relative to the project."""
    return page.relative_to(TOP).as_posix()


def steps(page: Path, *, store: str | None = None) -> list[Step]:
    """Return the commands of a page's console blocks in order.

    Blocks that are not run, or run on another store, are skipped. `$ ` begins a command, `> ` continues it, and
    `# exits N` after it gives an exit code other than 0. Other lines are its output; `…` matches anything in a line,
    and a line with only `…` matches any lines.
    """
    found: list[Step] = []
    for block in BLOCK.finditer(page.read_text("utf-8")):
        if block["language"] != "console" or block["reason"] or block["store"] != store:
            continue
        for line in block["text"].splitlines():
            if line.startswith("$ "):
                code = EXIT.search(line)
                found.append(Step(EXIT.sub("", line[2:]), int(code[1]) if code else 0, [], bool(block["stays"])))
            elif line.startswith("> ") and found:
                found[-1] = found[-1]._replace(command=f"{found[-1].command}\n{line[2:]}")
            elif line.strip():
                found[-1].output.append(line)
    return found


def saved_files(page: Path) -> dict[str, str]:
    """Return name and text of the blocks that the commands of a page find as files."""
    return {block["name"]: block["text"] for block in SAVED_FILE.finditer(page.read_text("utf-8"))}


def shell_blocks(page: Path) -> list[tuple[str, str | None]]:
    """Return language and reason of every block that contains shell commands."""
    found = BLOCK.finditer(page.read_text("utf-8"))
    return [(block["language"], block["reason"]) for block in found if block["language"] in ("console", "sh", "bash")]


def links(page: Path) -> list[str]:
    """Return the targets of a page's links to files of the project."""
    text = BLOCK.sub("", page.read_text("utf-8"))
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page: those of its headings, and explicit ones."""
    text = page.read_text("utf-8")
    headings = (re.sub(r"[^\w\- ]", "", line.lower()).strip() for line in re.findall(r"^#+ (.*)$", text, re.M))
    return {heading.replace(" ", "-") for heading in headings} | set(re.findall(r'<a id="([^"]+)">', text))


def module_at(path: Path) -> ModuleType:
    """Import a script of the project that belongs to no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
