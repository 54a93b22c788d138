"""Records/s of a CSV whose rows belong together, to rows that become the same items alone: `python -m bench groups`."""

from collections.abc import Iterator

from bench.embedded import records_per_second
from bench.figures import Figure
from goodsgate.model.batch import Policy

ROWS = 60_000
GROUP = 4
RATIO_MIN = 0.5
TURNS = 3
TEXT = "Soft and warm, knitted of recycled wool, for every day between autumn and spring."

COLUMNS = "Variant SKU,{key},Title,Body (HTML),Vendor,Type,Option1 Name,Option1 Value,Variant Price,Image Src"


def parts(short: bool) -> Iterator[Figure]:
    """Work rows in groups of a profile, under parents anywhere, and by a named column; and the same rows complete."""
    count = ROWS // 10 if short else ROWS
    euro = Policy(currency="EUR")
    mapped = Policy(currency="EUR", mapping=MAPPING | {"Style": ["item_group_id"], "Images": ["additional_image_link"]})
    for what, grouped, grouped_policy, complete, complete_policy in (
        ("in groups of a profile", _file(count, key="Handle", complete=False), euro,
         _file(count, key="Handle", complete=True), euro),
        ("under parents anywhere", _woocommerce(count, has_parents=True), euro,
         _woocommerce(count, has_parents=False), euro),
        ("by a named column", _file(count, key="Style", complete=False),
         Policy(currency="EUR", mapping=MAPPING, group="Style"), _complete_file(count), mapped),
    ):
        alone = _rows_per_second(complete, complete_policy)
        together = _rows_per_second(grouped, grouped_policy)
        yield Figure(
            f"CSV rows {what}, to complete rows", together / alone, RATIO_MIN, least=True,
            detail=f"{together:,.0f} and {alone:,.0f} rows/s of processor time",
        )


MAPPING = {
    "Variant SKU": ["id"], "Title": ["title"], "Body (HTML)": ["description"], "Vendor": ["brand"],
    "Option1 Value": ["color"], "Variant Price": ["price"], "Image Src": ["image_link"],
}


def _file(count: int, *, key: str, complete: bool) -> bytes:
    lines = [COLUMNS.format(key=key)]
    for number in range(count):
        product, place = divmod(number, GROUP)
        common = f"Beanie {product},{TEXT.replace(',', '')},Pohja,Hats,Color" if complete or not place else ",,,,"
        lines.append(
            f"SKU-{number},style-{product},{common},c{place},{place + 5}.00,https://img.example/{product}/{place}.jpg"
        )
    return "\n".join(lines).encode()


def _complete_file(count: int) -> bytes:
    """Return rows that become the same items as those grouped by style, each complete by itself."""
    header, *lines = _file(count, key="Style", complete=True).decode().splitlines()
    text = [f"{header},Images"]
    for number, line in enumerate(lines):
        product, place = divmod(number, GROUP)
        links = [f"https://img.example/{product}/{each}.jpg" for each in range(GROUP)]
        row = line.replace(links[place], links[0])
        if place:  # columns that nobody knows are not taken by the others
            row = row.replace(",Hats,Color,", ",,,")
        text.append(f'{row},"{",".join(links[1:])}"')
    return "\n".join(text).encode()


def _woocommerce(count: int, *, has_parents: bool) -> bytes:
    text = TEXT.replace(",", "")
    lines = ["ID,Type,SKU,Name,Regular price,Parent,Description,Brands,Images,Attribute 1 name,Attribute 1 value(s)"]
    for number in range(count):
        product, place = divmod(number, GROUP)
        name, price, image = f"Beanie {product}", f"{place + 5}.00", f"https://img.example/{product}.jpg"
        if not has_parents:
            row = f"{number},simple,SKU-{number},{name},{price},,{text},Pohja,{image},Color,c{place}"
        elif place == GROUP - 1:
            row = f"{number},variable,P-{product},{name},,,{text},Pohja,{image},Color,"
        else:
            row = f"{number},variation,SKU-{number},{name},{price},P-{product},,,,Color,c{place}"
        lines.append(row)
    return "\n".join(lines).encode()


def _rows_per_second(body: bytes, policy: Policy) -> float:
    """Return the best of some fresh loads."""
    return max(records_per_second(body, "csv", policy) for _ in range(TURNS))
