"""Build the documentation as a site: `python docs/site/build.py [FOLDER]`.

The pages are the Markdown files of the project, as they are read in an editor. This script copies them into a folder,
with links that fit there, and writes the navigation; Zensical makes the site of that.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

TOP = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
FOLDER = TOP / "build" / "docs"
SECTIONS = {"start": "Start", "how-to": "How-to", "reference": "Reference", "why": "Why", "decisions": "Decisions"}
PROJECT_PAGES = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "clients/python/README.md": "project/python-client.md",
    "clients/typescript/README.md": "project/typescript-client.md",
}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
BLOCK = r"((?:<!-- [^\n]+ -->\n)?```\w+\n(?:.*?\n)?```\n)"
LABELLED_BLOCK = re.compile(rf"^\*\*([^*\n]+)\*\*\n\n{BLOCK}\n?", re.M | re.S)
LABELLED_BLOCKS = re.compile(rf"(?:^\*\*[^*\n]+\*\*\n\n{BLOCK}\n?){{2,}}", re.M | re.S)
Nav = list[dict[str, "str | Nav"]]


def page_paths() -> dict[str, str]:
    """Return path in the project → path in the site, of all pages."""
    paths = {"README.md": "index.md"} | PROJECT_PAGES
    for page in sorted((TOP / "docs").rglob("*.md")):
        path = page.relative_to(TOP / "docs").as_posix()
        paths[f"docs/{path}"] = re.sub(r"(^|/)README\.md$", r"\1index.md", path)
    for page in sorted((TOP / "src/goodsgate/protocols").rglob("README.md")):
        protocol = page.parent.relative_to(TOP / "src/goodsgate/protocols")
        paths[page.relative_to(TOP).as_posix()] = f"reference/protocols/{'-'.join(protocol.parts)}.md"
    return paths


def with_site_links(text: str, *, source: str, paths: dict[str, str], files: set[str]) -> str:
    """Return the text of a page with links to pages of the site; other files of the project are added to `files`."""
    folder = os.path.dirname(paths[source])

    def site_link(link: re.Match[str]) -> str:
        target = os.path.normpath(os.path.join(os.path.dirname(source), link[1]))
        if target == "docs/decisions" or f"{target}/README.md" in paths:
            there = f"{target.removeprefix('docs/')}/index.md"
        elif target in paths:
            there = paths[target]
        elif (TOP / target).exists() and not target.startswith("docs/"):
            files.add(target)
            there = f"files/{target}" + ("/index.md" if (TOP / target).is_dir() else "")
        else:  # a picture beside the page, or a broken link, which the build reports
            there = target.removeprefix("docs/")
        return os.path.relpath(there, folder or ".") + (link[2] or "")

    parts = re.split(f"({FENCE.pattern})", text, flags=re.M | re.S)
    return "".join(part if part.startswith("```") else LINK.sub(site_link, part) for part in parts)


def with_tabs(text: str) -> str:
    """Return the text of a page with tabs where labelled blocks of code follow each other."""
    return LABELLED_BLOCKS.sub(lambda blocks: LABELLED_BLOCK.sub(r"/// tab | \1\n\n\2\n///\n\n", blocks[0]), text)


def title(page: Path) -> str:
    """Return the first heading of a page."""
    heading = re.search(r"^# (.+)$", page.read_text("utf-8"), re.M)
    return heading[1] if heading else page.stem


def navigation(pages: Path, section: str) -> Nav:
    """Return the pages of a folder in the order of its index, under its headings; others follow by their title."""
    index = pages / section / "index.md"
    nav: Nav = [{"Overview": f"{section}/index.md"}]
    listed, group = {index}, nav
    for line in index.read_text("utf-8").splitlines():
        if line.startswith("## "):
            group = []
            nav.append({line.removeprefix("## "): group})
        for link in LINK.finditer(line):
            page = Path(os.path.normpath(index.parent / link[1]))
            if page.suffix == ".md" and page not in listed and (page.parent == index.parent or section == "reference"):
                foreign = page.relative_to(pages).parts[0] in SECTIONS.keys() - {section}
                if not foreign and page.exists():
                    listed.add(page)
                    group.append({title(page): page.relative_to(pages).as_posix()})
    others = sorted({*(pages / section).rglob("*.md")} - listed, key=title)
    nav += [{title(page): page.relative_to(pages).as_posix()} for page in others]
    return [entry for entry in nav if [*entry.values()] != [[]]]


def copy_file(source: Path, copy: Path) -> None:
    """Copy a file, or the files of a folder with a page that lists them."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        shutil.copy(source, copy)
        return
    shutil.copytree(source, copy, dirs_exist_ok=True)
    entries = "".join(f"- [{path.name}]({path.name})\n" for path in sorted(source.iterdir()) if path.is_file())
    (copy / "index.md").write_text(f"# {source.relative_to(TOP)}\n\n{entries}", "utf-8")


def write_pages(folder: Path) -> None:
    """Write the pages, the files to which they link, and the configuration of the generator."""
    pages, paths = folder / "pages", page_paths()
    files: set[str] = set()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(TOP / "docs/pictures", pages / "pictures")
    shutil.copytree(HERE, pages / "site", ignore=shutil.ignore_patterns("*.py", "*.yml", "__pycache__"))
    for source, path in paths.items():
        text = with_tabs(with_site_links((TOP / source).read_text("utf-8"), source=source, paths=paths, files=files))
        (pages / path).parent.mkdir(parents=True, exist_ok=True)
        (pages / path).write_text(text, "utf-8")
    for file in files:
        copy_file(TOP / file, pages / "files" / file)
    decisions = sorted((pages / "decisions").glob("0*.md"))
    entries = "".join(f"- [{title(page)}]({page.name})\n" for page in decisions)
    (pages / "decisions/index.md").write_text(f"# Decisions\n\nEach page explains one choice.\n\n{entries}", "utf-8")
    nav: Nav = [{"Home": "index.md"}]
    nav += [{name: navigation(pages, section)} for section, name in SECTIONS.items()]
    nav.append({"Project": [{title(pages / path): path} for path in PROJECT_PAGES.values()]})
    settings = (HERE / "mkdocs.yml").read_text("utf-8")
    (folder / "mkdocs.yml").write_text(f"{settings}nav: {json.dumps(nav)}\n", "utf-8")


def build(folder: Path) -> PurePosixPath:
    """Build the site and return its first page; a broken link or anchor ends the program."""
    write_pages(folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", "mkdocs.yml"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if built.returncode:
        sys.exit(built.stdout + built.stderr)
    return PurePosixPath(folder / "site/index.html")


if __name__ == "__main__":
    print(build(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else FOLDER))
