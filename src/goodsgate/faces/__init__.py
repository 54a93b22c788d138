"""The faces of the gate: one wire protocol each, over one engine.

A face is a folder with an ``openapi.yaml``, written first, and a function ``face(door)`` in its ``__init__.py``; its
name is added to FACES. What faces share: `contract` (the YAML obeyed), `routes` (its operations answered), `door`
(callers, threads, bodies), `watching` (documents and waiting), `refusals` (problem documents), `docs` (pages).
"""

import functools
from collections.abc import Mapping
from importlib import import_module

from goodsgate.faces.door import Door
from goodsgate.faces.routes import Face, read_contract
from goodsgate.rules import Schema

FACES = ("native", "konnect", "productsup")
"""Folders of this package, in the order in which the documentation shows them."""


def open_faces(door: Door) -> list[Face]:
    """Every face, ready to answer."""
    return [import_module(f"goodsgate.faces.{name}").face(door) for name in FACES]


@functools.cache
def open_schemas() -> Mapping[str, Schema]:
    """The schemas that policies of the faces name, for workers."""
    found: dict[str, Schema] = {}
    for name in FACES:
        records = read_contract(f"{__name__}.{name}").records(name)
        found.update((record, Schema(node)) for record, node in records.items())
    return found
