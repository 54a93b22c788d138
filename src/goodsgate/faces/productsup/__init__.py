"""The Productsup Stream API as its clients expect it; see ``README.md`` and ``openapi.yaml`` beside this file."""

from functools import partial

from goodsgate.faces.door import Door
from goodsgate.faces.productsup.batches import Batches
from goodsgate.faces.productsup.guesses import PREFIXES
from goodsgate.faces.productsup.rates import Rates
from goodsgate.faces.productsup.streams import Management
from goodsgate.faces.productsup.wording import worded
from goodsgate.faces.routes import Face, read_contract

UNRATED = ("openapi_yaml", "openapi_json")
"""This gate's own."""


def face(door: Door) -> Face:
    """The face, ready to answer."""
    contract = read_contract(__name__)
    batches = Batches(door)
    rates = Rates(refusing=door.config.rate_limits == "kept")
    handlers = {**Management(door, contract, clear=batches.clear).handlers(), **batches.handlers()}
    return Face(
        name="productsup", title="Productsup Stream", contract=contract,
        handlers={name: handler if name in UNRATED else rates.held(handler) for name, handler in handlers.items()},
        wording=partial(worded, rates=rates), prefixes=PREFIXES,
    )
