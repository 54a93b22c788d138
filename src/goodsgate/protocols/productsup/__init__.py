"""The Productsup Stream API; see ``README.md`` and ``openapi.yaml`` in this package."""

from collections.abc import Mapping
from functools import partial

from goodsgate.engine.outbox import MessageSender
from goodsgate.http.context import ServerContext
from goodsgate.http.context import find_secret as bearer_of
from goodsgate.http.endpoints import WireProtocol, load_openapi
from goodsgate.http.services import ProtocolServices
from goodsgate.protocols.productsup.batches import UploadHandlers
from goodsgate.protocols.productsup.imports import ScheduledImporter, UploadStartUpdater
from goodsgate.protocols.productsup.platform_api import PlatformHandlers
from goodsgate.protocols.productsup.rates import PublishedRates
from goodsgate.protocols.productsup.responses import problem_response
from goodsgate.protocols.productsup.streams import StreamHandlers
from goodsgate.protocols.productsup.unpublished import IMPORT, PREFIXES, UPDATE_STARTS

UNLIMITED = ("openapi_yaml", "openapi_json")
"""Operations that only the gate has; no rate is published for them."""


def message_senders(services: ProtocolServices) -> Mapping[str, MessageSender]:
    """Return what starts scheduled imports, and what updates streams after a change of their sites."""
    return {IMPORT: ScheduledImporter(services.store), UPDATE_STARTS: UploadStartUpdater(
        services.store, at_once=services.settings.import_streams_at_once
    )}


def protocol(context: ServerContext) -> WireProtocol:
    """Build the protocol with all its handlers."""
    contract = load_openapi(__name__)
    uploads = UploadHandlers(context)
    rates = PublishedRates(enforced=context.services.settings.rate_limits)
    handlers = {**StreamHandlers(context, contract, clear=uploads.clear).handlers(), **uploads.handlers()}
    limited = {name: handler if name in UNLIMITED else rates.limit(handler) for name, handler in handlers.items()}
    return WireProtocol(
        name="productsup", title="Productsup Stream", openapi=contract,
        handlers={**limited, **PlatformHandlers(context).handlers()},
        serialize_refusal=partial(problem_response, rates=rates), prefixes=PREFIXES, find_secret=find_secret,
    )


def find_secret(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return the secret of either API.

    These are ``Authorization: Bearer`` and ``X-Auth-Token: client:secret``, in which the client is ignored.
    """
    token = headers.get(b"x-auth-token")
    if token is not None and b"authorization" not in headers:
        return token.rpartition(b":")[2].strip()
    return bearer_of(headers)
