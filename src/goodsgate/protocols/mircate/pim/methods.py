"""All operations of product information management."""

from goodsgate.http.openapi import OpenApiDocument
from goodsgate.protocols.mircate.dispatcher import CallDispatcher, CallMethod
from goodsgate.protocols.mircate.pim.configuration_methods import ConfigurationMethods
from goodsgate.protocols.mircate.pim.configuration_store import ConfigurationStore
from goodsgate.protocols.mircate.pim.datasets import DatasetMethods
from goodsgate.protocols.mircate.pim.global_products import GlobalProductMethods
from goodsgate.protocols.mircate.pim.images import ImageMethods
from goodsgate.protocols.mircate.pim.listing import ProductListing
from goodsgate.protocols.mircate.pim.product_images import ProductImageMethods
from goodsgate.protocols.mircate.pim.product_rules import PimRules
from goodsgate.protocols.mircate.pim.products import ProductMethods

_MERCHANT_RULES = PimRules()
MERCHANT_RULES = {"mircate/ProductRecord": _MERCHANT_RULES, "mircate/ProductRemoval": _MERCHANT_RULES}
"""The rules by record type, for workers."""


def pim_methods(dispatcher: CallDispatcher, contract: OpenApiDocument) -> dict[str, CallMethod]:
    """Return the methods by operation id."""
    context = dispatcher.context
    configurations = ConfigurationStore(context.store)
    images = ImageMethods(context, configurations)
    products = ProductMethods(context)
    return {
        **products.methods(), **ProductListing(context, configurations).methods(),
        **ConfigurationMethods(configurations, contract).methods(),
        **images.methods(), **ProductImageMethods(context, dispatcher, configurations, images, products).methods(),
        **GlobalProductMethods(context).methods(), **DatasetMethods(context).methods(),
    }
