"""Amazon's Just Walk Out Catalog API as its clients expect it; see ``README.md`` and ``openapi.yaml`` here."""

from collections.abc import Mapping

from goodsgate.config import Config
from goodsgate.engine.outbox import Courier
from goodsgate.faces.door import Door
from goodsgate.faces.justwalkout import notification
from goodsgate.faces.justwalkout.access import Gateway
from goodsgate.faces.justwalkout.catalog import Catalog
from goodsgate.faces.justwalkout.guesses import PREFIX, TOPIC
from goodsgate.faces.justwalkout.laws import ArchivalLaws, ItemLaws
from goodsgate.faces.justwalkout.report import Reports
from goodsgate.faces.justwalkout.setup import Setups
from goodsgate.faces.justwalkout.status import Statuses
from goodsgate.faces.justwalkout.wording import worded
from goodsgate.faces.routes import Face, read_contract
from goodsgate.rules import Bylaws
from goodsgate.store.contract import Store

BYLAWS: Mapping[str, Bylaws] = {"justwalkout/CatalogItem": ItemLaws(), "justwalkout/Archival": ArchivalLaws()}


def face(door: Door) -> Face:
    """The face, ready to answer."""
    contract = read_contract(__name__)
    gateway = Gateway(door)
    reports = Reports(door.store, door.engine.secrets, door.config)
    return Face(
        name="justwalkout", title="Amazon Just Walk Out", contract=contract,
        handlers={
            **Catalog(door, gateway).handlers(), **Statuses(door, gateway, reports, contract).handlers(),
            **Setups(door).handlers(),
        },
        wording=worded, prefixes=(PREFIX,),
    )


def couriers(config: Config, store: Store) -> Mapping[str, Courier]:
    """Who tells the queues of merchants."""
    return {TOPIC: notification.Courier(config, store)}
