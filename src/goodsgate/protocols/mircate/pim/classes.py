"""All operations of product information, put together."""

from goodsgate.http.openapi import OpenApiDocument
from goodsgate.protocols.mircate.pim.attaching import Attaching
from goodsgate.protocols.mircate.pim.images import Images
from goodsgate.protocols.mircate.pim.keeping import Keeping
from goodsgate.protocols.mircate.pim.listing import Listing
from goodsgate.protocols.mircate.pim.product_rules import PimRules
from goodsgate.protocols.mircate.pim.products import Products
from goodsgate.protocols.mircate.pim.settings import Settings
from goodsgate.protocols.mircate.pim.shared import Datasets, GlobalProducts
from goodsgate.protocols.mircate.transport import Method, Transport

_MERCHANT_RULES = PimRules()
MERCHANT_RULES = {"mircate/ProductRecord": _MERCHANT_RULES, "mircate/ProductRemoval": _MERCHANT_RULES}
"""Of the records of products, for workers."""


def pim_methods(transport: Transport, contract: OpenApiDocument) -> dict[str, Method]:
    """By operation id."""
    context = transport.context
    keeping = Keeping(context.store)
    images = Images(context, keeping)
    products = Products(context)
    return {
        **products.methods(), **Listing(context, keeping).methods(), **Settings(keeping, contract).methods(),
        **images.methods(), **Attaching(context, transport, keeping, images, products).methods(),
        **GlobalProducts(context).methods(), **Datasets(context).methods(),
    }
