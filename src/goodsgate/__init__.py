"""Goodsgate: the goods-in gate for product data."""

__version__ = "0.2.0"
