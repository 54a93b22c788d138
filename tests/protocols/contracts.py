"""What every protocol's contract is held to: the routes that are served, the components that are named."""

from collections.abc import Iterator
from typing import Any

from goodsgate.http.endpoints import Endpoint
from goodsgate.http.openapi import OpenApiDocument
from tests.served import Served


def nodes(node: Any) -> Iterator[Any]:
    """The node and all below it."""
    yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(inner)


def served(gate: Served, protocol: str) -> set[tuple[str, str]]:
    """Path and operation of everything that the running protocol answers."""
    endpoints = [route.endpoint for route in gate.application.router.routes if isinstance(route.endpoint, Endpoint)]
    return {(endpoint.template,
        name) for endpoint in endpoints if endpoint.protocol == protocol for name in endpoint.handlers}


def promised(contract: OpenApiDocument) -> set[tuple[str, str]]:
    """The same of the contract."""
    return {(path.template, operation.id) for path in contract.paths for operation in path.operations.values()}


def named(contract: OpenApiDocument) -> set[str]:
    """References that stand anywhere in it."""
    return {node["$ref"] for node in nodes(contract.document) if isinstance(node, dict) and "$ref" in node}


def held(contract: OpenApiDocument) -> set[str]:
    """References to all components that there are."""
    return {
        f"#/components/{kind}/{name}" for kind, each in contract.document["components"].items()
        if kind != "securitySchemes" for name in each
    }
