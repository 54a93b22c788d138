"""Good records, and values of every kind to spoil them with."""

from goodsgate.model.batch import Kind, Policy, Strictness, Verb
from tests.rules.truth import EUROS

RICH: dict[str, object] = {
    "id": "A-1", "title": "Linen shirt", "description": "Two lines,\nor \"three\"", "link": "https://shop.example/p/1",
    "image_link": "https://img.example/1.jpg", "additional_image_link": ["https://img.example/2.jpg"],
    "availability": "in_stock", "condition": "new", "brand": "Sony", "gtin": "4006381333931", "mpn": "M 1",
    "product_type": "c2", "price": {"value": "19.99", "currency": "EUR"}, "sale_price": "15.00 EUR",
    "cost_of_goods_sold": "5 EUR", "tax_rule": "standard", "hs_code": "620520", "country_of_origin": "DE",
    "product_weight": "1.5 kg", "color": "navy", "size": "M", "adult": "no", "multipack": 3,
    "availability_date": "2026-02-24T11:07:00+01:00", "custom_label_0": "x", "promotion_id": ["one", "two"],
    "attributes": {"color": "navy", "washable": True, "weave": "plain", "tags": ["a", "b"], "n": 5},
    "variants": [
        {"id": "A-1-S", "size": "S", "price": "19.99 EUR", "quantity": 4, "gtin": "96385074", "color": "black"},
        {"id": "A-1-M", "size": "M", "price": "21.99 EUR", "sale_price": "19.99 EUR", "attributes": {"fit": "slim"}},
    ],
    "observed_at": "2026-01-01T00:00:00Z", "tags": ["a", "b"], "unknown": {"deep": [1, 2.5, None]},
}
STOCK: dict[str, object] = {"id": "A-1", "location": "ALB", "quantity": 5, "observed_at": "2026-01-01T00:00:00Z"}
PRICE: dict[str, object] = {
    "id": "A-1", "location": "ALB", "price": "19.99 EUR", "sale_price": "9 EUR", "version_number": 7,
}
SAMPLES = {Kind.PRODUCT: RICH, Kind.STOCK: STOCK, Kind.PRICE: PRICE}

POLICIES = [
    EUROS, Policy(), Policy(currency="EUR", references=Strictness.OFF), Policy(currency="JPY"),
    Policy(currency="EUR", decimal="comma"), Policy(verb=Verb.UPDATE, currency="EUR"), Policy(verb=Verb.DELETE),
]

TEXTS = [
    "", " ", "x ", " x", "x\u00a0", "\u3000x", "x\u2028", "a\tb", "a\nb", "x\n", "a&amp;b", "a & b;", "<b>", "a < b",
    "cafÃ©", "café", "É”", "â€™", "\ufffd", "\ufeffx", "\x7f", "\x85", "x" * 151, "x" * 71, "x" * 51, "E+5", "1.5E+11",
    "1e5", "\\", "\\n", "\\u00e9", "\"", "/", "ß Â£", "a\x1fb", "\u200b", "\ue000", "null", "ðŸ˜€", "😀", "ﬀ", "ｘ",
    "a b", "a\x00b", "x" * 1001, "x" * 5001, "x" * 2001,
]
AMOUNTS: list[object] = [
    "0", "0.00", "0.01", "0.001", "15", "15.9", "15.99", "15,99", "15.999 EUR", "15.99 EUR", "15.99 eur", "15.99  EUR",
    "007 EUR", "15.99 JPY", "1500 JPY", "1.5 KWD", "15.99 XXQ", "15.99 EUR\n", "100000000000 EUR", "1000000000000 EUR",
    "$5", "1e3", 1e2, 0.1 + 0.2, 0.005, 12.345, 99999999999.99, "１５ EUR", "19.99 USD", "25 EUR", 10**19, 0, -1, 1.0,
    25, "0.5 EUR", "0.50", "0.0 EUR", "-5 EUR", True, 19.99, "-0", "15.", "15. EUR", ".5",
]
SPECIALS: list[object] = [
    "https://shop.example", "https://shop.example/a b", "http://ä.example/x", "https://shop.example/ä", "/x.jpg",
    "ftp://a.example/", "https://a.example/1,https://a.example/2", "https://a.example/1https://a.example/2",
    "https://a.example/?u=https://b.example/", "https://a.example/x/https://b.example/", "https://a.example:80/x",
    "https:///x", "https://a..example/x", "https://-/x", "HTTPS://Shop.example/x",
    "https://img.example/a?b=1&amp;c", "https://img.example/a?b=1&c=2", "https://img.example/a+b", "http://[::1]/x",
    "https://shop.example/p/2", "https://shop.example/p/2 ", "https://shop.example?x=1", "https://u@shop.example/x",
    "4006381333931", "4006381333932", "96385074", "8.41E+12", "651511016", "٤٠٠٦٣٨١٣٣٣٩٣١", 4006381333931, "00000000",
    "c1", "c3", "c4", "Apparel > Shirts", "c9", "Sony", "sony", "standard", "620520", "62052000", "6205.20", "620530",
    "in stock", "in_stock", "New", "yes", "TRUE", "maybe", "DE", "de", "1.5 kg", "1,5 kg", "400 cm", "1.5kg", "5",
    "9 in", "399.9 cm", "2001 kg", "1.5 kg\n", "2026-02-24", "2026-02-24T11:07", "2026-02-30T11:07:00Z",
    "2026-02-24T11:07:00+25:00", "2026-02-24 11:07:00Z", "2026-02-24T11:07:00.123456789Z", "2026-02-24T23:59:60Z",
    "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "2026-02-24T11:07:00 Z",
    "2026-02-24t11:07:00z", "2026-02-24T11:07:00-00:00", "2026-02-24T11:07:00,5Z", "2026-02-24T11:07:00Z\n",
    "2026-02-24T11:07Z/2026-02-25T11:07Z", "2026-02-25T11:07Z/2026-02-24T11:07Z", "2026-02-24T11:07Z/",
    "2026-02-24T11:07+01:00/2026-02-24T11:07+00:00", "2026-02-24T11:07+01:00/2026-02-25T11:07+01:00",
    "ALB", "Austin", "navy", "red", "10", "-1", "delete", "update", "create", "upsert", "A-1-S", "EUR", "eur", "JPY",
]
OTHERS: list[object] = [
    None, True, False, [], {}, [None], ["x"], ["x "], ["in_stock"], ["c1"], ["Apparel", "Shirts"], ["c1", "c9"],
    [[]], [{}],
    ["https://shop.example/1"], ["https://shop.example/1", " "], ["x"] * 11, {"value": "5 ", "currency": "EUR"},
    {"value": "5", "currency": "EUR"}, {"amount": 5, "currency_code": "EUR"}, {"value": 5},
    {"value": 25, "currency": "EUR"},
    {"value": "5.999", "currency": "EUR"}, {"value": "5", "currency": "JPY"}, {"value": "0", "currency": "EUR"},
    {"value": "5", "currency": "EUR", "amount": 7}, {"value": "5", "currency": "EUR", "list": 7}, {"currency": "EUR"},
    {"value": 1.5, "unit": "kg"}, {"a": {"b": {"c": {"d": {"e": 1}}}}}, 2**63, 2**64 - 1, -1, 1.5, 1e300, 600.0, 10,
    [{"id": "A"}], [{"id": "A"}, {"id": "A"}], [{"id": "A", "price": 5}, {"id": "B", "price": True}],
    [{"id": "A", "price": "0 EUR"}, {"id": "B", "price": "0 EUR"}], [{"size": "M"}], [5],
    [{"id": "A", "sale_price": "25 EUR"}],
    [{"id": "A", "attributes": {"color": "red"}}], [{"id": "A", "color": "red"}], [{"id": "A", "color": "navy"}],
    [{"id": "A", "attributes": {"color": "x "}}], [{"id": "A", "attributes": {"fit": ["x "]}}],
]

VALUES = (*TEXTS, *AMOUNTS, *SPECIALS, *OTHERS)
