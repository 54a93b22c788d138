"""Amazon's Just Walk Out Catalog API; see ``README.md`` and ``openapi.yaml`` in this package."""

from collections.abc import Mapping

from goodsgate.engine.outbox import MessageSender
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import WireProtocol, load_openapi
from goodsgate.http.known_settings import DeclaredSettings, Setting
from goodsgate.http.services import ProtocolServices
from goodsgate.protocols.justwalkout import unpublished
from goodsgate.protocols.justwalkout.access import ACCOUNT, QUEUE, RequestAuthenticator
from goodsgate.protocols.justwalkout.assume_role import AssumeRoleHandlers
from goodsgate.protocols.justwalkout.catalog import CatalogHandlers
from goodsgate.protocols.justwalkout.catalogue_rules import ArchivalRules, CatalogItemRules
from goodsgate.protocols.justwalkout.notification import QueueNotifier
from goodsgate.protocols.justwalkout.report import IngestionReports
from goodsgate.protocols.justwalkout.responses import problem_response
from goodsgate.protocols.justwalkout.setup import SetupHandlers
from goodsgate.protocols.justwalkout.status import StatusHandlers
from goodsgate.protocols.justwalkout.unpublished import PREFIX, TOPIC
from goodsgate.rules import MerchantRules

MERCHANT_RULES: Mapping[str, MerchantRules] = {
    "justwalkout/CatalogItem": CatalogItemRules(),
    "justwalkout/Archival": ArchivalRules(),
}

SETTINGS = DeclaredSettings(merchants={
    ACCOUNT: Setting(description="The retailer's AWS account id.", pattern="[0-9]{12}", expected="12 digits"),
    QUEUE: Setting(
        description="ARN of the SQS queue that is notified of finished catalog uploads.", pattern=unpublished.QUEUE,
        expected="the ARN of an SQS queue, such as `arn:aws:sqs:eu-west-1:123456789012:catalog`", sends_links=True,
    ),
})


def protocol(context: ServerContext) -> WireProtocol:
    """Build the protocol with all its handlers."""
    contract = load_openapi(__name__)
    authenticator = RequestAuthenticator(context)
    reports = IngestionReports(context.services)
    return WireProtocol(
        name="justwalkout", title="Amazon Just Walk Out", openapi=contract,
        handlers={
            **CatalogHandlers(context, authenticator).handlers(),
            **StatusHandlers(context, authenticator, reports, contract).handlers(),
            **SetupHandlers(context).handlers(),
            **AssumeRoleHandlers(context, authenticator).handlers(),
        },
        serialize_refusal=problem_response, prefixes=(PREFIX,),
    )


def message_senders(services: ProtocolServices) -> Mapping[str, MessageSender]:
    """Return what delivers messages about the end of an ingestion to the merchants' queues."""
    return {TOPIC: QueueNotifier(services)}
