"""Operations and components of a protocol's contract, and the operations that a gate serves."""

from collections.abc import Iterator
from typing import Any

from goodsgate.http.endpoints import Endpoint
from goodsgate.http.openapi import OpenApiDocument
from tests.http_gate import HttpGate


def nodes(node: Any) -> Iterator[Any]:
    """Yield a node and all nodes below it."""
    yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(inner)


def served_operations(gate: HttpGate, protocol: str) -> set[tuple[str, str]]:
    """Return the path and operation id of everything that the running protocol answers."""
    endpoints = [route.endpoint for route in gate.application.router.routes if isinstance(route.endpoint, Endpoint)]
    return {
        (endpoint.template, name)
        for endpoint in endpoints if endpoint.protocol == protocol for name in endpoint.handlers
    }


def declared_operations(contract: OpenApiDocument) -> set[tuple[str, str]]:
    """Return the path and operation id of everything in the contract."""
    return {(path.template, operation.id) for path in contract.paths for operation in path.operations.values()}


def used_references(contract: OpenApiDocument) -> set[str]:
    """Return all references in the contract."""
    return {node["$ref"] for node in nodes(contract.document) if isinstance(node, dict) and "$ref" in node}


def defined_references(contract: OpenApiDocument) -> set[str]:
    """Return references to all components of the contract."""
    return {
        f"#/components/{kind}/{name}" for kind, each in contract.document["components"].items()
        if kind != "securitySchemes" for name in each
    }
