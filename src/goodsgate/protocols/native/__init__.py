"""Goodsgate's own protocol, under ``/v1``; see ``openapi.yaml`` in this package."""

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import WireProtocol, load_openapi
from goodsgate.http.quotas import SETTINGS as SETTINGS
from goodsgate.protocols.native.audit import AuditHandlers
from goodsgate.protocols.native.batch_queries import BatchQueryHandlers
from goodsgate.protocols.native.batches import BatchHandlers
from goodsgate.protocols.native.catalogue import CatalogueHandlers
from goodsgate.protocols.native.changes import ChangeHandlers
from goodsgate.protocols.native.destinations import DestinationHandlers
from goodsgate.protocols.native.edits import EditHandlers
from goodsgate.protocols.native.guards import GuardHandlers
from goodsgate.protocols.native.keys import KeyHandlers
from goodsgate.protocols.native.merchants import MerchantHandlers
from goodsgate.protocols.native.rules import RuleHandlers
from goodsgate.protocols.native.scorecard import ScorecardHandlers
from goodsgate.protocols.native.service import ServiceHandlers
from goodsgate.protocols.native.sources import SourceHandlers
from goodsgate.protocols.native.traffic import TrafficHandlers
from goodsgate.protocols.native.trouble import TroubleHandlers
from goodsgate.protocols.native.webhooks import WebhookHandlers
from goodsgate.protocols.native.webhooks import message_senders as message_senders


def protocol(context: ServerContext) -> WireProtocol:
    """Return the protocol with all its handlers."""
    openapi = load_openapi(__name__)
    version: str = openapi.document["info"]["version"]
    queries = BatchQueryHandlers(context, version=version)
    return WireProtocol(
        name="native",
        title="Goodsgate",
        openapi=openapi,
        handlers={
            **BatchHandlers(context).handlers(), **queries.handlers(), **CatalogueHandlers(context).handlers(),
            **ChangeHandlers(context).handlers(), **EditHandlers(context).handlers(),
            **MerchantHandlers(context).handlers(), **KeyHandlers(context).handlers(),
            **AuditHandlers(context).handlers(), **ServiceHandlers(context, openapi).handlers(),
            **RuleHandlers(context).handlers(), **GuardHandlers(context).handlers(),
            **TroubleHandlers(context).handlers(), **TrafficHandlers(context).handlers(),
            **WebhookHandlers(context).handlers(), **ScorecardHandlers(context).handlers(),
            **SourceHandlers(context).handlers(),
            **DestinationHandlers(context).handlers(),
        },
        cached_response=queries.cached_response,
        version=version,
    )
