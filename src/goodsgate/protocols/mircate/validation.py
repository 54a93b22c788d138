"""Validation of arguments against the schema of their request, with the issues of AJV, which the platform uses.

It covers the JSON Schema keywords of the protocol's contracts. The entries of an array with ``x-worked`` are records,
which are checked one by one when they are processed, and are skipped here. A number with ``x-capped`` may be larger
than its maximum, as which it then counts.
"""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from goodsgate.http.openapi import OpenApiDocument
from goodsgate.model.json_text import is_number
from goodsgate.rules.numbers import whole_number

AjvIssue = dict[str, Any]
Node = dict[str, Any]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: whole_number(value) is not None,
    "number": is_number,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def validate(value: object, node: Node, contract: OpenApiDocument) -> Iterator[AjvIssue]:
    """Yield all issues of a value, outermost first."""
    return _SchemaValidator(contract).check_value(value, node, where="", rule="#")


class _SchemaValidator:
    def __init__(self, contract: OpenApiDocument) -> None:
        self._contract = contract

    def check_value(self, value: Any, node: Node, *, where: str, rule: str) -> Iterator[AjvIssue]:
        node = self._contract.resolved(node)
        types = node.get("type", [])
        types = [types] if isinstance(types, str) else types
        if types and not any(_TYPES[type](value) for type in types):
            expected = ",".join(types)
            yield _issue(where, rule, "type", {"type": expected}, f"must be {expected}")
            return
        if "enum" in node and value not in node["enum"]:
            params = {"allowedValues": node["enum"]}
            yield _issue(where, rule, "enum", params, "must be equal to one of the allowed values")
        if isinstance(value, str):
            yield from _check_text(value, node, where=where, rule=rule)
        elif isinstance(value, dict):
            yield from self._check_object(value, node, where=where, rule=rule)
        elif isinstance(value, list):
            yield from self._check_list(value, node, where=where, rule=rule)
        elif is_number(value):
            yield from _check_bounds(value, node, where=where, rule=rule)

    def _check_object(self, value: dict[str, Any], node: Node, *, where: str, rule: str) -> Iterator[AjvIssue]:
        for name in node.get("required", ()):
            if name not in value:
                message = f"must have required property '{name}'"
                yield _issue(where, rule, "required", {"missingProperty": name}, message)
        for name, inner in node.get("properties", {}).items():
            if name in value:
                path = f"{where}/{name.replace('~', '~0').replace('/', '~1')}"
                yield from self.check_value(value[name], inner, where=path, rule=f"{rule}/properties/{name}")

    def _check_list(self, value: list[Any], node: Node, *, where: str, rule: str) -> Iterator[AjvIssue]:
        yield from _check_length(len(value), node, keywords=("minItems", "maxItems", "items"), where=where, rule=rule)
        if "items" in node and "x-worked" not in node:
            for at, entry in enumerate(value):
                yield from self.check_value(entry, node["items"], where=f"{where}/{at}", rule=f"{rule}/items")


def _check_text(value: str, node: Node, *, where: str, rule: str) -> Iterator[AjvIssue]:
    keywords = ("minLength", "maxLength", "characters")
    yield from _check_length(len(value), node, keywords=keywords, where=where, rule=rule)
    pattern = node.get("pattern")
    if pattern is not None and not re.search(pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern, value):
        yield _issue(where, rule, "pattern", {"pattern": pattern}, f'must match pattern "{pattern}"')


def _check_length(length: int, node: Node, *, keywords: tuple[str, str, str], where: str, rule: str,
                  ) -> Iterator[AjvIssue]:
    minimum, maximum, unit = keywords
    if minimum in node and length < node[minimum]:
        message = f"must NOT have fewer than {node[minimum]} {unit}"
        yield _issue(where, rule, minimum, {"limit": node[minimum]}, message)
    if maximum in node and length > node[maximum]:
        message = f"must NOT have more than {node[maximum]} {unit}"
        yield _issue(where, rule, maximum, {"limit": node[maximum]}, message)


def _check_bounds(value: int | Decimal, node: Node, *, where: str, rule: str) -> Iterator[AjvIssue]:
    for keyword, sign, is_violated in (
        ("minimum", ">=", value < node.get("minimum", value)), ("maximum", "<=", value > node.get("maximum", value)),
    ):
        if is_violated and not (keyword == "maximum" and node.get("x-capped")):
            limit = node[keyword]
            yield _issue(where, rule, keyword, {"comparison": sign, "limit": limit}, f"must be {sign} {limit}")


def _issue(where: str, rule: str, keyword: str, params: Node, message: str) -> AjvIssue:
    return {
        "instancePath": where, "schemaPath": f"{rule}/{keyword}", "keyword": keyword, "params": params,
        "message": message,
    }
