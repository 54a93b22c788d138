"""Arguments against the schema of their request, with issues as AJV words them, which the platform validates with.

Obeyed are the words of JSON Schema that the protocol's contracts use. An array with ``x-worked`` is not looked into:
its entries are records, each of which is judged for itself when it is worked.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from goodsgate.http.openapi import OpenApiDocument

Issue = dict[str, Any]
Node = dict[str, Any]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: (
        not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def issues_of(value: object, node: Node, contract: OpenApiDocument) -> Iterator[Issue]:
    """Everything that is wrong with the value, outermost first."""
    return _Looking(contract).at(value, node, where="", rule="#")


class _Looking:
    def __init__(self, contract: OpenApiDocument) -> None:
        self._contract = contract

    def at(self, value: Any, node: Node, *, where: str, rule: str) -> Iterator[Issue]:
        node = self._contract.resolved(node)
        kinds = node.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds and not any(_TYPES[kind](value) for kind in kinds):
            told = ",".join(kinds)
            yield _issue(where, rule, "type", {"type": told}, f"must be {told}")
            return
        if "enum" in node and value not in node["enum"]:
            params = {"allowedValues": node["enum"]}
            yield _issue(where, rule, "enum", params, "must be equal to one of the allowed values")
        if isinstance(value, str):
            yield from _text(value, node, where=where, rule=rule)
        elif isinstance(value, dict):
            yield from self._object(value, node, where=where, rule=rule)
        elif isinstance(value, list):
            yield from self._list(value, node, where=where, rule=rule)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield from _bounds(value, node, where=where, rule=rule)

    def _object(self, value: dict[str, Any], node: Node, *, where: str, rule: str) -> Iterator[Issue]:
        for name in node.get("required", ()):
            if name not in value:
                message = f"must have required property '{name}'"
                yield _issue(where, rule, "required", {"missingProperty": name}, message)
        for name, inner in node.get("properties", {}).items():
            if name in value:
                place = f"{where}/{name.replace('~', '~0').replace('/', '~1')}"
                yield from self.at(value[name], inner, where=place, rule=f"{rule}/properties/{name}")

    def _list(self, value: list[Any], node: Node, *, where: str, rule: str) -> Iterator[Issue]:
        yield from _length(len(value), node, words=("minItems", "maxItems", "items"), where=where, rule=rule)
        if "items" in node and "x-worked" not in node:
            for at, entry in enumerate(value):
                yield from self.at(entry, node["items"], where=f"{where}/{at}", rule=f"{rule}/items")


def _text(value: str, node: Node, *, where: str, rule: str) -> Iterator[Issue]:
    yield from _length(len(value), node, words=("minLength", "maxLength", "characters"), where=where, rule=rule)
    pattern = node.get("pattern")
    if pattern is not None and not re.search(pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern, value):
        yield _issue(where, rule, "pattern", {"pattern": pattern}, f'must match pattern "{pattern}"')


def _length(length: int, node: Node, *, words: tuple[str, str, str], where: str, rule: str) -> Iterator[Issue]:
    least, most, unit = words
    if least in node and length < node[least]:
        message = f"must NOT have fewer than {node[least]} {unit}"
        yield _issue(where, rule, least, {"limit": node[least]}, message)
    if most in node and length > node[most]:
        yield _issue(where, rule, most, {"limit": node[most]}, f"must NOT have more than {node[most]} {unit}")


def _bounds(value: float, node: Node, *, where: str, rule: str) -> Iterator[Issue]:
    for word, sign, broken in (
        ("minimum", ">=", value < node.get("minimum", value)), ("maximum", "<=", value > node.get("maximum", value)),
    ):
        if broken:
            limit = node[word]
            yield _issue(where, rule, word, {"comparison": sign, "limit": limit}, f"must be {sign} {limit}")


def _issue(where: str, rule: str, keyword: str, params: Node, message: str) -> Issue:
    return {
        "instancePath": where, "schemaPath": f"{rule}/{keyword}", "keyword": keyword, "params": params,
        "message": message,
    }
