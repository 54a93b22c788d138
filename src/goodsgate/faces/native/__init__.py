"""Goodsgate's own protocol, under ``/v1``; see ``openapi.yaml`` beside this file."""

from goodsgate.faces.door import Door
from goodsgate.faces.native.access import Access
from goodsgate.faces.native.batches import Batches
from goodsgate.faces.native.catalogue import Catalogue
from goodsgate.faces.native.polls import Polls
from goodsgate.faces.native.service import Service
from goodsgate.faces.routes import Face, read_contract


def face(door: Door) -> Face:
    """The face, ready to answer."""
    contract = read_contract(__name__)
    batches = Batches(door)
    return Face(
        name="native",
        title="Goodsgate",
        contract=contract,
        handlers={
            **batches.handlers(), **Catalogue(door).handlers(), **Access(door).handlers(),
            **Service(door, contract).handlers(),
        },
        quick=Polls(door, batches.documents).quick,
    )
