"""Settings of keys and merchants, declared by the protocols that read them and checked before they are stored."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.model.nearest import nearest_name


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of a key or a merchant that one protocol reads."""

    description: str
    pattern: str
    """Regular expression of the whole value."""
    expected: str
    """Description of the values that are allowed, such as ``12 digits``."""
    sends_links: bool = False
    """Whether the gate sends links to where the setting says, so that it must know its public URL."""


class DeclaredSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that one protocol reads, by name."""

    keys: Mapping[str, Setting] = {}
    merchants: Mapping[str, Setting] = {}


class KnownSettings:
    """The settings of keys and of merchants that the protocols know."""

    def __init__(self, protocols: Iterable[DeclaredSettings]) -> None:
        self.keys: dict[str, Setting] = {}
        self.merchants: dict[str, Setting] = {}
        for protocol in protocols:
            for table, names in ((self.keys, protocol.keys), (self.merchants, protocol.merchants)):
                assert not table.keys() & names.keys(), f"two protocols declare {table.keys() & names.keys()}"
                table.update(names)

    def check_key(self, settings: Mapping[str, str]) -> None:
        """Check settings of a key. Raises Refusal: setting_unknown, setting_invalid."""
        self._check("keys", settings)

    def check_merchant(self, settings: Mapping[str, str]) -> None:
        """Check settings of a merchant, where an empty value removes one. Raises Refusal as `check_key` does."""
        self._check("merchants", settings, removable=True)

    def _check(self, owner: str, settings: Mapping[str, str], *, removable: bool = False) -> None:
        known = self.keys if owner == "keys" else self.merchants
        for name, value in settings.items():
            setting = known.get(name)
            if setting is None:
                raise self._unknown(owner, name)
            if not re.fullmatch(setting.pattern, value) and (value or not removable):
                detail = f"The setting `{name}` must be {setting.expected}."
                raise Refusal("setting_invalid", detail, setting=name, expected=setting.expected)

    def _unknown(self, owner: str, name: str) -> Refusal:
        known, others, other_owner = (
            (self.keys, self.merchants, "merchants") if owner == "keys" else (self.merchants, self.keys, "keys")
        )
        allowed = sorted(known)
        if name in others:
            detail = f"`{name}` is a setting of {other_owner}, not of {owner}."
            return Refusal("setting_unknown", detail, setting=name, allowed=allowed)
        nearest = nearest_name(name, allowed)
        if nearest is None:
            detail = f"Unknown setting `{name}`; the settings of {owner} are {', '.join(allowed)}."
            return Refusal("setting_unknown", detail, setting=name, allowed=allowed)
        detail = f"Unknown setting `{name}`; did you mean `{nearest}`?"
        return Refusal("setting_unknown", detail, setting=name, suggestion=nearest, allowed=allowed)
