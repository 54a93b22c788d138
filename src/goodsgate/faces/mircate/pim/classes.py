"""All operations of product information, put together."""

from goodsgate.faces.contract import Contract
from goodsgate.faces.mircate.pim.attaching import Attaching
from goodsgate.faces.mircate.pim.images import Images
from goodsgate.faces.mircate.pim.keeping import Keeping
from goodsgate.faces.mircate.pim.law import Bylaws
from goodsgate.faces.mircate.pim.listing import Listing
from goodsgate.faces.mircate.pim.products import Products
from goodsgate.faces.mircate.pim.settings import Settings
from goodsgate.faces.mircate.pim.shared import Datasets, GlobalProducts
from goodsgate.faces.mircate.transport import Method, Transport

_BYLAWS = Bylaws()
BYLAWS = {"mircate/ProductRecord": _BYLAWS, "mircate/ProductRemoval": _BYLAWS}
"""Of the records of products, for workers."""


def pim_methods(transport: Transport, contract: Contract) -> dict[str, Method]:
    """By operation id."""
    door = transport.door
    keeping = Keeping(door.store)
    images = Images(door, keeping)
    products = Products(door)
    return {
        **products.methods(), **Listing(door, keeping).methods(), **Settings(keeping, contract).methods(),
        **images.methods(), **Attaching(door, transport, keeping, images, products).methods(),
        **GlobalProducts(door).methods(), **Datasets(door).methods(),
    }
