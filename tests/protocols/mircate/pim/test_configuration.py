"""A merchant's configuration: attributes, options, families, groups, categories, channels, and permissions."""

import threading
from typing import Any

import pytest

from tests.protocols.mircate.client import message
from tests.protocols.mircate.pim.client import Manager
from tests.protocols.mircate.pim.shirts import CATEGORIES, family, product

COLOUR = {"code": "colour", "type": "SIMPLESELECT", "group": "other"}


def test_a_new_merchant_has_the_defaults(beginner: Manager) -> None:
    """They are those of the ancestor."""
    result = beginner.pim("getProductSettings").json()["productSettings"]
    assert [one["code"] for one in result["attributes"]] == ["sku"]
    assert result["attributes"][0] == {
        "code": "sku", "type": "IDENTIFIER", "group": "other", "localizable": False, "scopable": False, "label": [],
        "isLocaleSpecific": False, "availableLocales": [], "isUnique": True, "maxCharacters": 255,
        "validationRule": "REGEXP", "validationRegexp": "^([A-Za-z0-9_])*$",
    }
    assert [one["code"] for one in result["attributeGroups"]] == ["other"]
    assert (result["families"], result["groups"], result["groupTypes"], result["attributeOptions"]) == ([], [], [], [])
    assert beginner.call_by_get("PIMAPI/getCatalogSettings").json() == {"catalogSettings": {
        "categories": [{"code": "masterCatalog", "subCategories": []}], "enabledCurrencies": ["USD"],
        "enabledLocales": ["en_US"], "channels": [{
            "code": "eCommerce", "currencies": ["USD"], "locales": ["en_US"], "categoryTree": "masterCatalog",
        }],
    }}


def test_a_merchant_is_configured_by_calls_alone(beginner: Manager) -> None:
    """The last call upserts a product."""
    for name, arguments in (
        ("PIMAPI/upsertAttributes", {"attributes": [{"code": "title", "type": "TEXT", "group": "other"}, COLOUR]}),
        ("PIMAPI/upsertAttributeOption", {"attributeCode": "colour", "option": {"code": "red"}}),
        ("ProductSettings/upsertAttributeGroups", {"attributeGroups": [{"code": "looks"}]}),
        ("ProductSettings/upsertGroupTypes", {"groupTypes": [{"code": "season"}]}),
        ("ProductSettings/upsertGroups", {"groups": [{"code": "summer", "type": "season"}]}),
        ("ProductSettings/upsertFamilies", {"families": [
            {"code": "shirts", "attributes": [{"attribute": "title"}, {"attribute": "colour"}]}]}),
        ("ProductSettings/upsertFamilyVariants", {"code": "shirts", "variants": [{"code": "w", "axes": ["colour"]}]}),
        ("PIMAPI/upsertCategory", {"category": CATEGORIES[0]}),
        ("CatalogSettings/upsertChannel", {"channel": {
            "code": "web", "currencies": ["EUR"], "locales": ["tr_TR"], "categoryTree": "masterCatalog"}}),
    ):
        response = beginner.call(name, arguments)
        assert response.status_code == 200, (name, response.text)
        assert len(response.json()["meta"]["updateToken"]) == 10
    beginner.put_all(product("s1", title="x", colour="red", groups=["summer"], categories=["shirts"]))
    result = beginner.pim("getCatalogSettings").json()["catalogSettings"]
    assert (result["enabledCurrencies"], result["enabledLocales"]) == (["USD", "EUR"], ["en_US", "tr_TR"])
    (shirts,) = beginner.pim("getProductSettings").json()["productSettings"]["families"]
    assert [one["attribute"] for one in shirts["attributes"]] == ["sku", "title", "colour"]
    assert shirts["attributeAsLabel"] == "sku"
    assert shirts["variants"] == [{"code": "w", "label": [], "axes": ["colour"], "attributes": []}]


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("PIMAPI/upsertAttributes", {"attributes": [{"code": "a", "type": "TEXT"}]}, 400, "Model validation error!"),
    ("PIMAPI/upsertAttributes", {"attributes": [{**COLOUR, "code": "sku"}]}, 400, "This is reserved attribute!"),
    ("PIMAPI/upsertAttributes", {"attributes": [{**COLOUR, "isUnique": True}]}, 400, "Attribute can not be unique!"),
    ("PIMAPI/upsertAttributes", {"attributes": [{**COLOUR, "group": "none"}]}, 404, "Attribute group not found!"),
    ("PIMAPI/upsertAttributes", {"attributes": [{**COLOUR, "code": "b", "type": "IDENTIFIER"}]}, 400,
     "An identifier attribute already exists!"),
    ("PIMAPI/upsertAttributes", {"attributes": [
        {"code": "b", "type": "TEXT", "group": "other", "validationRule": "REGEXP", "validationRegexp": "(?=a)b"}]},
     400, "b has a validation regexp that cannot be used!"),
    ("PIMAPI/deleteAttribute", {"attributeCode": "none"}, 404, "Attribute not found!"),
    ("PIMAPI/deleteAttribute", {"attributeCode": ""}, 400, "Invalid attribute code!"),
    ("PIMAPI/deleteAttribute", {"attributeCode": "sku"}, 400, "This is reserved attribute!"),
    ("PIMAPI/deleteAttribute", {"attributeCode": "colour"}, 400,
     "This attribute used as a variant axis in a family variant!"),
    ("PIMAPI/deleteAttribute", {"attributeCode": "title"}, 400, "This attribute used as label!"),
    ("PIMAPI/upsertAttributeOption", {"attributeCode": "title", "option": {"code": "x"}}, 400,
     "Invalid attribute type!"),
    ("PIMAPI/upsertAttributeOption", {"attributeCode": "none", "option": {"code": "x"}}, 400, "Attribute not found!"),
    ("PIMAPI/upsertAttributeOption", {"attributeCode": "colour", "option": {}}, 400, "Model validation error!"),
    ("PIMAPI/deleteAttributeOption", {"attributeCode": "colour", "attributeOptionCode": "x"}, 404,
     "Attribute option not found!"),
    ("PIMAPI/deleteAttributeOption", {"attributeCode": "title", "attributeOptionCode": "x"}, 400,
     "Invalid attribute type!"),
    ("PIMAPI/upsertCategory", {"category": {"label": []}}, 400, "Model validation failed!"),
    ("PIMAPI/upsertCategory", {"category": {"code": "a", "subCategories": [{"code": "a b"}]}}, 400,
     "Model validation failed!"),
    ("ProductSettings/upsertFamilies", {"families": [{}]}, 400, "Model validation fail!"),
    ("ProductSettings/upsertFamilies", {"families": [{"code": "f", "attributes": [{"attribute": "none"}]}]}, 400,
     "Attribute not found! (none)"),
    ("ProductSettings/upsertFamilies", {"families": [{"code": "f", "attributeAsLabel": "title"}]}, 400,
     "Attribute as label not found in family attributes! Attribute: (title) Family: f"),
    ("ProductSettings/upsertFamilies", {"families": [{"code": "f", "attributes": [
        {"attribute": "title", "requiredChannels": ["eCommerce"]}]}]}, 400,
     "Only scopable attributes can be required per channel!"),
    ("ProductSettings/upsertFamilyVariants", {"code": "none", "variants": []}, 404, "Family not found!"),
    ("ProductSettings/upsertFamilyVariants", {"code": "shirts", "variants": [{"code": "w", "axes": ["odd"]}]}, 400,
     "Attribute is not member of this family! (odd)"),
    ("ProductSettings/upsertGroups", {"groups": [{"code": "g", "type": "none"}]}, 404,
     "Group type not found! (none)"),
]


def test_invalid_definitions_are_refused(manager: Manager) -> None:
    """The texts are the ancestor's, and nothing is changed."""
    before = manager.configuration()
    for name, arguments, status, text in REFUSED:
        assert message(manager.call(name, arguments), status) == text, name
    assert manager.configuration() == before


def test_a_model_error_has_the_form_of_the_ancestor(manager: Manager) -> None:
    """Paths refer to the definition."""
    definition = {**COLOUR, "type": "PAINT", "label": [{"locale": 5}], "maxCharacters": -1}
    result = manager.pim("upsertAttributes", {"attributes": [definition]}).json()["error"]
    assert result["name"] == "ZodError"
    assert [(one["code"], one["path"]) for one in result["issues"]] == [
        ("invalid_enum_value", ["type"]), ("invalid_type", ["label", 0, "value"]),
        ("invalid_type", ["label", 0, "locale"]), ("too_small", ["maxCharacters"]),
    ]


@pytest.mark.parametrize(("definition", "accepted"), [
    ({"type": "TEXT", "maxCharacters": 255}, True), ({"type": "TEXT", "maxCharacters": 256}, False),
    ({"type": "TEXTAREA", "maxCharacters": 65535}, True), ({"type": "TEXTAREA", "maxCharacters": 65536}, False),
    ({"type": "PRICE", "minNumber": 0, "maxNumber": 0}, True), ({"type": "PRICE", "minNumber": -1}, False),
    ({"type": "NUMBER", "minNumber": -1}, True), ({"type": "NUMBER", "minNumber": 3, "maxNumber": 2}, False),
    ({"type": "DATE", "minDate": "2026-01-31", "maxDate": "2026-01-31T08:15:00Z"}, True),
    ({"type": "DATE", "minDate": "soon"}, False), ({"type": "DATE", "maxDate": "2026-02-30"}, False),
    ({"type": "DATE", "minDate": "2026-02-01", "maxDate": "2026-01-01"}, False),
])
def test_bounds_are_those_of_the_type(manager: Manager, definition: dict[str, object], accepted: bool) -> None:
    """A definition that no value could satisfy is refused, too."""
    response = manager.pim("upsertAttributes", {"attributes": [{"code": "bounded", "group": "other", **definition}]})
    assert response.status_code == (200 if accepted else 400), response.text
    if not accepted:
        assert message(response, 400) == "Model validation error!"


def test_an_attribute_is_replaced_as_a_whole(manager: Manager) -> None:
    """Its type and scopes, too; members that are not sent have defaults; products follow it when sent again."""
    manager.put_all(product("s0", serial="abc"))
    again = {
        "code": "serial", "type": "NUMBER", "group": "other", "localizable": True, "scopable": True, "maxCharacters": 5,
        "minNumber": 3, "label": [{"locale": "en_US", "value": "Serial"}],
    }
    assert manager.pim("upsertAttributes", {"attributes": [again]}).status_code == 200
    definition = next(one for one in manager.configuration()["attributes"] if one["code"] == "serial")
    assert (definition["type"], definition["localizable"], definition["scopable"], definition["isUnique"]) == (
        "NUMBER", True, True, False
    )
    assert (definition["minNumber"], definition["label"][0]["value"]) == (3, "Serial")
    assert "maxCharacters" not in definition
    assert manager.source("s0")["data"]["attributes"][0]["data"][0]["value"] == "abc"
    assert message(manager.put(product("s1", serial="123456")), 400).startswith("Error: serial is ")


def test_options_are_merged_and_deleted_one_by_one(manager: Manager) -> None:
    """Each operation has two names."""
    label = [{"locale": "en_US", "value": "Pink"}]
    arguments = {"attributeOptions": [{"code": "colour", "options": [{"code": "pink"}, {"code": "red",
        "label": label}]}]}
    assert manager.pim("upsertAttributeSelectOptions", arguments).status_code == 200
    arguments = {"attributeCode": "colour", "option": {"code": "pink", "label": label}}
    assert manager.pim("upsertSelectOption", arguments).status_code == 200
    arguments = {"attributeCode": "colour", "attributeOptionCode": "blue"}
    assert manager.pim("deleteSelectOption", arguments).status_code == 200
    (result,) = manager.pim("getProductSettings").json()["productSettings"]["attributeOptions"]
    assert result == {"code": "colour", "options": [
        {"code": "red", "label": label}, {"code": "pink", "label": label},
    ]}
    manager.put_all(product("s1", colour="pink"))
    assert message(manager.put(product("s2", colour="blue")), 400) == (
        "Error: Illegal option! (code: colour, option: blue)"
    )


def test_a_deleted_attribute_leaves_its_families(manager: Manager) -> None:
    """Products keep their values until they are changed."""
    manager.put_all(product("s1", size="L"))
    assert manager.pim("deleteAttribute", {"attributeCode": "washable"}).status_code == 200
    assert "washable" not in str(manager.configuration()["families"])
    assert "washable" in str(manager.source("s1"))
    assert message(manager.put(product("s2", washable=True)), 400) == "Error: Attribute property not found! (washable)"
    manager.put_all(product("s1", size="XL"))
    assert "washable" not in str(manager.source("s1"))


def test_a_family_keeps_its_variants(manager: Manager) -> None:
    """Variants have a method of their own."""
    arguments = {"families": [{**family(), "label": [{"locale": "en_US", "value": "Shirts"}], "variants": []}]}
    assert manager.call("ProductSettings/upsertFamilies", arguments).status_code == 200
    (definition,) = manager.configuration()["families"]
    assert definition["label"][0]["value"] == "Shirts"
    assert [one["code"] for one in definition["variants"]] == ["by_colour"]


def test_a_category_tree_is_replaced_as_a_whole(manager: Manager) -> None:
    """Other trees stay; published members of a node are kept."""
    tree = {
        "code": "outlet", "image": "https://shop.example/x.png", "label": [{"locale": "en_US", "value": "Outlet"}],
        "description": [{"locale": "en_US", "value": "Cheap"}], "subCategories": [{"code": "last"}],
    }
    assert manager.pim("upsertCategory", {"category": tree}).status_code == 200
    master, outlet = manager.pim("getCatalogSettings").json()["catalogSettings"]["categories"]
    assert [one["code"] for one in master["subCategories"]] == ["shirts", "sale"]
    assert outlet == {**tree, "subCategories": [{"code": "last", "subCategories": []}]}
    assert message(manager.put(product("s1", categories=["outlet#sale"])), 400) == (
        "Error: Category not found! (outlet#sale)"
    )
    manager.put_all(product("s1", categories=["last", "sale"]))


def test_categories_have_twelve_levels(manager: Manager) -> None:
    """A deeper tree is refused."""
    tree: dict[str, Any] = {"code": "leaf"}
    for _ in range(11):
        tree = {"code": "deep", "subCategories": [tree]}
    assert manager.pim("upsertCategory", {"category": tree}).status_code == 200
    deeper = {"category": {"code": "deeper", "subCategories": [tree]}}
    assert message(manager.pim("upsertCategory", deeper), 400) == "Model validation failed!"


def test_no_change_is_lost(manager: Manager) -> None:
    """A change is repeated if another request was faster."""
    def settle(number: int) -> None:
        with Manager(manager.gate, manager.merchant, configuration=None) as another:
            for at in range(5):
                arguments = {"attributeCode": "colour", "option": {"code": f"c{number}_{at}"}}
                assert another.pim("upsertAttributeOption", arguments).status_code == 200

    threads = [threading.Thread(target=settle, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (options,) = manager.configuration()["attributeOptions"]
    assert len(options["options"]) == 2 + 20


@pytest.mark.parametrize("name", ["PIMAPI/upsertAttributes", "CatalogSettings/upsertChannel"])
def test_a_key_for_reading_changes_nothing(manager: Manager, name: str) -> None:
    """It can read the configuration."""
    with Manager(manager.gate, manager.merchant, configuration=None, scopes=("read",)) as reader:
        assert reader.call(name, {}).status_code == 403
        assert reader.pim("getProductSettings").status_code == 200
