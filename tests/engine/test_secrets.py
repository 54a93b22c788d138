"""Secrets that are derived: the same again, others for others, good while their master is."""

import base64

import pytest

from goodsgate.config import ConfigError, load
from goodsgate.engine.secrets import STORED_MASTER, Secrets, UnknownMasterError, parse_masters
from tests.engine.conftest import Opens
from tests.shop import Shop

OLD, NEW = (f"{name}:{base64.b64encode(name.encode() * 8).decode()}" for name in ("old1", "new1"))


def _of(shop: Shop, *masters: str) -> Secrets:
    return Secrets(shop.store, parse_masters(",".join(masters)))


def test_the_same_again_and_others_for_others(shop: Shop) -> None:
    """By purpose, name and master; 32 bytes that do not show the master."""
    secrets = _of(shop, NEW, OLD)
    first, master = secrets.derived("link", "a")
    assert (len(first), master) == (32, "new1")
    assert _of(shop, NEW).derived("link", "a") == (first, "new1")
    others = [secrets.derived("hook", "a"), secrets.derived("link", "b"), secrets.derived("link", "a", by="old1")]
    assert len({first, *(secret for secret, _ in others)}) == 4


def test_masters_are_changed_one_after_the_other(shop: Shop) -> None:
    """What the old one made is good until it is taken out."""
    made = _of(shop, OLD).derived("link", "a")
    changed = _of(shop, NEW, OLD)
    assert changed.names == ("new1", "old1")
    assert changed.derived("link", "a")[1] == "new1"
    assert changed.derived("link", "a", by=made[1]) == made
    with pytest.raises(UnknownMasterError):
        _of(shop, NEW).derived("link", "a", by="old1")


def test_one_is_made_where_the_settings_name_none(shop: Shop, opens: Opens) -> None:
    """Once, and every process knows it; it stays good beside those that the settings name later."""
    made = shop.engine.secrets.derived("link", "a")
    assert made[1] == STORED_MASTER
    assert _of(shop).derived("link", "a") == made
    later = _of(shop, NEW)
    assert later.names == ("new1", STORED_MASTER)
    assert later.derived("link", "a", by=STORED_MASTER) == made
    assert later.derived("link", "a")[1] == "new1"


def test_a_name_that_nobody_has_makes_no_master(shop: Shop) -> None:
    """To ask by the store's is not to make it."""
    with pytest.raises(UnknownMasterError):
        _of(shop, NEW).derived("link", "a", by=STORED_MASTER)
    assert shop.store.secret("master", None) is None


@pytest.mark.parametrize("text", ["short:AAAA", "0:" + "A" * 44, "a", "A:" + "A" * 44, f"{OLD},", "a:" + "A" * 45])
def test_a_setting_that_is_none_is_refused(text: str) -> None:
    """Without the secret in what is said."""
    with pytest.raises(ConfigError) as refused:
        load(environ={"GOODSGATE_SECRETS": text})
    assert "A" * 24 not in str(refused.value)
