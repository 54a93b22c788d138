"""The protocols: one wire protocol each, over one engine.

A protocol is a package with an ``openapi.yaml`` and these names in its ``__init__.py``:

- ``protocol(context)`` returns the `WireProtocol`;
- ``message_senders(services)``, optional, returns the senders of its messages, by topic;
- ``SETTINGS``, optional: the settings of keys and merchants that it reads;
- ``MERCHANT_RULES``, optional: the rules of its records, by ``protocol/Component``.

Its name is added to PROTOCOLS. The parts that protocols share are in `goodsgate.http`.
"""

import functools
from collections.abc import Mapping
from importlib import import_module

from goodsgate.engine.outbox import MessageSender
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import WireProtocol, load_openapi
from goodsgate.http.known_settings import KnownSettings
from goodsgate.http.services import ProtocolServices
from goodsgate.rules import MerchantRules, Schema

PROTOCOLS = ("native", "konnect", "productsup", "justwalkout", "mircate")
"""Subpackages, in the order of the documentation."""


def load_protocols(context: ServerContext) -> list[WireProtocol]:
    """Return every protocol."""
    return [import_module(f"goodsgate.protocols.{name}").protocol(context) for name in PROTOCOLS]


def load_message_senders(services: ProtocolServices) -> Mapping[str, MessageSender]:
    """Return the message senders of all protocols by topic (``protocol/word``)."""
    senders: dict[str, MessageSender] = {}
    for name in PROTOCOLS:
        package = import_module(f"{__name__}.{name}")
        if hasattr(package, "message_senders"):
            senders.update(package.message_senders(services))
    return senders


@functools.cache
def load_known_settings() -> KnownSettings:
    """Return the settings of keys and merchants that the protocols declare as `SETTINGS`."""
    packages = [import_module(f"{__name__}.{name}") for name in PROTOCOLS]
    return KnownSettings(package.SETTINGS for package in packages if hasattr(package, "SETTINGS"))


@functools.cache
def load_schemas() -> Mapping[str, Schema]:
    """Return the schemas that policies of the protocols name, for workers."""
    schemas: dict[str, Schema] = {}
    for name in PROTOCOLS:
        package = f"{__name__}.{name}"
        merchant_rules: Mapping[str, MerchantRules] = getattr(import_module(package), "MERCHANT_RULES", {})
        for record, node in load_openapi(package).records(name).items():
            schemas[record] = Schema(node, merchant_rules=merchant_rules.get(record))
    return schemas
