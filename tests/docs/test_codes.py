"""The examples of codes: what stands before the arrow has the issue, what stands behind it has not."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from goodsgate.model.batch import Kind, Policy, Verb
from tests.docs.pages import TOP
from tests.rules.truth import EUROS, REFERENCE, document, rules
from tests.rules.values import SAMPLES
from tests.shop import Shop

NEEDS_MORE = {
    "text_too_short", "text_form", "list_too_short", "department_unknown", "template_unknown", "item_unnamed",
    "item_missing", "member_unknown", "fields_newer", "version_kind_differs", "rule",
}
"""Of schemas of vendors, or about an item that is held; tested with these."""
SPAN = r"`((?:[^`])+)`"
FILE = re.compile(rf"{SPAN}(?: with {SPAN})?")
KINDS = (Kind.PRODUCT, Kind.STOCK, Kind.PRICE)


class Example(NamedTuple):
    """A row of the page."""

    code: str
    before: str
    after: str


def examples() -> Iterator[Example]:
    """Yield the examples of all codes."""
    for line in (TOP / "docs/reference/codes.md").read_text("utf-8").splitlines():
        code = re.match(r'\| <a id="(\w+)">', line)
        if code:
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            cell = cells[4].strip().replace("\\|", "|") if len(cells) > 4 else ""
            before, _, after = cell.partition(" → ")
            yield Example(code[1], before, after)


def members(side: str) -> dict[str, Any] | None:
    """Return the members of a record, if an example gives such."""
    try:
        found: dict[str, Any] = json.loads(f"{{{side.strip('`')}}}")
    except ValueError:
        return None
    return found


def file_of(side: str) -> tuple[bytes, dict[str, Any]] | None:
    """Return a file and the options of its submission, if an example gives such."""
    match = FILE.fullmatch(side)
    if match is None or not ("⏎" in match[1] or match[1][0] in "{[<" or match[1] == "sku;title"):
        return None
    option, _, value = (match[2] or "").partition(" ")
    column, _, field = value.rpartition(":")
    options: dict[str, Any] = {}
    if option == "--map":
        options["mapping"] = {column: [field]}
    elif option:
        words = {"--kind": Kind, "--verb": Verb}
        options[option.strip("-").replace("-", "_")] = words.get(option, str)(value)
    return match[1].replace("⏎", "\n").encode() + b"\n", options


ALL = [each for each in examples() if each.code not in NEEDS_MORE]
MEMBERS = [each for each in ALL if members(each.before) is not None and members(each.after) is not None]
FILES = [each for each in ALL if file_of(each.before) and file_of(each.after)]


def test_every_code_has_an_example() -> None:
    """Faults of the gate have none; most examples can be run."""
    assert [each.code for each in examples() if not each.after] == ["round_fault", "internal_fault"]
    assert len(MEMBERS) + len(FILES) > 95


@pytest.mark.parametrize("example", MEMBERS, ids=lambda example: example.code)
def test_an_example_of_members_is_true(example: Example) -> None:
    """In a good record of one of the kinds, with or without a default currency."""
    tried = []
    for kind in KINDS:
        for policy in (EUROS, Policy()):
            found = [
                {one.code for one in rules(kind, policy, REFERENCE).check([document(record)]).issues.get(0, [])}
                for record in ({**SAMPLES[kind], **(members(side) or {})} for side in (example.before, example.after))
            ]
            tried.append(found)
            if example.code in found[0] and example.code not in found[1]:
                return
    pytest.fail(f"{example}: {tried}")


def test_the_examples_of_files_are_true(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each in a collection of its own."""
    wrong = []
    with Shop(tmp_path_factory.mktemp("shop"), "acme", kind="sqlite") as shop:
        for example in FILES:
            found = []
            for side, text in (("before", example.before), ("after", example.after)):
                body, options = file_of(text) or (b"", {})
                is_list = body.startswith((b"[", b'{"spring', b'{"autumn', b'{"items'))
                format = "json" if is_list else "ndjson" if body.startswith(b"{") else "csv"
                batch = shop.run(body, format=format, collection=f"{example.code}-{side}", **options)
                found.append({code for codes in shop.codes(batch.id).values() for code in codes})
            if example.code not in found[0] or example.code in found[1]:
                wrong.append((example, found))
    assert wrong == [], "\n".join(map(str, wrong))
