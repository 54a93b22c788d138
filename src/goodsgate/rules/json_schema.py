"""JSON Schemas of merchants (2020-12), with bounded cost.

A schema without references is a tree, so that each of its nodes looks at each part of a record once at most; its
patterns take linear time, because they may not look around or back. `unevaluatedProperties` and its like look at parts
again, and references can double the work with every step, so that both are refused.
"""

from collections.abc import Iterable
from typing import Any

from goodsgate.model.extras import needed_extra
from goodsgate.rules.context import pointer

SCHEMA_NODES_MAX = 1_000
DEPTH_MAX = 50
COST_MAX = 10_000_000
"""Most pairs of a node of the schema and a byte of a record: some tenths of a second."""
PAIRS_MAX = 5_000
"""Most pairs of a node of the schema and a value of a record for which the library finds all errors, not only one."""
ERRORS_MAX = 5
"""Errors of one record that are reported."""
MESSAGE_CHARACTERS_MAX = 500
REFUSED = frozenset({
    "$ref", "$dynamicRef", "$recursiveRef", "$dynamicAnchor", "unevaluatedItems", "unevaluatedProperties",
})
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_PATTERN_BYTES_MAX = 1024 * 1024


class JsonSchemaError(ValueError):
    """A schema cannot be used; the message says why."""


class JsonSchema:
    """A compiled schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        """Compile the schema. Raises JsonSchemaError, ExtraMissingError."""
        with needed_extra("rules", "A rule"):
            import jsonschema_rs  # with the first schema, since few merchants have any

        self._nodes = _count_nodes(schema)
        if schema.get("$schema", _DRAFT).rstrip("#") != _DRAFT:
            raise JsonSchemaError(f"$schema must be {_DRAFT}")
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                schema, validate_formats=False,
                pattern_options=jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES_MAX),
            )
        except Exception as fault:
            path = "/".join(map(str, getattr(fault, "instance_path", ())))
            reason = str(getattr(fault, "message", fault)).splitlines()[0]
            raise JsonSchemaError(f"{path}: {reason}" if path else reason) from fault

    def fits(self, document: bytes) -> bool:
        """Return whether the schema is certain to be checked soon."""
        return self._nodes * len(document) <= COST_MAX

    def holds(self, record: dict[str, Any]) -> bool:
        """Return whether the record is valid."""
        return self._validator.is_valid(record)

    def errors(self, record: dict[str, Any], document: bytes) -> list[tuple[str, object, str]]:
        """Return path, value and message of the first errors; of a large record only the first one."""
        import jsonschema_rs

        errors: Iterable[Any] = ()
        if self._nodes * document.count(b",") <= PAIRS_MAX:
            errors = self._validator.iter_errors(record)
        else:
            try:
                self._validator.validate(record)
            except jsonschema_rs.ValidationError as first:
                errors = [first]
        found: list[tuple[str, object, str]] = []
        for error in errors:
            path = ""
            for step in error.instance_path:
                path = pointer(path, str(step))
            found.append((path, error.instance if path else None, error.message[:MESSAGE_CHARACTERS_MAX]))
            if len(found) == ERRORS_MAX:
                break
        return found


def _count_nodes(schema: object) -> int:
    """Return the number of members and entries. Raises JsonSchemaError for what is refused."""
    nodes, pending = 0, [(schema, 0)]
    while pending:
        each, depth = pending.pop()
        nodes += 1
        if depth > DEPTH_MAX:
            raise JsonSchemaError(f"the schema is nested more than {DEPTH_MAX} deep")
        if nodes > SCHEMA_NODES_MAX:
            raise JsonSchemaError(f"the schema has more than {SCHEMA_NODES_MAX:,} members and entries")
        if isinstance(each, dict):
            if named := REFUSED & each.keys():
                raise JsonSchemaError(f"{min(named)} is not supported: write out what it refers to")
            pending.extend((inner, depth + 1) for inner in each.values())
        elif isinstance(each, list):
            pending.extend((inner, depth + 1) for inner in each)
    return nodes
