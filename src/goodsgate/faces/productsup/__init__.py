"""The Productsup Stream API as its clients expect it; see ``README.md`` and ``openapi.yaml`` beside this file."""

from collections.abc import Mapping
from functools import partial

from goodsgate.config import Config
from goodsgate.engine.outbox import Courier
from goodsgate.faces.door import Door
from goodsgate.faces.door import secret_of as bearer_of
from goodsgate.faces.productsup.batches import Batches
from goodsgate.faces.productsup.guesses import IMPORT, PREFIXES, SETTLE
from goodsgate.faces.productsup.imports import Clock, Settler
from goodsgate.faces.productsup.platform import Platform
from goodsgate.faces.productsup.rates import Rates
from goodsgate.faces.productsup.streams import Management
from goodsgate.faces.productsup.wording import worded
from goodsgate.faces.routes import Face, read_contract
from goodsgate.store.contract import Store

UNRATED = ("openapi_yaml", "openapi_json")
"""This gate's own."""


def couriers(_: Config, store: Store) -> Mapping[str, Courier]:
    """Who imports sites when their time has come, and settles what their changes mean for streams."""
    return {IMPORT: Clock(store), SETTLE: Settler(store)}


def face(door: Door) -> Face:
    """The face, ready to answer."""
    contract = read_contract(__name__)
    batches = Batches(door)
    rates = Rates(refusing=door.config.rate_limits == "kept")
    handlers = {**Management(door, contract, clear=batches.clear).handlers(), **batches.handlers()}
    rated = {name: handler if name in UNRATED else rates.held(handler) for name, handler in handlers.items()}
    return Face(
        name="productsup", title="Productsup Stream", contract=contract,
        handlers={**rated, **Platform(door).handlers()}, wording=partial(worded, rates=rates), prefixes=PREFIXES,
        secret_of=secret_of,
    )


def secret_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Of either API: ``Authorization: Bearer`` or ``X-Auth-Token: client:secret``, where the client does not matter."""
    token = headers.get(b"x-auth-token")
    if token is not None and b"authorization" not in headers:
        return token.rpartition(b":")[2].strip()
    return bearer_of(headers)
