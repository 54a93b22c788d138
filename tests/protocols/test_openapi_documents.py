"""The served OpenAPI documents of all protocols, as strict validators and generators read them."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from goodsgate.http.endpoints import load_openapi

PROTOCOLS = ("native", "konnect", "productsup", "justwalkout", "mircate")
DRAFT = "https://json-schema.org/draft/2020-12/schema"
"""The JSON Schema of OpenAPI 3.1."""
SCHEMA_MEMBERS = ("items", "additionalProperties", "schema")
SCHEMA_LISTS = ("allOf", "anyOf", "oneOf")


def _schemas(node: Any, path: str = "", *, is_schema: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield every schema of a document, or of a schema, with its path."""
    if is_schema:
        yield path, node
    for name, inner in node.items() if isinstance(node, dict) else ():
        if name in ("example", "examples", "default", "enum", "const") or str(name).startswith("x-"):
            continue
        if name in ("properties", "schemas") and isinstance(inner, dict):
            for key, each in inner.items():
                yield from _schemas(each, f"{path}/{name}/{key}", is_schema=True)
        elif isinstance(inner, list):
            for place, each in enumerate(inner):
                yield from _schemas(each, f"{path}/{name}/{place}", is_schema=name in SCHEMA_LISTS)
        else:
            yield from _schemas(inner, f"{path}/{name}", is_schema=name in SCHEMA_MEMBERS)


def _references(node: Any) -> Iterator[str]:
    """Yield every `$ref` below a node."""
    for name, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if name == "$ref":
            yield inner
        yield from _references(inner)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_schema_is_valid_and_every_array_has_items(name: str) -> None:
    """A comma in a text without quotation marks makes a member of the rest of the text, for example."""
    document = load_openapi(f"goodsgate.protocols.{name}").document
    schemas = [*_schemas(document)]
    assert len(schemas) > 50
    wrong = [path for path, schema in schemas if not isinstance(schema, dict | bool)]
    assert not wrong
    for path, schema in schemas:
        if isinstance(schema, dict):
            types = schema.get("type", ())
            assert "array" not in ([types] if isinstance(types, str) else types) or "items" in schema, path
            described = {"properties", "additionalProperties", *SCHEMA_LISTS}
            assert types != "object" or schema.keys() & described, f"{path}: generators make it an empty object"
            unknown = [member for member in schema if " " in member or (schema[member] is None and member != "default")]
            assert not unknown, (path, unknown)
    for path, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({**schema, "$schema": DRAFT}), path


@pytest.mark.parametrize("name", PROTOCOLS)
def test_references_lead_somewhere_and_internal_members_hold_none(name: str) -> None:
    """Generators follow references everywhere; those of internal members would make them recurse."""
    contract = load_openapi(f"goodsgate.protocols.{name}")
    assert all(isinstance(contract.resolved({"$ref": target}), dict) for target in _references(contract.document))
    schemas = contract.document["components"]["schemas"].values()
    assert [*_references([schema.get("x-record") for schema in schemas])] == []
