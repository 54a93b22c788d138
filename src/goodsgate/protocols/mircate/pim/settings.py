"""What a merchant settles: attributes and their options, families, groups, categories, channels."""

from typing import Any, TypeVar

import msgspec
from starlette.responses import Response

from goodsgate.http.openapi import OpenApiDocument
from goodsgate.protocols.mircate.answers import answer, bad, missing
from goodsgate.protocols.mircate.pim.expressions import matcher
from goodsgate.protocols.mircate.pim.guesses import DEPTH_MAX, FAMILY_INVALID, NO_EXPRESSION, TREE_INVALID, VALIDATION
from goodsgate.protocols.mircate.pim.keeping import Change, Keeping
from goodsgate.protocols.mircate.pim.listing import image_meta, images_at, token_of
from goodsgate.protocols.mircate.pim.records import check_depth, shape_refused
from goodsgate.protocols.mircate.pim.settled import (
    IDENTIFIER,
    SELECTS,
    UNIQUE_TYPES,
    Attribute,
    Category,
    Channel,
    Family,
    Group,
    Named,
    Option,
    Options,
    Required,
    Settled,
    Variant,
    attribute_of,
)
from goodsgate.protocols.mircate.transport import Asked, Method
from goodsgate.protocols.mircate.validation import issues_of

RESERVED = "This is reserved attribute!"
UNKNOWN_ATTRIBUTE = "Attribute not found!"
STAYS = ("type", "localizable", "scopable", "is_unique")
"""What of an attribute its later definitions do not change."""

T = TypeVar("T", Attribute, Channel, Group, Named, Option, Variant, Category)
PRODUCT_SETTINGS = ("attributes", "attributeOptions", "families", "attributeGroups", "groupTypes", "groups")
SETTINGS_BYTES_MAX = 5 * 1024**2


class Settings:
    """Handlers of all of it."""

    def __init__(self, keeping: Keeping, contract: OpenApiDocument) -> None:
        self._keeping = keeping
        self._contract = contract

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        changes = {
            "upsert_category": self.category, "upsert_attributes": self.attributes,
            "delete_attribute": self.without_attribute, "upsert_attribute_options": self.options,
            "upsert_attribute_option": self.option, "delete_attribute_option": self.without_option,
            "upsert_families": self.families, "upsert_family_variants": self.variants,
            "upsert_attribute_groups": self.attribute_groups, "upsert_group_types": self.group_types,
            "upsert_groups": self.groups, "upsert_channel": self.channel,
        }
        reads = {"get_product_settings": self.product_settings, "get_catalog_settings": self.catalog_settings}
        made = {id: Method(work=self._changing(change), bytes_max=SETTINGS_BYTES_MAX) for id, change in changes.items()}
        return {**made, **{id: Method(work=read) for id, read in reads.items()}}

    def _changing(self, make: Any) -> Any:
        def work(asked: Asked) -> Response:
            check_depth(asked.arguments)
            held = self._keeping.change(asked.merchant, make(asked.arguments))
            return answer({"meta": {"updateToken": token_of(held)}})

        return work

    # -- reads --------------------------------------------------------------------------------------------------------

    def product_settings(self, asked: Asked) -> Response:
        """Get Product Settings."""
        settled = msgspec.to_builtins(self._keeping.read(asked.merchant))
        return answer({"productSettings": {name: settled[name] for name in PRODUCT_SETTINGS}})

    def catalog_settings(self, asked: Asked) -> Response:
        """Get Catalog Settings."""
        settled = msgspec.to_builtins(self._keeping.read(asked.merchant))
        told = {name: value for name, value in settled.items() if name not in PRODUCT_SETTINGS}
        _with_images(told["categories"], images_at(asked), f"{asked.instance}-")
        return answer({"catalogSettings": told})

    # -- attributes ---------------------------------------------------------------------------------------------------

    def attributes(self, arguments: dict[str, Any]) -> Change:
        """Upsert Attributes."""
        given = [(self._attribute(definition), definition) for definition in arguments["attributes"]]

        def change(settled: Settled) -> Settled:
            groups = {group.code for group in settled.attribute_groups}
            held = dict(settled.attribute)
            for one, definition in given:
                if one.group not in groups:
                    raise missing("Attribute group not found!")
                before = held.get(one.code)
                if before is None and one.type == "IDENTIFIER":
                    raise bad("An identifier attribute already exists!")
                held[one.code] = one if before is None else _redefined(before, definition)
            return msgspec.structs.replace(settled, attributes=[*held.values()])

        return change

    def _attribute(self, definition: Any) -> Attribute:
        self._held_to("Attribute", definition, VALIDATION)
        if definition["code"] == IDENTIFIER:
            raise bad(RESERVED)
        attribute = attribute_of(definition)
        if attribute.is_unique and attribute.type not in UNIQUE_TYPES:
            raise bad("Attribute can not be unique!")
        expression = attribute.validation_regexp
        if isinstance(expression, str) and attribute.validation_rule == "REGEXP" and matcher(expression) is None:
            raise bad(NO_EXPRESSION.format(attribute.code))
        return attribute

    def without_attribute(self, arguments: dict[str, Any]) -> Change:
        """Delete Attribute."""
        code = arguments.get("attributeCode")
        if not code:
            raise bad("Invalid attribute code!")
        if code == IDENTIFIER:
            raise bad(RESERVED)

        def change(settled: Settled) -> Settled:
            if code not in settled.attribute:
                raise missing(UNKNOWN_ATTRIBUTE)
            if code in settled.axes:
                raise bad("This attribute used as a variant axis in a family variant!")
            if any(family.attribute_as_label == code for family in settled.families):
                raise bad("This attribute used as label!")
            return msgspec.structs.replace(
                settled, attributes=[one for one in settled.attributes if one.code != code],
                attribute_options=[one for one in settled.attribute_options if one.code != code],
                families=[_without(family, code) for family in settled.families],
            )

        return change

    # -- options ------------------------------------------------------------------------------------------------------

    def options(self, arguments: dict[str, Any]) -> Change:
        """Upsert Attribute Options, of several attributes."""
        for given in arguments["attributeOptions"]:
            self._held_to("AttributeOptions", given, VALIDATION)
        given = msgspec.convert(arguments["attributeOptions"], list[Options])

        def change(settled: Settled) -> Settled:
            for one in given:
                settled = _with_options(settled, one)
            return settled

        return change

    def option(self, arguments: dict[str, Any]) -> Change:
        """Upsert Attribute Option."""
        self._held_to("Option", arguments["option"], VALIDATION)
        option = msgspec.convert(arguments["option"], Option)
        return lambda settled: _with_options(settled, Options(arguments["attributeCode"], [option]))

    def without_option(self, arguments: dict[str, Any]) -> Change:
        """Delete Attribute Option."""
        code, gone = arguments["attributeCode"], arguments["attributeOptionCode"]

        def change(settled: Settled) -> Settled:
            _select(settled, code)
            if gone not in settled.options.get(code, ()):
                raise missing("Attribute option not found!")
            return msgspec.structs.replace(settled, attribute_options=[
                one if one.code != code else Options(code, [left for left in one.options if left.code != gone])
                for one in settled.attribute_options
            ])

        return change

    # -- families, groups ---------------------------------------------------------------------------------------------

    def families(self, arguments: dict[str, Any]) -> Change:
        """Upsert families; those that are there keep the ways in which they vary."""
        for given in arguments["families"]:
            self._held_to("Family", given, FAMILY_INVALID)
        given = [_family(one) for one in arguments["families"]]

        def change(settled: Settled) -> Settled:
            held = dict(settled.family)
            for family in given:
                for required in family.attributes:
                    _known(settled, required.attribute)
                before = held.get(family.code)
                variants = before.variants if before is not None else family.variants
                held[family.code] = msgspec.structs.replace(family, variants=variants)
                _check_ways(settled, held[family.code])
            return msgspec.structs.replace(settled, families=[*held.values()])

        return change

    def variants(self, arguments: dict[str, Any]) -> Change:
        """Upsert the ways in which products of a family vary."""
        for given in arguments["variants"]:
            self._held_to("FamilyVariant", given, FAMILY_INVALID)
        given = msgspec.convert(arguments["variants"], list[Variant])

        def change(settled: Settled) -> Settled:
            family = settled.family.get(arguments["code"])
            if family is None:
                raise missing("Family not found!")
            family = msgspec.structs.replace(family, variants=_replaced(family.variants, given))
            _check_ways(settled, family)
            families = [one if one.code != family.code else family for one in settled.families]
            return msgspec.structs.replace(settled, families=families)

        return change

    def attribute_groups(self, arguments: dict[str, Any]) -> Change:
        """Upsert attribute groups."""
        given = self._list(arguments["attributeGroups"], "Named", Named)
        return lambda settled: msgspec.structs.replace(
            settled, attribute_groups=_replaced(settled.attribute_groups, given)
        )

    def group_types(self, arguments: dict[str, Any]) -> Change:
        """Upsert types of groups."""
        given = self._list(arguments["groupTypes"], "Named", Named)
        return lambda settled: msgspec.structs.replace(settled, group_types=_replaced(settled.group_types, given))

    def groups(self, arguments: dict[str, Any]) -> Change:
        """Upsert groups."""
        given = self._list(arguments["groups"], "Group", Group)

        def change(settled: Settled) -> Settled:
            types = {type.code for type in settled.group_types}
            for group in given:
                if group.type not in types:
                    raise missing(f"Group type not found! ({group.type})")
            return msgspec.structs.replace(settled, groups=_replaced(settled.groups, given))

        return change

    def _list(self, given: list[Any], schema: str, type: Any) -> list[Any]:
        for one in given:
            self._held_to(schema, one, VALIDATION)
        return [msgspec.convert(one, type) for one in given]

    # -- the catalogue ------------------------------------------------------------------------------------------------

    def category(self, arguments: dict[str, Any]) -> Change:
        """Upsert Category: a tree."""
        tree = self._tree(arguments["category"], DEPTH_MAX)
        return lambda settled: msgspec.structs.replace(settled, categories=_replaced(settled.categories, [tree]))

    def _tree(self, given: Any, levels: int) -> Category:
        self._held_to("Category", given, TREE_INVALID)
        below = given.get("subCategories") or []
        if below and levels == 1:
            raise bad(TREE_INVALID)
        own = {name: value for name, value in given.items() if name in ("label", "image", "description", "meta")}
        return Category(code=given["code"], sub_categories=[self._tree(one, levels - 1) for one in below], **own)

    def channel(self, arguments: dict[str, Any]) -> Change:
        """Upsert a channel, and enable what it wants."""
        self._held_to("Channel", arguments["channel"], TREE_INVALID)
        channel = msgspec.convert(arguments["channel"], Channel)
        return lambda settled: msgspec.structs.replace(
            settled, channels=_replaced(settled.channels, [channel]),
            enabled_currencies=[*dict.fromkeys([*settled.enabled_currencies, *channel.currencies])],
            enabled_locales=[*dict.fromkeys([*settled.enabled_locales, *channel.locales])],
        )

    def _held_to(self, schema: str, given: Any, message: str) -> None:
        node = self._contract.document["components"]["schemas"][schema]
        issues = [*issues_of(given, node, self._contract)]
        if issues:
            raise shape_refused(message, issues)


def _replaced(held: list[T], given: list[T]) -> list[T]:
    """Those that are held, others in the place of those with their code, new ones behind."""
    return list({**{one.code: one for one in held}, **{one.code: one for one in given}}.values())


def _redefined(before: Attribute, definition: dict[str, Any]) -> Attribute:
    """A later definition, with what of the first one stays."""
    again = attribute_of({**definition, "type": before.type})
    return msgspec.structs.replace(again, **{name: getattr(before, name) for name in STAYS})


def _known(settled: Settled, code: str) -> Attribute:
    attribute = settled.attribute.get(code)
    if attribute is None:
        raise bad(f"{UNKNOWN_ATTRIBUTE} ({code})")
    return attribute


def _select(settled: Settled, code: str) -> None:
    attribute = settled.attribute.get(code)
    if attribute is None:
        raise bad(UNKNOWN_ATTRIBUTE)
    if attribute.type not in SELECTS:
        raise bad("Invalid attribute type!")


def _with_options(settled: Settled, given: Options) -> Settled:
    _select(settled, given.code)
    held = next((one.options for one in settled.attribute_options if one.code == given.code), [])
    options = Options(given.code, _replaced(held, given.options))
    others = {one.code: one for one in settled.attribute_options}
    return msgspec.structs.replace(settled, attribute_options=[*{**others, given.code: options}.values()])


def _without(family: Family, code: str) -> Family:
    variants = [
        msgspec.structs.replace(way, attributes=[one for one in way.attributes if one != code])
        for way in family.variants
    ]
    left = [one for one in family.attributes if one.attribute != code]
    return msgspec.structs.replace(family, attributes=left, variants=variants)


def _family(given: dict[str, Any]) -> Family:
    """The identifier is always among a family's attributes, in front."""
    family = msgspec.convert({name: value for name, value in given.items() if value is not None}, Family)
    own = [one for one in family.attributes if one.attribute != IDENTIFIER]
    family = msgspec.structs.replace(family, attributes=[Required(IDENTIFIER), *own])
    label = family.attribute_as_label
    if label not in {one.attribute for one in family.attributes}:
        text = f"Attribute as label not found in family attributes! Attribute: ({label}) Family: {family.code}"
        raise bad(text)
    return family


def _check_ways(settled: Settled, family: Family) -> None:
    """Axes and attributes of a way to vary are the family's, and only scopes can be required by channels."""
    mine = {one.attribute for one in family.attributes}
    for way in family.variants:
        for code in (*way.axes, *way.attributes):
            if code not in mine:
                raise bad(f"Attribute is not member of this family! ({code})")
    for required in family.attributes:
        if required.required_channels and not _known(settled, required.attribute).scopable:
            raise bad("Only scopable attributes can be required per channel!")


def _with_images(categories: list[dict[str, Any]], images: str, own: str) -> None:
    """Tell of each image that is kept here where it is."""
    for category in categories:
        image = category.get("image")
        if isinstance(image, str) and image.startswith(own):
            category["meta"] = {**(category.get("meta") or {}), **image_meta(image, images)}
        _with_images(category["subCategories"], images, own)
