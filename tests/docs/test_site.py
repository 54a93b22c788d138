"""The site of the documentation: complete, without broken links, and without another host."""

import os
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import TOP, module_at

FETCHED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^\s>]+")
build = module_at(TOP / "docs/site/build.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, which ends with an error if a link or an anchor is broken."""
    folder = tmp_path_factory.mktemp("docs")
    build.build(folder)
    return folder


def test_the_site_fetches_nothing_from_another_host(folder: Path) -> None:
    """It works without a network, and tells nobody who reads it."""
    pages = [*(folder / "site").rglob("*.html")]
    assert len(pages) > 100
    assert [(page.name, FETCHED.findall(page.read_text("utf-8"))) for page in pages
            if FETCHED.search(page.read_text("utf-8"))] == []


def test_every_address_in_the_site_exists(folder: Path) -> None:
    """Also pictures, scripts and files of the project, which the generator does not check."""
    broken = set()
    for page in (folder / "site").rglob("*.html"):
        if page.name != "404.html":  # shown at any address, so that its own are of the server's root
            addresses = {*re.findall(r'(?:href|src)=\"?([^\" >]+)', page.read_text("utf-8"))}
            paths = {unquote(re.split("[?#]", each)[0]) for each in addresses if not re.match(r"[a-z]+:|//", each)}
            broken |= {(page.name, path) for path in paths if not os.path.exists(page.parent / path)}
    assert broken == set()


def test_every_page_is_in_the_navigation(folder: Path) -> None:
    """Also those that no list names."""
    named = re.findall(r'"([\w/.-]+\.md)"', (folder / "mkdocs.yml").read_text("utf-8").rpartition("\nnav: ")[2])
    pages = {page.relative_to(folder / "pages").as_posix() for page in (folder / "pages").rglob("*.md")}
    assert pages - {*named} == {page for page in pages if page.startswith("files/")}
    assert len(named) == len({*named})


def test_pages_keep_the_order_and_headings_of_their_index(tmp_path: Path) -> None:
    """A page that the index does not name comes last."""
    folder = tmp_path / "how-to"
    folder.mkdir()
    (folder / "index.md").write_text("# Guides\n\n## Send\n\n- [Second](b.md)\n- [First](a.md)\n\n## Empty\n")
    for name in ("a", "b", "new"):
        (folder / f"{name}.md").write_text(f"# Page {name}\n")
    assert build.navigation(tmp_path, "how-to") == [
        {"Overview": "how-to/index.md"}, {"Send": [{"Page b": "how-to/b.md"}, {"Page a": "how-to/a.md"}]},
        {"Page new": "how-to/new.md"},
    ]


def test_a_broken_link_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is a broken anchor."""

    def write_page(folder: Path) -> None:
        (folder / "pages/site").mkdir(parents=True)
        (folder / "pages/index.md").write_text("# Page\n\n[page](gone.md)\n\n[anchor](index.md#gone)\n")
        shutil.copy(build.HERE / "mkdocs.yml", folder)

    monkeypatch.setattr(build, "write_pages", write_page)
    with pytest.raises(SystemExit, match=r"(?s)page does not exist.*anchor does not exist"):
        build.build(tmp_path)


def test_labelled_blocks_that_follow_each_other_become_tabs() -> None:
    """One by itself stays as it is."""
    curl = "**curl**\n\n```console\n$ curl x\n```\n\n"
    python = "**Python**\n\n<!-- saved as x.py -->\n```python\nx\n```\n\n"
    assert build.with_tabs(f"{curl}Text\n\n{python}") == f"{curl}Text\n\n{python}"
    assert build.with_tabs(f"{curl}{python}Text\n") == (
        "/// tab | curl\n\n```console\n$ curl x\n```\n\n///\n\n"
        "/// tab | Python\n\n<!-- saved as x.py -->\n```python\nx\n```\n\n///\n\nText\n"
    )
