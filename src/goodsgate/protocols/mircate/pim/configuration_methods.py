"""Methods that change and read a merchant's configuration."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from goodsgate.http.openapi import OpenApiDocument
from goodsgate.protocols.mircate.dispatcher import CallMethod, MethodCall
from goodsgate.protocols.mircate.pim.configuration import (
    IDENTIFIER,
    SELECTS,
    UNIQUE_TYPES,
    FamilyAttribute,
    FamilyVariant,
    LabelledCode,
    PimConfiguration,
    ProductAttribute,
    ProductCategory,
    ProductFamily,
    ProductGroup,
    SalesChannel,
    SelectOption,
    SelectOptions,
    build,
    build_attribute,
)
from goodsgate.protocols.mircate.pim.configuration_store import Change, ConfigurationStore
from goodsgate.protocols.mircate.pim.listing import image_meta, image_url, update_token
from goodsgate.protocols.mircate.pim.records import check_depth, model_error
from goodsgate.protocols.mircate.pim.unpublished import (
    DEPTH_MAX,
    FAMILY_INVALID,
    NO_EXPRESSION,
    TREE_INVALID,
    VALIDATION,
)
from goodsgate.protocols.mircate.pim.values import parse_time
from goodsgate.protocols.mircate.responses import bad_request, json_response, not_found
from goodsgate.protocols.mircate.validation import validate
from goodsgate.rules.patterns import PatternError, compile_pattern

RESERVED = "This is reserved attribute!"
UNKNOWN_ATTRIBUTE = "Attribute not found!"
SHORT_TEXT = {"properties": {"maxCharacters": {"maximum": 255}}}
TYPE_BOUNDS = {"TEXT": SHORT_TEXT, "IDENTIFIER": SHORT_TEXT, "PRICE": {"properties": {"minNumber": {"minimum": 0}}}}
"""Type of an attribute → a schema of its bounds beside those of all types."""
T = TypeVar(
    "T", ProductAttribute, SalesChannel, ProductGroup, LabelledCode, SelectOption, FamilyVariant, ProductCategory
)
PRODUCT_SETTINGS = ("attributes", "attributeOptions", "families", "attributeGroups", "groupTypes", "groups")
SETTINGS_BYTES_MAX = 5 * 1024**2


class ConfigurationMethods:
    """Methods of the configuration.

    A method that changes it is a function from the arguments of a call to the change.
    """

    def __init__(self, configurations: ConfigurationStore, contract: OpenApiDocument) -> None:
        self._configurations = configurations
        self._contract = contract

    def methods(self) -> dict[str, CallMethod]:
        """Return the methods by operation id."""
        changes = {
            "upsert_category": self.category, "upsert_attributes": self.attributes,
            "delete_attribute": self.without_attribute, "upsert_attribute_options": self.options,
            "upsert_attribute_option": self.option, "delete_attribute_option": self.without_option,
            "upsert_families": self.families, "upsert_family_variants": self.variants,
            "upsert_attribute_groups": self.attribute_groups, "upsert_group_types": self.group_types,
            "upsert_groups": self.groups, "upsert_channel": self.channel,
        }
        return {
            "get_product_settings": CallMethod(work=self.product_settings),
            "get_catalog_settings": CallMethod(work=self.catalog_settings),
            **{id: self._change_method(change) for id, change in changes.items()},
        }

    def _change_method(self, make_change: Callable[[dict[str, Any]], Change]) -> CallMethod:
        def work(call: MethodCall) -> Response:
            check_depth(call.arguments)
            body = self._configurations.change(call.merchant, make_change(call.arguments))
            return json_response({"meta": {"updateToken": update_token(body)}})

        return CallMethod(work=work, bytes_max=SETTINGS_BYTES_MAX)

    # -- reads --------------------------------------------------------------------------------------------------------

    def product_settings(self, call: MethodCall) -> Response:
        """Return the product settings."""
        configuration = msgspec.to_builtins(self._configurations.read(call.merchant))
        return json_response({"productSettings": {name: configuration[name] for name in PRODUCT_SETTINGS}})

    def catalog_settings(self, call: MethodCall) -> Response:
        """Return the catalogue settings."""
        configuration = msgspec.to_builtins(self._configurations.read(call.merchant))
        settings = {name: value for name, value in configuration.items() if name not in PRODUCT_SETTINGS}
        _add_image_urls(settings["categories"], image_url(call), f"{call.instance}-")
        return json_response({"catalogSettings": settings})

    # -- attributes ---------------------------------------------------------------------------------------------------

    def attributes(self, arguments: dict[str, Any]) -> Change:
        """Define attributes, as a whole: members that a definition lacks have their defaults."""
        definitions = [self._attribute(definition) for definition in arguments["attributes"]]

        def change(configuration: PimConfiguration) -> PimConfiguration:
            groups = {group.code for group in configuration.attribute_groups}
            attributes = dict(configuration.attribute)
            for attribute in definitions:
                if attribute.group not in groups:
                    raise not_found("Attribute group not found!")
                if attribute.type == "IDENTIFIER":
                    raise bad_request("An identifier attribute already exists!")
                attributes[attribute.code] = attribute
            return msgspec.structs.replace(configuration, attributes=[*attributes.values()])

        return change

    def _attribute(self, definition: Any) -> ProductAttribute:
        self._check_schema("Attribute", definition, VALIDATION)
        if definition["type"] in TYPE_BOUNDS:
            self._check(TYPE_BOUNDS[definition["type"]], definition, VALIDATION)
        if definition["code"] == IDENTIFIER:
            raise bad_request(RESERVED)
        attribute = build_attribute(definition)
        if not _has_valid_range(attribute):
            raise bad_request(VALIDATION)
        if attribute.is_unique and attribute.type not in UNIQUE_TYPES:
            raise bad_request("Attribute can not be unique!")
        expression = attribute.validation_regexp
        if isinstance(expression, str) and attribute.validation_rule == "REGEXP":
            try:
                compile_pattern(expression)
            except PatternError as error:
                raise bad_request(NO_EXPRESSION.format(attribute.code)) from error
        return attribute

    def without_attribute(self, arguments: dict[str, Any]) -> Change:
        """Delete an attribute."""
        code = arguments.get("attributeCode")
        if not code:
            raise bad_request("Invalid attribute code!")
        if code == IDENTIFIER:
            raise bad_request(RESERVED)

        def change(configuration: PimConfiguration) -> PimConfiguration:
            if code not in configuration.attribute:
                raise not_found(UNKNOWN_ATTRIBUTE)
            if code in configuration.axes:
                raise bad_request("This attribute used as a variant axis in a family variant!")
            if any(family.attribute_as_label == code for family in configuration.families):
                raise bad_request("This attribute used as label!")
            return msgspec.structs.replace(
                configuration,
                attributes=[attribute for attribute in configuration.attributes if attribute.code != code],
                attribute_options=[select for select in configuration.attribute_options if select.code != code],
                families=[_without_attribute(family, code) for family in configuration.families],
            )

        return change

    # -- options ------------------------------------------------------------------------------------------------------

    def options(self, arguments: dict[str, Any]) -> Change:
        """Define options of several attributes."""
        for select in arguments["attributeOptions"]:
            self._check_schema("AttributeOptions", select, VALIDATION)
        selects = build(arguments["attributeOptions"], list[SelectOptions])

        def change(configuration: PimConfiguration) -> PimConfiguration:
            for select in selects:
                configuration = _with_options(configuration, select)
            return configuration

        return change

    def option(self, arguments: dict[str, Any]) -> Change:
        """Define one option."""
        self._check_schema("Option", arguments["option"], VALIDATION)
        option = build(arguments["option"], SelectOption)
        select = SelectOptions(arguments["attributeCode"], [option])
        return lambda configuration: _with_options(configuration, select)

    def without_option(self, arguments: dict[str, Any]) -> Change:
        """Delete an option."""
        code, option_code = arguments["attributeCode"], arguments["attributeOptionCode"]

        def without(select: SelectOptions) -> SelectOptions:
            if select.code != code:
                return select
            return SelectOptions(code, [option for option in select.options if option.code != option_code])

        def change(configuration: PimConfiguration) -> PimConfiguration:
            _check_select(configuration, code)
            if option_code not in configuration.options.get(code, ()):
                raise not_found("Attribute option not found!")
            selects = [without(select) for select in configuration.attribute_options]
            return msgspec.structs.replace(configuration, attribute_options=selects)

        return change

    # -- families, groups ---------------------------------------------------------------------------------------------

    def families(self, arguments: dict[str, Any]) -> Change:
        """Define families; existing families keep their variants."""
        for definition in arguments["families"]:
            self._check_schema("Family", definition, FAMILY_INVALID)
        definitions = [_build_family(definition) for definition in arguments["families"]]

        def change(configuration: PimConfiguration) -> PimConfiguration:
            families = dict(configuration.family)
            for family in definitions:
                for entry in family.attributes:
                    _require_attribute(configuration, entry.attribute)
                before = families.get(family.code)
                variants = before.variants if before is not None else family.variants
                families[family.code] = msgspec.structs.replace(family, variants=variants)
                _check_variants(configuration, families[family.code])
            return msgspec.structs.replace(configuration, families=[*families.values()])

        return change

    def variants(self, arguments: dict[str, Any]) -> Change:
        """Define variants of a family."""
        for definition in arguments["variants"]:
            self._check_schema("FamilyVariant", definition, FAMILY_INVALID)
        definitions = build(arguments["variants"], list[FamilyVariant])

        def change(configuration: PimConfiguration) -> PimConfiguration:
            before = configuration.family.get(arguments["code"])
            if before is None:
                raise not_found("Family not found!")
            family = msgspec.structs.replace(before, variants=_merge_by_code(before.variants, definitions))
            _check_variants(configuration, family)
            families = [family if each.code == family.code else each for each in configuration.families]
            return msgspec.structs.replace(configuration, families=families)

        return change

    def attribute_groups(self, arguments: dict[str, Any]) -> Change:
        """Define attribute groups."""
        definitions = self._convert(arguments["attributeGroups"], "Named", LabelledCode)

        def change(configuration: PimConfiguration) -> PimConfiguration:
            groups = _merge_by_code(configuration.attribute_groups, definitions)
            return msgspec.structs.replace(configuration, attribute_groups=groups)

        return change

    def group_types(self, arguments: dict[str, Any]) -> Change:
        """Define types of groups."""
        definitions = self._convert(arguments["groupTypes"], "Named", LabelledCode)

        def change(configuration: PimConfiguration) -> PimConfiguration:
            types = _merge_by_code(configuration.group_types, definitions)
            return msgspec.structs.replace(configuration, group_types=types)

        return change

    def groups(self, arguments: dict[str, Any]) -> Change:
        """Define groups."""
        definitions = self._convert(arguments["groups"], "Group", ProductGroup)

        def change(configuration: PimConfiguration) -> PimConfiguration:
            types = {type.code for type in configuration.group_types}
            for group in definitions:
                if group.type not in types:
                    raise not_found(f"Group type not found! ({group.type})")
            groups = _merge_by_code(configuration.groups, definitions)
            return msgspec.structs.replace(configuration, groups=groups)

        return change

    def _convert(self, definitions: list[Any], schema: str, type: Any) -> list[Any]:
        for definition in definitions:
            self._check_schema(schema, definition, VALIDATION)
        return [build(definition, type) for definition in definitions]

    # -- the catalogue ------------------------------------------------------------------------------------------------

    def category(self, arguments: dict[str, Any]) -> Change:
        """Define a category tree."""
        tree = self._category_tree(arguments["category"], DEPTH_MAX)

        def change(configuration: PimConfiguration) -> PimConfiguration:
            return msgspec.structs.replace(configuration, categories=_merge_by_code(configuration.categories, [tree]))

        return change

    def _category_tree(self, definition: Any, levels: int) -> ProductCategory:
        self._check_schema("Category", definition, TREE_INVALID)
        children = definition.get("subCategories") or []
        if children and levels == 1:
            raise bad_request(TREE_INVALID)
        names = ("label", "image", "description", "meta")
        members = {name: value for name, value in definition.items() if name in names}
        sub_categories = [self._category_tree(child, levels - 1) for child in children]
        return ProductCategory(code=definition["code"], sub_categories=sub_categories, **members)

    def channel(self, arguments: dict[str, Any]) -> Change:
        """Define a channel, and enable its currencies and locales."""
        self._check_schema("Channel", arguments["channel"], TREE_INVALID)
        channel = build(arguments["channel"], SalesChannel)
        return lambda configuration: msgspec.structs.replace(
            configuration, channels=_merge_by_code(configuration.channels, [channel]),
            enabled_currencies=[*dict.fromkeys([*configuration.enabled_currencies, *channel.currencies])],
            enabled_locales=[*dict.fromkeys([*configuration.enabled_locales, *channel.locales])],
        )

    def _check_schema(self, schema: str, definition: Any, message: str) -> None:
        self._check(self._contract.document["components"]["schemas"][schema], definition, message)

    def _check(self, node: dict[str, Any], definition: Any, message: str) -> None:
        issues = [*validate(definition, node, self._contract)]
        if issues:
            raise model_error(message, issues)


def _merge_by_code(current: list[T], definitions: list[T]) -> list[T]:
    """Return the current entries, replaced by new ones of the same code, and then the other new ones."""
    return list({**{each.code: each for each in current}, **{each.code: each for each in definitions}}.values())


def _has_valid_range(attribute: ProductAttribute) -> bool:
    """Return whether the bounds of values are dates where they have to be, and leave values between them."""
    for least, most in (
        (attribute.min_number, attribute.max_number), (_date(attribute.min_date), _date(attribute.max_date)),
    ):
        if least is None or most is None or (least is not UNSET and most is not UNSET and least > most):
            return False
    return True


def _date(text: str | UnsetType) -> Any:
    """Return the time that a bound names; None if it names none, UNSET if there is no bound."""
    return parse_time(text) if text is not UNSET else UNSET


def _require_attribute(configuration: PimConfiguration, code: str) -> ProductAttribute:
    attribute = configuration.attribute.get(code)
    if attribute is None:
        raise bad_request(f"{UNKNOWN_ATTRIBUTE} ({code})")
    return attribute


def _check_select(configuration: PimConfiguration, code: str) -> None:
    attribute = configuration.attribute.get(code)
    if attribute is None:
        raise bad_request(UNKNOWN_ATTRIBUTE)
    if attribute.type not in SELECTS:
        raise bad_request("Invalid attribute type!")


def _with_options(configuration: PimConfiguration, definition: SelectOptions) -> PimConfiguration:
    _check_select(configuration, definition.code)
    selects = {select.code: select for select in configuration.attribute_options}
    current = selects[definition.code].options if definition.code in selects else []
    selects[definition.code] = SelectOptions(definition.code, _merge_by_code(current, definition.options))
    return msgspec.structs.replace(configuration, attribute_options=[*selects.values()])


def _without_attribute(family: ProductFamily, code: str) -> ProductFamily:
    variants = [
        msgspec.structs.replace(variant, attributes=[each for each in variant.attributes if each != code])
        for variant in family.variants
    ]
    attributes = [entry for entry in family.attributes if entry.attribute != code]
    return msgspec.structs.replace(family, attributes=attributes, variants=variants)


def _build_family(definition: dict[str, Any]) -> ProductFamily:
    """Return a family with the identifier as its first attribute."""
    members = {name: value for name, value in definition.items() if value is not None}
    family: ProductFamily = build(members, ProductFamily)
    others = [entry for entry in family.attributes if entry.attribute != IDENTIFIER]
    family = msgspec.structs.replace(family, attributes=[FamilyAttribute(IDENTIFIER), *others])
    label = family.attribute_as_label
    if label not in {entry.attribute for entry in family.attributes}:
        text = f"Attribute as label not found in family attributes! Attribute: ({label}) Family: {family.code}"
        raise bad_request(text)
    return family


def _check_variants(configuration: PimConfiguration, family: ProductFamily) -> None:
    """Check that variants use attributes of their family, and channels require only scopable ones."""
    codes = {entry.attribute for entry in family.attributes}
    for variant in family.variants:
        for code in (*variant.axes, *variant.attributes):
            if code not in codes:
                raise bad_request(f"Attribute is not member of this family! ({code})")
    for entry in family.attributes:
        if entry.required_channels and not _require_attribute(configuration, entry.attribute).scopable:
            raise bad_request("Only scopable attributes can be required per channel!")


def _add_image_urls(categories: list[dict[str, Any]], images: str, own_prefix: str) -> None:
    """Add the address of each image that the gate stores."""
    for category in categories:
        image = category.get("image")
        if isinstance(image, str) and image.startswith(own_prefix):
            category["meta"] = {**(category.get("meta") or {}), **image_meta(image, images)}
        _add_image_urls(category["subCategories"], images, own_prefix)
