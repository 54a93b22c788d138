"""Limits of reading."""

from goodsgate.config import Config
from goodsgate.formats import Limits


def test_default_limits_are_those_of_the_settings() -> None:
    """A reader built without settings behaves like one of a gate with default settings."""
    assert Limits() == Limits(**{name: getattr(Config(), name) for name in Limits.__struct_fields__})
