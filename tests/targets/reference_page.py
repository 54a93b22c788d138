"""The page docs/reference/feeds.md, made from the targets: `python -m tests.targets.reference_page` writes it."""

from pathlib import Path

from goodsgate.targets import FeedColumn, FeedTarget, load_target, target_names

PAGE = Path(__file__).parents[2] / "docs/reference/feeds.md"
HEAD = """# Feeds

What the published specifications of Google, Meta and OpenAI demand of each column of a feed
([send feeds out](../how-to/send-feeds-out.md)). A value that its column cannot have is left out, or cut at a word, with
a warning. An item without a value that is required is incomplete, which is an error. The issues have the
[codes](codes.md) of submissions. This page is made from the rules.

The values of a column that is *about the shop* are the same for all items, so that a destination sets them. An item
that has a member with the name of the column keeps its own.
"""
SHAPES = {
    "url": "a web address", "price": "an amount and a currency", "gtin": "8, 12, 13 or 14 digits", "date": "a date",
    "country": "two letters of ISO 3166-1", "yes_no": "yes or no", "number": "digits",
}
PARTS = {
    "amount": "amount of {}", "unit": "unit of {}", "begin": "begin of {}", "end": "end of {}",
    "presence": "whether there is {}", "options": "JSON with {}",
}


def reference_page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *(_section(load_target(name)) for name in target_names())])


def _section(target: FeedTarget) -> str:
    sources = ", ".join(f"<{source.url}> (read {source.read})" for source in target.sources)
    lines = [f"## {target.name}", "", f"{target.title}. Source: {sources}.", ""]
    lines.append(f"Read as {', '.join(f'`{format}`' for format in target.formats)}.")
    if target.file_items_max:
        lines.append(f"At most {target.file_items_max:,} items of one file.")
    for names in target.one_of:
        lines.append(f"An item needs one of {', '.join(f'`{name}`' for name in names)}.")
    for names in target.all_or_none:
        lines.append(f"Written together, or not at all: {', '.join(f'`{name}`' for name in names)}.")
    lines += ["", "| column | from | rule |", "|---|---|---|"]
    lines += [f"| `{name}` | {_origin(name, column)} | {_rule(column)} |" for name, column in target.columns.items()]
    return "\n".join([*lines, ""])


def _origin(name: str, column: FeedColumn) -> str:
    if column.option:
        return "about the shop"
    joined = (", " if column.part == "options" else " or ").join(f"`{field}`" for field in column.fields or (name,))
    return PARTS[column.part].format(joined) if column.part else joined


def _rule(column: FeedColumn) -> str:
    rules = ["required"] if column.required else []
    for field, values in column.required_if.items():
        rules.append(f"required if `{field}` is {' or '.join(f'`{value}`' for value in values)}")
    if column.choices:
        rules.append("one of " + ", ".join(f"`{choice}`" for choice in column.choices))
    if column.shape in SHAPES:
        rules.append(SHAPES[column.shape])
    if column.characters_max:
        rules.append(f"at most {column.characters_max:,} characters{', else cut' if column.cut else ''}")
    if column.plain:
        rules.append("no HTML")
    if column.entries_max:
        rules.append(f"at most {column.entries_max} value{'s' if column.entries_max > 1 else ''}")
    if column.at_most:
        rules.append(f"not above `{column.at_most}`")
    if column.default:
        rules.append(f"`{column.default}` by default")
    return "; ".join(rules)


if __name__ == "__main__":
    PAGE.write_text(reference_page(), "utf-8")
