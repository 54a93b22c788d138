"""Amazon's Just Walk Out Catalog API as its clients expect it; see ``README.md`` and ``openapi.yaml`` here."""

from collections.abc import Mapping

from goodsgate.engine.outbox import Courier
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import WireProtocol, read_contract
from goodsgate.http.services import ProtocolServices
from goodsgate.protocols.justwalkout import notification
from goodsgate.protocols.justwalkout.access import Gateway
from goodsgate.protocols.justwalkout.catalog import Catalog
from goodsgate.protocols.justwalkout.catalogue_rules import ArchivalRules, ItemRules
from goodsgate.protocols.justwalkout.guesses import PREFIX, TOPIC
from goodsgate.protocols.justwalkout.refusals import problem_response
from goodsgate.protocols.justwalkout.report import Reports
from goodsgate.protocols.justwalkout.setup import Setups
from goodsgate.protocols.justwalkout.status import Statuses
from goodsgate.rules import MerchantRules

MERCHANT_RULES: Mapping[str, MerchantRules] = {"justwalkout/CatalogItem": ItemRules(),
    "justwalkout/Archival": ArchivalRules()}


def protocol(context: ServerContext) -> WireProtocol:
    """The protocol, ready to answer."""
    contract = read_contract(__name__)
    gateway = Gateway(context)
    reports = Reports(context.store, context.engine.secrets, context.config)
    return WireProtocol(
        name="justwalkout", title="Amazon Just Walk Out", contract=contract,
        handlers={
            **Catalog(context, gateway).handlers(), **Statuses(context, gateway, reports, contract).handlers(),
            **Setups(context).handlers(),
        },
        serialize_refusal=problem_response, prefixes=(PREFIX,),
    )


def couriers(services: ProtocolServices) -> Mapping[str, Courier]:
    """Who tells the queues of merchants."""
    return {TOPIC: notification.Courier(services.config, services.store)}
