"""The Productsup Stream API as its clients expect it; see ``README.md`` and ``openapi.yaml`` beside this file."""

from collections.abc import Mapping
from functools import partial

from goodsgate.engine.outbox import Courier
from goodsgate.http.context import ServerContext
from goodsgate.http.context import find_secret as bearer_of
from goodsgate.http.endpoints import WireProtocol, load_openapi
from goodsgate.http.services import ProtocolServices
from goodsgate.protocols.productsup.batches import Batches
from goodsgate.protocols.productsup.guesses import IMPORT, PREFIXES, SETTLE
from goodsgate.protocols.productsup.imports import Clock, Settler
from goodsgate.protocols.productsup.platform import Platform
from goodsgate.protocols.productsup.rates import Rates
from goodsgate.protocols.productsup.refusals import problem_response
from goodsgate.protocols.productsup.streams import Management

UNRATED = ("openapi_yaml", "openapi_json")
"""This gate's own."""


def couriers(services: ProtocolServices) -> Mapping[str, Courier]:
    """Who imports sites when their time has come, and settles what their changes mean for streams."""
    return {IMPORT: Clock(services.store), SETTLE: Settler(services.store)}


def protocol(context: ServerContext) -> WireProtocol:
    """The protocol, ready to answer."""
    contract = load_openapi(__name__)
    batches = Batches(context)
    rates = Rates(refusing=context.config.rate_limits == "on")
    handlers = {**Management(context, contract, clear=batches.clear).handlers(), **batches.handlers()}
    rated = {name: handler if name in UNRATED else rates.held(handler) for name, handler in handlers.items()}
    return WireProtocol(
        name="productsup", title="Productsup Stream", openapi=contract,
        handlers={**rated, **Platform(context).handlers()}, serialize_refusal=partial(problem_response, rates=rates),
        prefixes=PREFIXES,
        find_secret=find_secret,
    )


def find_secret(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Of either API: ``Authorization: Bearer`` or ``X-Auth-Token: client:secret``, where the client does not matter."""
    token = headers.get(b"x-auth-token")
    if token is not None and b"authorization" not in headers:
        return token.rpartition(b":")[2].strip()
    return bearer_of(headers)
