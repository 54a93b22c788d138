"""Files as suppliers' systems export them, with no option but a currency: what the catalogue holds of them by key."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from goodsgate.model.batch import Kind
from tests.shop import Shop

LINK = "https://cdn.example.com/"


class SupplierFile(msgspec.Struct, frozen=True):
    """A file, and what is to be held of it."""

    text: str
    held: dict[str, dict[str, Any]]
    """Key → some of its members; None: the item has no such member. No other key is held."""
    how: dict[str, Any] = {}
    codes: frozenset[str] = frozenset()
    """Codes of issues that the batch has, besides others."""
    before: list[dict[str, Any]] = []


TABLES: dict[str, SupplierFile] = {
    "a Spanish list whose only name is a description": SupplierFile(
        "Código;Descripción;PVP;Código de barras\nA1;Taza blanca;7,90;4006381333931\n",
        {"A1": {"title": "Taza blanca", "description": "Taza blanca", "price": "7.90 EUR", "gtin": "4006381333931"}},
        {"currency": "EUR", "decimal": "comma"}, frozenset({"header_title_described"}),
    ),
    "an Italian one": SupplierFile(
        "Codice articolo,Descrizione,Prezzo\nA1,Tazza,7.90\n", {"A1": {"title": "Tazza"}}, {"currency": "EUR"},
    ),
    "a Dutch one": SupplierFile(
        "Artikelnummer,Omschrijving,Verkoopprijs\nA1,Beker,7.90\n", {"A1": {"title": "Beker"}}, {"currency": "EUR"},
    ),
    "a Polish one": SupplierFile(
        "Indeks,Opis,Cena brutto\nA1,Kubek,7.90\n", {"A1": {"title": "Kubek"}}, {"currency": "PLN"},
    ),
    "a list with a short and a long description": SupplierFile(
        "Artikelnummer;Beschreibung;Langtext;VK-Preis\nA1;Becher;Ein Becher mit Henkel;7.90 EUR\n",
        {"A1": {"title": "Becher", "description": "Ein Becher mit Henkel"}},
    ),
    "keys and descriptions alone, which do not name a product": SupplierFile(
        "sku,description\nA1,Cup\n", {}, {}, frozenset({"field_missing"}),
    ),
    "a description that is no title": SupplierFile(
        f"sku,description,price\nA1,{'x' * 151},1.00 EUR\n", {}, {}, frozenset({"field_missing"}),
    ),
    "an update of descriptions, which leaves titles alone": SupplierFile(
        "sku,description,price\nA1,New,2.00 EUR\n", {"A1": {"title": "Cup", "description": "New"}},
        {"verb": "update"}, before=[{"id": "A1", "title": "Cup"}],
    ),
    "a French file of PrestaShop": SupplierFile(
        "ID;Actif (0/1);Nom *;Catégories (x,y,z...);Prix TTC;Prix d'achat;Référence n°;Marque;EAN13;Largeur;Poids;"
        "URL des images (x,y,z...);État\n12;1;Tasse;Cuisine, Tasses;14,90;6,50;T12;Hella;;8;0,3;"
        f"{LINK}1.jpg, {LINK}2.jpg;Neuf\n",
        {"T12": {"title": "Tasse", "price": "14.90 EUR", "cost_of_goods_sold": "6.50 EUR", "product_width": "8 cm",
                 "product_weight": "0.3 kg", "product_type": ["Cuisine", "Tasses"], "image_link": f"{LINK}1.jpg",
                 "additional_image_link": [f"{LINK}2.jpg"], "condition": "new", "brand": "Hella"}},
        {"currency": "EUR", "decimal": "comma"},
    ),
    "combinations of PrestaShop, as stock": SupplierFile(
        "Product ID*;Attribute (Name:Type:Position)*;Value (Value:Position)*;Reference;Quantity\n"
        "1;Color:color:0, Size:select:1;Blue:0, M:1;T-B-M;10\n", {"T-B-M": {"quantity": 10}}, {"kind": Kind.STOCK},
    ),
    "Magento's attributes, in its own words, and dates of a sale": SupplierFile(
        "sku,attribute_set_code,product_type,name,price,special_price,special_price_from_date,special_price_to_date,"
        "additional_attributes\n"
        'A1,Top,simple,Tee,19.00,15.00,2026-04-01 00:00:00,2026-04-30,"gender=Men,ean=4006381333931,manufacturer=Hella,'
        'care=cold|dry"\nA2,Top,simple,Tee 2,19.00,15.00,4/1/26,4/30/26,"gender=Men|Women,size_type=Giant"\n',
        {"A1": {"gender": "male", "gtin": "4006381333931", "brand": "Hella", "attributes": {"care": ["cold", "dry"]},
                "sale_price_effective_date": "2026-04-01/2026-04-30", "special_price_from_date": None},
         "A2": {"gender": "unisex", "attributes": {"size_type": "Giant"}, "sale_price_effective_date": None,
                "special_price_from_date": "4/1/26"}},
        {"currency": "EUR"}, frozenset({"date_unreadable"}),
    ),
    "WooCommerce with a sale price alone, and dates of a sale": SupplierFile(
        "ID,Type,SKU,Name,Published,Date sale price starts,Date sale price ends,Sale price,Regular price,Categories\n"
        "1,simple,A1,Cap,1,,,16,,Hats\n2,simple,A2,Hat,1,2026-04-01,2026-04-30,16,20,Hats\n",
        {"A1": {"price": "16.00 USD", "sale_price": None},
         "A2": {"price": "20.00 USD", "sale_price": "16.00 USD", "sale_price_effective_date": "2026-04-01/2026-04-30"}},
        {"currency": "USD"},
    ),
    "WooCommerce with a parent that is known by its number": SupplierFile(
        "ID,Type,SKU,Name,Published,Regular price,Categories,Parent,Attribute 1 name,Attribute 1 value(s)\n"
        '7,variable,,Hoodie,1,,Tops,,Color,"Blue, Red"\n8,variation,H-B,Hoodie - Blue,1,45,,id:7,Color,Blue\n',
        {"H-B": {"item_group_id": "id:7", "product_type": "Tops", "color": "Blue", "price": "45.00 USD"}},
        {"currency": "USD"},
    ),
    "Shopify's inventory of several places, one of which has none": SupplierFile(
        "Handle,Title,Option1 Name,Option1 Value,SKU,Location,Available (not editable),On hand (current),"
        "On hand (new)\n"
        "b,B,Size,S,B-S,Helsinki,5,6,\nb,B,Size,S,B-S,Tampere,not stocked,not stocked,\nb,B,Size,M,B-M,Helsinki,3,3,\n",
        {"B-S\x1fHelsinki": {"quantity": 5}, "B-M\x1fHelsinki": {"quantity": 3}}, {"kind": Kind.STOCK},
        before=[{"id": "B-S", "location": "Tampere", "quantity": 9}],
    ),
    "an Amazon file with partial updates and deletions": SupplierFile(
        "TemplateType=fptcustom\tVersion=2025\nSeller SKU\tUpdate Delete\tProduct Name\tStandard Price\tSale Price\n"
        "item_sku\tupdate_delete\titem_name\tstandard_price\tsale_price\tsale_from_date\tsale_end_date\n"
        "A1\tPartialUpdate\t\t18.99\t17.99\t2026-04-01\t2026-04-30\nA2\tDelete\t\t\t\t\t\n",
        {"A1": {"title": "Bowl", "price": "18.99 USD", "sale_price_effective_date": "2026-04-01/2026-04-30"}},
        {"currency": "USD", "format": "tsv"}, before=[{"id": "A1", "title": "Bowl"}, {"id": "A2", "title": "Old"}],
    ),
    "Akeneo with languages, currencies and a file for an image": SupplierFile(
        "sku;family;enabled;name-de_DE;name-en_US;price-EUR;price-USD;image\nA1;mugs;1;Becher;Mug;9.90;10.90;files/m.jpg\n",
        {"A1": {"title": "Becher", "name-en_US": "Mug", "price": "10.90 USD", "image": "files/m.jpg"}},
        {"currency": "USD"}, frozenset({"header_field_repeated"}),
    ),
    "Akeneo's product models, which are no items": SupplierFile(
        "code;family_variant;parent;name-en_US\nmug;by_color;;Mug\n", {}, {}, frozenset({"group_note"}),
    ),
    "BigCommerce's newer export": SupplierFile(
        "Item,ID,Name,SKU,Options,Inventory Tracking,Price,Sale Price,Availability,Tax Provider Code\n"
        "Product,77,Towel,TOW,,variant,49,0,available,\n"
        "Variant,101,,TOW-S,Type=Rectangles|Name=Size|Value=L;Type=Swatch|Name=Color|Value=Silver[#c0c0c0],,,,,\n",
        {"TOW-S": {"title": "Towel", "price": "49.00 USD", "size": "L", "color": "Silver", "item_group_id": "TOW"}},
        {"currency": "USD"},
    ),
    "a CIF without names of fields": SupplierFile(
        "CIF_I_V3.0\r\nLOADMODE: F\r\nCURRENCY:,EUR\r\nDATA\r\n"
        "9,34A11,C11,\"Chair, oak\",1111,400.00,EA,3,Hella,,,450.00\r\nENDOFDATA\r\n",
        {"34A11": {"title": "Chair, oak", "price": "400.00 EUR", "mpn": "C11", "maximum_retail_price": "450.00 EUR"}},
    ),
    "an HTML page": SupplierFile(
        "<html><body><table><tr><td>sku,title</td></tr></table></body></html>", {}, {}, frozenset({"payload_html"}),
    ),
}


XML = {"format": "xml"}
SHOPIFY_PRODUCT = """{"products": [{"id": 1, "title": "Pod", "body_html": "Small", "vendor": "Hella", "handle": "pod",
"product_type": "Players", "tags": "a, b", "status": "active", "updated_at": "2026-01-02T10:24:04-05:00", "variants": [
{"id": 2, "product_id": 1, "price": "199.00", "compare_at_price": "249.00", "option1": "Pink", "sku": "POD-P",
"barcode": "4006381333931", "weight": 1.5, "weight_unit": "kg", "inventory_quantity": 10, "image_id": 8,
"inventory_management": "shopify", "inventory_policy": "deny", "taxable": true},
{"id": 3, "product_id": 1, "price": "199.00", "option1": "Red", "sku": "POD-R", "grams": 567, "inventory_quantity": 0,
"inventory_management": "shopify", "inventory_policy": "deny"}], "options": [{"name": "Color"}], "images": [
{"id": 7, "position": 1, "src": "https://cdn.example.com/1.jpg"}, {"id": 8, "src": "https://cdn.example.com/2.jpg"}]}]}"""
RECORDS: dict[str, SupplierFile] = {
    "products of Shopify's API": SupplierFile(
        SHOPIFY_PRODUCT,
        {"POD-P": {"title": "Pod", "item_group_id": "pod", "color": "Pink", "price": "249.00 USD", "brand": "Hella",
                   "sale_price": "199.00 USD", "gtin": "4006381333931", "product_weight": "1500 g",
                   "image_link": f"{LINK}2.jpg", "additional_image_link": [f"{LINK}1.jpg"], "availability": "in_stock",
                   "Variant Taxable": "true", "product.updated_at": None},
         "POD-R": {"color": "Red", "price": "199.00 USD", "product_weight": "567 g", "availability": "out_of_stock"}},
        {"format": "json", "currency": "USD"},
    ),
    "members that nobody knows": SupplierFile(
        '[{"sku": "A", "title": "Cup", "shelf": {"a": 1}}]', {"A": {"shelf": {"a": 1}}}, {"format": "json"},
        frozenset({"member_unrecognized"}),
    ),
    "a key that is an attribute, and URLs in one element": SupplierFile(
        '<products><product sku="A" id="7"><name>Cup</name><price currency="EUR">7.90</price>'
        f"<images>{LINK}1.jpg, {LINK}2.jpg</images></product><product sku=\"B\"><name>Bowl</name><pictures>"
        f"<picture>{LINK}1.jpg</picture><picture>{LINK}2.jpg</picture></pictures><Shelf>9</Shelf></product></products>",
        {"A": {"title": "Cup", "price": "7.90 EUR", "image_link": f"{LINK}1.jpg",
               "additional_image_link": [f"{LINK}2.jpg"]},
         "B": {"image_link": f"{LINK}1.jpg", "additional_image_link": [f"{LINK}2.jpg"], "Shelf": "9"}},
        {**XML, "mapping": {"@id": []}}, frozenset({"member_unrecognized"}),
    ),
    "an attribute beside an element for the key": SupplierFile(
        '<items><item id="7"><sku>A</sku><title>Cup</title></item></items>', {"A": {"title": "Cup"}}, XML,
    ),
    "a Google feed with several URLs in one element": SupplierFile(
        '<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>1</g:id><title>'
        '<![CDATA[Cup & "saucer"]]></title>'
        f"<g:additional_image_link>{LINK}2.jpg,{LINK}3.jpg</g:additional_image_link><g:additional_image_link>{LINK}4.jpg"
        "</g:additional_image_link><g:odd>1</g:odd></item></channel></rss>",
        {"1": {"title": 'Cup & "saucer"', "additional_image_link": [f"{LINK}{at}.jpg" for at in (2, 3, 4)]}},
        XML, frozenset({"member_unrecognized"}),
    ),
    "a BMEcat with several prices, languages and a currency in its header": SupplierFile(
        '<BMECAT xmlns="http://www.bmecat.org/bmecat/2005"><HEADER><CATALOG><CURRENCY>CHF</CURRENCY></CATALOG></HEADER>'
        '<T_NEW_CATALOG><PRODUCT mode="new"><SUPPLIER_PID>1</SUPPLIER_PID><PRODUCT_DETAILS>'
        '<DESCRIPTION_SHORT lang="deu">Schraube</DESCRIPTION_SHORT>'
        '<DESCRIPTION_SHORT lang="eng">Screw</DESCRIPTION_SHORT></PRODUCT_DETAILS>'
        '<PRODUCT_PRICE_DETAILS><PRODUCT_PRICE price_type="net_list"><PRICE_AMOUNT>12.50</PRICE_AMOUNT>'
        "<PRICE_CURRENCY>EUR</PRICE_CURRENCY></PRODUCT_PRICE><PRODUCT_PRICE><PRICE_AMOUNT>9</PRICE_AMOUNT></PRODUCT_PRICE>"
        "</PRODUCT_PRICE_DETAILS><MIME_INFO><MIME><MIME_SOURCE>a.jpg</MIME_SOURCE></MIME><MIME><MIME_SOURCE>"
        f"{LINK}1.jpg</MIME_SOURCE></MIME></MIME_INFO></PRODUCT><PRODUCT><SUPPLIER_PID>2</SUPPLIER_PID><PRODUCT_DETAILS>"
        "<DESCRIPTION_SHORT>Mutter</DESCRIPTION_SHORT></PRODUCT_DETAILS><PRODUCT_PRICE_DETAILS><PRODUCT_PRICE>"
        "<PRICE_AMOUNT>1.50</PRICE_AMOUNT></PRODUCT_PRICE></PRODUCT_PRICE_DETAILS></PRODUCT></T_NEW_CATALOG></BMECAT>",
        {"1": {"title": "Schraube", "price": "12.50 EUR", "image_link": f"{LINK}1.jpg"},
         "2": {"title": "Mutter", "price": "1.50 CHF"}},
        XML, frozenset({"list_first_used"}),
    ),
}
FILES = TABLES | RECORDS


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A merchant for each file; one kind of store is enough for what is about reading."""
    names = [f"m{number}" for number in range(len(FILES))]
    with Shop(tmp_path_factory.mktemp("shop"), *names, kind="sqlite") as opened:
        yield opened


@pytest.mark.parametrize("name", FILES)
def test_a_supplier_file_is_held_as_it_means(shop: Shop, name: str) -> None:
    """Each file has a twist of its system; what is not understood is told."""
    merchant, file = f"m{[*FILES].index(name)}", FILES[name]
    how = {"kind": Kind.PRODUCT, "format": "csv", **file.how, "merchant": merchant}
    if file.before:
        shop.run(file.before, merchant=merchant, kind=how["kind"])
    batch = shop.run(file.text.encode(), **how)
    held = shop.items(kind=how["kind"], merchant=merchant)
    codes = {each.code for finding in shop.findings(batch.id, merchant=merchant) for each in finding.issues}
    assert held.keys() == file.held.keys(), codes
    for key, members in file.held.items():
        item: Any = held[key]
        assert {member: item.get(member) for member in members} == members
    assert file.codes <= codes
