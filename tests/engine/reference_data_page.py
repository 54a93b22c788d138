"""The page docs/reference/reference-data.md: `python -m tests.engine.reference_data_page` writes it."""

from pathlib import Path

from goodsgate.model.reference_columns import REFERENCE_COLUMNS, ReferenceKind

PAGE = Path(__file__).parents[2] / "docs/reference/reference-data.md"
HEAD = """# Reference data

Reference data is what records are checked against. A merchant loads it by kind, from a file of any format:
`goodsgate reference load KIND FILE` or `PUT /v1/reference/{kind}`. `goodsgate reference export KIND` prints what is
loaded, so that it can be loaded again. A kind without entries is not checked. `currency`, `country` and `unit` are
built in.

A table has a header with the names below; a JSON record has them as members. Every kind has `code`, which occurs once,
and `name`, which is shown; other columns may be missing. Columns that are not listed are stored and returned with the
entry. This page is made from the code.
"""


def reference_data_page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *(_section(name, kind) for name, kind in sorted(REFERENCE_COLUMNS.items()))])


def _section(name: str, kind: ReferenceKind) -> str:
    lines = [f"## {name}", "", kind.description, "", "| column | meaning | example |", "|---|---|---|"]
    lines += [f"| `code` | {_cell(kind.code)} | |", "| `name` | Name that people read. | |"]
    if kind.has_parent:
        lines.append("| `parent` | Code of the entry above. | |")
    for column in kind.columns:
        example = f"`{_cell(column.example)}` " if column.example else ""
        lines.append(f"| `{column.name}` | {_cell(column.description)} | {example}|")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(reference_data_page(), "utf-8")
