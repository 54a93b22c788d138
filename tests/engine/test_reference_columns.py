"""The table of columns of reference data, against everything that reads them."""

import csv
import json
from collections.abc import Callable
from typing import Any

import pytest

from goodsgate.cli.reference import STARTER
from goodsgate.engine.reference import _entry
from goodsgate.engine.reference_checks import TREE_KINDS
from goodsgate.model.catalogue import REFERENCE_KINDS, ReferenceEntry
from goodsgate.model.reference_columns import REFERENCE_COLUMNS
from goodsgate.protocols.konnect import reference_serializers
from goodsgate.protocols.konnect.reference_data import CategoryTree
from goodsgate.rules.reference_data import ReferenceData
from tests.engine.reference_data_page import PAGE, reference_data_page

COMMON = {"code", "name", "parent", "data"}


class ReadMembers(dict[str, Any]):
    """Members of an entry that remember which of them were read by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """Return the default; a member of this name would have been read."""
        self.names.add(name)
        return default


def _serialize_category(entry: ReferenceEntry) -> object:
    return reference_serializers.serialize_category(entry, CategoryTree([entry], []))


SERIALIZERS: dict[str, Callable[[ReferenceEntry], object]] = {
    "brand": reference_serializers.serialize_brand,
    "category": _serialize_category,
    "attribute": lambda entry: reference_serializers.serialize_attribute("a", entry),
    "tax_rule": lambda entry: reference_serializers.serialize_tax_rule(entry, 1),
    "hs_code": lambda entry: reference_serializers.serialize_hs_code(entry, 1),
    "department": reference_serializers.serialize_department,
    "template": reference_serializers.serialize_template,
    "location": lambda entry: entry,
}


@pytest.mark.parametrize("kind", REFERENCE_KINDS)
def test_the_columns_are_those_that_the_code_reads(kind: str, monkeypatch: pytest.MonkeyPatch):
    """No more and no fewer, by the loader, the rules and the protocols."""
    members = ReadMembers()
    entry = ReferenceEntry(code="1/a", name="a", data=members)
    SERIALIZERS[kind](entry)
    ReferenceData.build({kind: [entry]}).index(kind, by=("code",), level=1 if kind == "category" else None)
    if kind == "attribute":
        members.names |= {"category", "attribute"}  # the loader makes the code of them; see the test below
    assert {column.name for column in REFERENCE_COLUMNS[kind].columns} == members.names
    assert (kind in TREE_KINDS or kind == "attribute") == REFERENCE_COLUMNS[kind].has_parent


def test_the_loader_makes_the_code_of_an_attribute():
    """From two columns, and reads the cells of the others by their type."""
    row = {"category": "112", "attribute": "closure", "required": "yes", "allowed": "Laces|Zip", "maximum": "2"}
    entry = _entry("attribute", dict(row))
    assert (entry.code, entry.data["required"], entry.data["allowed"]) == ("112/closure", True, ["Laces", "Zip"])


def test_the_starter_set_has_documented_columns_only():
    """It is the example that people copy."""
    unknown = []
    for path in sorted(STARTER.iterdir()):
        lines = path.read_text("utf-8").splitlines()
        match path.suffix:
            case ".csv":
                names = set(next(csv.reader(lines)))
            case ".ndjson":
                names = {name for line in lines for name in json.loads(line)}
            case _:
                continue
        documented = {column.name for column in REFERENCE_COLUMNS[path.stem].columns}
        unknown += [(path.name, name) for name in names - documented - COMMON]
    assert unknown == []


def test_the_page_is_made_from_the_table():
    """`python -m tests.engine.reference_data_page` writes it."""
    assert PAGE.read_text("utf-8") == reference_data_page()
