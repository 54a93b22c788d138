"""The faces of the gate: one wire protocol each, over one engine.

A face is a folder with an ``openapi.yaml``, written first, and a function ``face(door)`` in its ``__init__.py``; its
name is added to FACES. BYLAWS there, if it has any, are those of its records, by ``face/Component``. What faces share:
`contract` (the YAML obeyed), `routes` (its operations answered), `door` (callers, threads, bodies), `watching`
(documents and waiting), `handing` (records made a batch), `refusals` (problem documents), `pace` (requests a second),
`docs` (pages).
"""

import functools
from collections.abc import Mapping
from importlib import import_module

from goodsgate.config import Config
from goodsgate.engine.outbox import Courier
from goodsgate.faces.door import Door
from goodsgate.faces.routes import Face, read_contract
from goodsgate.rules import Bylaws, Schema
from goodsgate.store.contract import Store

FACES = ("native", "konnect", "productsup", "justwalkout", "mircate")
"""Folders of this package, in the order in which the documentation shows them."""


def open_faces(door: Door) -> list[Face]:
    """Every face, ready to answer."""
    return [import_module(f"goodsgate.faces.{name}").face(door) for name in FACES]


def open_couriers(config: Config, store: Store) -> Mapping[str, Courier]:
    """Who carries messages of which topic (``face/word``); a face has them if it has a function `couriers`."""
    found: dict[str, Courier] = {}
    for name in FACES:
        offers = getattr(import_module(f"{__name__}.{name}"), "couriers", None)
        if offers is not None:
            found.update(offers(config, store))
    return found


@functools.cache
def open_schemas() -> Mapping[str, Schema]:
    """The schemas that policies of the faces name, for workers."""
    found: dict[str, Schema] = {}
    for name in FACES:
        package = f"{__name__}.{name}"
        bylaws: Mapping[str, Bylaws] = getattr(import_module(package), "BYLAWS", {})
        for record, node in read_contract(package).records(name).items():
            found[record] = Schema(node, bylaws=bylaws.get(record))
    return found
