"""Files with invented values and the faults of real ones, whose counts are known because they are generated here.

Two public data sets have these faults (a year of sales lines of a wholesaler, and the offers of four shops), but their
licence could not be read on the publisher's page, so that no part of them is copied.
"""

import csv
import io
import random
from dataclasses import dataclass, field

WORDS = (
    "heart", "lantern", "mug", "ribbon", "candle", "frame", "hook", "tin", "apron", "bunting", "clock", "tray", "jug",
    "cushion", "garland", "basket",
)
COLOURS = ("white", "red", "ivory", "pink", "blue", "green", "silver", "vintage")
NOT_GOODS = ("POST", "BANK CHARGES", "AMAZONFEE", "gift_0001_20")


@dataclass
class SalesLines:
    """A CSV file of sales lines, and how often each fault occurs in it."""

    content: bytes = b""
    lines: int = 0
    codes: set[str] = field(default_factory=set)
    case_variants: int = 0
    negative_quantities: int = 0
    zero_prices: int = 0
    negative_prices: int = 0
    three_decimals: int = 0
    blank_edges: int = 0
    blank_descriptions: int = 0


def sales_lines(count: int, *, seed: int = 1) -> SalesLines:
    """Return that many lines (1,000 or more) over about a fiftieth as many stock codes, one sale a line.

    Two per cent of the quantities are negative, one price in two hundred is 0; two prices are negative and four have
    three decimals. A tenth of the descriptions begin or end with a blank, some are empty. Some codes occur in two
    spellings that differ by case.
    """
    draw = random.Random(seed)
    codes = [str(10_000 + number) for number in range(count // 50)]
    codes += [f"{code}b" for code in codes[:20]]
    variants = [f"{code[:-1]}B" for code in codes[-20:]]
    file = SalesLines(lines=count, case_variants=len(variants))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice"))
    first = [*codes, *NOT_GOODS, *variants]  # each at least once, in this order
    for number in range(count):
        code = first[number] if number < len(first) else draw.choice(first)
        description = f"{draw.choice(COLOURS)} {draw.choice(WORDS)} {draw.choice(WORDS)}"
        edge = draw.random()
        if edge < 0.1:
            description = f" {description}" if edge < 0.05 else f"{description} "
            file.blank_edges += 1
        elif edge < 0.103:
            description = ""
            file.blank_descriptions += 1
        quantity = draw.choice((1, 2, 6, 12, 24))
        price = f"{draw.randrange(10, 2500) / 100:.2f}"
        if draw.random() < 0.02:
            quantity = -quantity
            file.negative_quantities += 1
        if number in (500, 700):
            price, file.negative_prices = "-11062.06", file.negative_prices + 1
        elif number in (510, 520, 530, 540):
            price, file.three_decimals = "0.001", file.three_decimals + 1
        elif draw.random() < 0.005:
            price, file.zero_prices = "0", file.zero_prices + 1
        writer.writerow((500_000 + number // 20, code, description, quantity, "2011-03-01 08:26:00", price))
        file.codes.add(code)
    file.content = text.getvalue().encode()
    return file


@dataclass
class Offers:
    """A CSV file of a shop's offers, and how often each fault occurs in it."""

    content: bytes = b""
    rows: int = 0
    priced: int = 0
    thousands: int = 0
    zero_prices: int = 0
    foreign_prices: int = 0
    lost_characters: int = 0


def offers(dialect: str, count: int = 600, *, seed: int = 2) -> Offers:
    """Return offers with the columns id, name, description, manufacturer and price.

    The dialects: ``dollar`` has prices such as ``$1,099.00``, half of them blank; ``zero`` has numbers with 0 for an
    unknown price; ``mixed`` has bare numbers and now and then ``10.25 gbp``. One name in fifty has lost a character
    (U+FFFD).
    """
    draw = random.Random(f"{dialect}{seed}")
    file = Offers(rows=count)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("id", "name", "description", "manufacturer", "price"))
    for number in range(count):
        name = f"{draw.choice(COLOURS)} {draw.choice(WORDS)} no. {number}"
        if number % 50 == 7:
            name = f"{name} caf\ufffd"
            file.lost_characters += 1
        amount = draw.randrange(100, 250_000) / 100
        price = f"{amount:.2f}"
        if dialect == "dollar":
            price = f"${amount:,.2f}" if draw.random() < 0.5 else ""
            file.thousands += "," in price
        elif dialect == "zero" and draw.random() < 0.15:
            price, file.zero_prices = "0", file.zero_prices + 1
        elif dialect == "mixed" and draw.random() < 0.05:
            price, file.foreign_prices = f"{price} gbp", file.foreign_prices + 1
        file.priced += price != ""
        writer.writerow((f"{dialect}-{number}", name, f"{name}, as new", draw.choice(("", "Acme", "Abt")), price))
    file.content = text.getvalue().encode()
    return file
