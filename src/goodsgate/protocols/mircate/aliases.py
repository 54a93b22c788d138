"""Other names of classes, methods and members of their bodies: the setting ``call_aliases``.

An alias is ``other name=known name``, the known name being that of ``openapi.yaml``. The other name of a member is its
path, through lists as well: ``MerchantAPI/receiveStock.products.quantity=stock``, or ``MerchantAPI.items=products`` for
all methods of a class.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from goodsgate.http.openapi import Path
from goodsgate.protocols.mircate.unpublished import ALIASES

CALL = "/CALL/"
STEP = "."


class MemberAlias(msgspec.Struct, frozen=True, kw_only=True):
    """Another name of a member."""

    path: tuple[str, ...]
    """Known names of the members around it, and its other name."""
    known: str

    def rename(self, value: Any) -> Any:
        """Return arguments in which the member has its known name, unless they have that already."""
        return _rename(value, self.path, self.known)


def _rename(value: Any, path: tuple[str, ...], known: str) -> Any:
    if isinstance(value, list):
        return [_rename(entry, path, known) for entry in value]
    name, *below = path
    if not isinstance(value, dict) or name not in value:
        return value
    if below:
        return {**value, name: _rename(value[name], tuple(below), known)}
    if known in value:
        return value
    return {known if member == name else member: inner for member, inner in value.items()}


def with_call_aliases(paths: list[Path], setting: str) -> list[Path]:
    """Return the paths, preceded by copies for other names of classes and methods."""
    copies = []
    for name, target in {**ALIASES, **dict(_split(setting, members=False))}.items():
        for path in paths:
            if target in _call_names(path.template):
                template = path.template.replace(f"{CALL}{target}/", f"{CALL}{name}/")
                copies.append(msgspec.structs.replace(path, template=template))
    return [*copies, *paths]


def member_aliases(paths: list[Path], setting: str) -> Mapping[str, list[MemberAlias]]:
    """Return the aliases of members by the id of the POST operation, outer members first."""
    aliases: dict[str, list[MemberAlias]] = {}
    for name, known in _split(setting, members=True):
        target, *members = name.split(STEP)
        for path in paths:
            if target in _call_names(path.template):
                alias = MemberAlias(path=tuple(members), known=known)
                aliases.setdefault(path.operations["POST"].id, []).append(alias)
    return {id: sorted(each, key=lambda alias: len(alias.path)) for id, each in aliases.items()}


def _call_names(template: str) -> tuple[str, str]:
    """Return the names that an alias may refer to: of the method with its class, and of the class."""
    method = template.partition(CALL)[2].rpartition("/")[0]
    return method, method.partition("/")[0]


def _split(setting: str, *, members: bool) -> Iterator[tuple[str, str]]:
    for pair in setting.replace(" ", "").split(","):
        name, _, target = pair.partition("=")
        if name and (STEP in name) is members:
            yield name, target
