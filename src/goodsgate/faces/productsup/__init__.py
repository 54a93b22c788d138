"""The Productsup Stream API as its clients expect it; see ``README.md`` and ``openapi.yaml`` beside this file."""

from goodsgate.faces.door import Door
from goodsgate.faces.productsup.batches import Batches
from goodsgate.faces.productsup.guesses import PREFIXES
from goodsgate.faces.productsup.streams import Management
from goodsgate.faces.productsup.wording import worded
from goodsgate.faces.routes import Face, read_contract


def face(door: Door) -> Face:
    """The face, ready to answer."""
    contract = read_contract(__name__)
    batches = Batches(door)
    return Face(
        name="productsup", title="Productsup Stream", contract=contract,
        handlers={**Management(door, contract, clear=batches.clear).handlers(), **batches.handlers()},
        wording=worded, prefixes=PREFIXES,
    )
