"""Goodsgate's own protocol, under ``/v1``; see ``openapi.yaml`` beside this file."""

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import WireProtocol, load_openapi
from goodsgate.protocols.native.access import Access
from goodsgate.protocols.native.batches import Batches
from goodsgate.protocols.native.catalogue import Catalogue
from goodsgate.protocols.native.polls import Polls
from goodsgate.protocols.native.service import Service


def protocol(context: ServerContext) -> WireProtocol:
    """The protocol, ready to answer."""
    contract = load_openapi(__name__)
    batches = Batches(context)
    return WireProtocol(
        name="native",
        title="Goodsgate",
        openapi=contract,
        handlers={
            **batches.handlers(), **Catalogue(context).handlers(), **Access(context).handlers(),
            **Service(context, contract).handlers(),
        },
        cached_response=Polls(context, batches.documents).cached_response,
    )
