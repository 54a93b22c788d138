"""The page docs/reference/profiles.md, made from the profiles: `python -m tests.profiles.reference_page` writes it."""

from pathlib import Path

from goodsgate.profiles import GENERIC, Column, Profile, load_profile, profile_names

PAGE = Path(__file__).parents[2] / "docs/reference/profiles.md"
HEAD = """# Profiles

A profile describes how one kind of supplier file is read. The gate recognizes a profile by the header of a table or by
the root element of an XML file, and shows it with the batch (`reading`). To choose another one, use `profile=NAME`
(API), `--profile NAME` (command line) or the form of the console; `profile=generic` turns recognition off. Columns that
a profile does not name are matched with the names of [fields](records.md) and of the profile `generic`. The mapping of
a submission overrides both.

Case, accents, spaces, dashes and underscores in column names do not matter. `{n}` stands for a number, `*` for any
characters. This page is generated from the profiles.
"""
LANGUAGES = "English, German, French, Spanish, Italian, Dutch, Polish and Portuguese"


def reference_page() -> str:
    """Return the page."""
    names = [*(name for name in profile_names() if name != GENERIC), GENERIC]
    return "\n".join([HEAD, *(_section(load_profile(name)) for name in names)])


def _section(profile: Profile) -> str:
    lines = [f"## {profile.name}", "", f"{profile.title[0].upper()}{profile.title[1:]}. Published column names:"]
    lines += [f"<{source}>{',' if source != profile.sources[-1] else '.'}" for source in profile.sources]
    lines.append("")
    if profile.signature:
        headers = (", ".join(f"`{column}`" for column in columns) for columns in profile.signature)
        lines += ["Recognized by a header with " + "; or with ".join(headers) + ".", ""]
    if profile.roots:
        lines += ["Recognized by the root element " + ", ".join(f"`{root}`" for root in profile.roots) + ".", ""]
    if profile.name == GENERIC:
        lines += [f"Names in {LANGUAGES}. A name can contain a currency, a unit or a language.", ""]
    lines += ["| column | read as |", "|---|---|"]
    for column, entries in profile.columns.items():
        lines.append(f"| `{_cell(column)}` | {'; else '.join(map(_entry, entries)) or 'stored, not checked'} |")
    for pair in profile.pairs:
        lines.append(f"| `{_cell(pair.name)}`, `{_cell(pair.value)}` | name and value of an option or attribute |")
    for prices in profile.price_before:
        lines.append(f"| `{prices.now}`, `{prices.before}` | `price`; and `sale_price` if the second one is higher |")
    for span in profile.spans:
        lines.append(f"| `{span.begin}`, `{span.end}` | `{span.field}`, if both are ISO dates |")
    for field, lists in profile.names.items():
        known = ", ".join(f"`{_cell(name)}`" for names in lists for name in names)
        lines.append(f"| {known} | `{field}` |")
    if profile.kept:
        lines += ["", "Stored, not checked: " + ", ".join(f"`{name}`" for name in profile.kept) + "."]
    return "\n".join([*lines, ""])


def _entry(column: Column) -> str:
    targets = ", ".join(f"`{target}`" for target in column.to)
    parts = [targets] if targets else []
    if column.packed is not None:
        parts.append("named values")
    if column.rest:
        parts.append(f"further values `{column.rest}`")
    if column.unit:
        parts.append(f"in {column.unit}")
    if column.unit_column or column.currency_column:
        kind = "unit" if column.unit_column else "currency"
        parts.append(f"in the {kind} that `{column.unit_column or column.currency_column}` contains")
    if column.matching:
        parts.append("if it is a URL" if "http" in column.matching else f"if it is `{_cell(column.matching)}`")
    if column.when:
        parts.append("by " + ", ".join(f"`{name}`" for name in column.when))
    return ", ".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(reference_page(), "utf-8")
