"""The protocols of the gate: one wire protocol each, over one engine.

A protocol is a folder with an ``openapi.yaml``, written first, and a function ``protocol(door)`` in its
``__init__.py``; its name is added to PROTOCOLS. MERCHANT_RULES there, if it has any, are those of its records, by
``protocol/Component``. What protocols share: `contract` (the YAML obeyed), `routes` (its operations answered), `door`
(callers, threads, bodies), `watching` (documents and waiting), `handing` (records made a batch), `refusals` (problem
documents), `pace` (requests a second), `docs` (pages).
"""

import functools
from collections.abc import Mapping
from importlib import import_module

from goodsgate.engine.outbox import Courier
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import WireProtocol, load_openapi
from goodsgate.http.known_settings import KnownSettings
from goodsgate.http.services import ProtocolServices
from goodsgate.rules import MerchantRules, Schema

PROTOCOLS = ("native", "konnect", "productsup", "justwalkout", "mircate")
"""Folders of this package, in the order in which the documentation shows them."""


def load_protocols(context: ServerContext) -> list[WireProtocol]:
    """Every protocol, ready to answer."""
    return [import_module(f"goodsgate.protocols.{name}").protocol(context) for name in PROTOCOLS]


def load_couriers(services: ProtocolServices) -> Mapping[str, Courier]:
    """Return who delivers messages of which topic (``protocol/word``): what `couriers` of each protocol returns."""
    found: dict[str, Courier] = {}
    for name in PROTOCOLS:
        offers = getattr(import_module(f"{__name__}.{name}"), "couriers", None)
        if offers is not None:
            found.update(offers(services))
    return found


@functools.cache
def load_known_settings() -> KnownSettings:
    """Return the settings of keys and merchants that the protocols declare as `SETTINGS`."""
    packages = [import_module(f"{__name__}.{name}") for name in PROTOCOLS]
    return KnownSettings(package.SETTINGS for package in packages if hasattr(package, "SETTINGS"))


@functools.cache
def load_schemas() -> Mapping[str, Schema]:
    """The schemas that policies of the protocols name, for workers."""
    found: dict[str, Schema] = {}
    for name in PROTOCOLS:
        package = f"{__name__}.{name}"
        merchant_rules: Mapping[str, MerchantRules] = getattr(import_module(package), "MERCHANT_RULES", {})
        for record, node in load_openapi(package).records(name).items():
            found[record] = Schema(node, merchant_rules=merchant_rules.get(record))
    return found
