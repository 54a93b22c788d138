"""The protocols: one wire protocol each, over one engine.

A protocol is a package with an ``openapi.yaml`` and these names in its ``__init__.py``:

- ``protocol(context)`` returns the `WireProtocol`;
- ``message_senders(services)``, optional, returns the senders of its messages, by topic;
- ``SETTINGS``, optional: the settings of keys and merchants that it reads;
- ``MERCHANT_RULES``, optional: the rules of its records, by ``protocol/Component``.

Its name is added to PROTOCOLS. The parts that protocols share are in `goodsgate.http`.
"""

import functools
from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import chain

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


class ProtocolSchemas(Mapping[str, Schema]):
    """The schemas that policies name, for workers, by ``protocol/Component``; a protocol is read when it is needed."""

    def __getitem__(self, record: str) -> Schema:
        protocol = record.partition("/")[0]
        if protocol not in PROTOCOLS:
            raise KeyError(record)
        return _schemas_of(protocol)[record]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(map(_schemas_of, PROTOCOLS))

    def __len__(self) -> int:
        return sum(len(_schemas_of(name)) for name in PROTOCOLS)


@functools.cache
def _schemas_of(protocol: str) -> Mapping[str, Schema]:
    package = f"{__name__}.{protocol}"
    merchant_rules: Mapping[str, MerchantRules] = getattr(import_module(package), "MERCHANT_RULES", {})
    return {
        record: Schema(node, merchant_rules=merchant_rules.get(record))
        for record, node in load_openapi(package).records(protocol).items()
    }
